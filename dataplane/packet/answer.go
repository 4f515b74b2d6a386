// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// MaxAnswer is the length of the longest answer: an ICMPv6 error that fills
// the minimum MTU, behind two tags.
const MaxAnswer = ethernetSize + MaxTags*tagSize + ipv6MinMTU

const (
	ipv6MinMTU   = 1280 // RFC 8200; no ICMPv6 error is longer (RFC 4443)
	icmpv4Max    = 576  // no ICMP error is longer (RFC 1812, section 4.3.2.3)
	ethernetMin  = 60   // shortest Ethernet frame, without its check sequence
	answerTTL    = 64
	precedence   = 0xc0 // internetwork control, RFC 1812, section 4.3.2.5
	dontFragment = 0x4000

	unreachable4      = 3 // destination unreachable, RFC 792
	prohibited4       = 13
	unreachable6      = 1 // destination unreachable, RFC 4443
	prohibited6       = 1
	groupBit          = 1 // of a MAC address: multicast or broadcast
	ipv4Multicast     = 0xe0000000
	ipv6MulticastByte = 0xff
)

// Answer builds into out the answer to a frame that a policy rejects, and
// returns its length: 0 when nothing may be answered. TCP gets a reset, all
// else an ICMP "administratively prohibited". The answer looks as if the
// packet's destination had sent it, in the same VLAN, and is to leave by the
// port that the frame came by; how many are sent is the caller's business.
//
// info is what Parse made of frame. out must not overlap frame; MaxAnswer bytes
// are always enough, and an answer that does not fit is not built.
func Answer(frame []byte, info *Info, out []byte) int {
	if !mayAnswer(frame, info) {
		return 0
	}
	link, packet := int(info.L3), frame[info.L3:info.End]
	size := answerSize(info)
	n := max(link+size, ethernetMin)
	if n > len(out) {
		return 0
	}
	copy(out[0:6], frame[6:12])
	copy(out[6:12], frame[0:6])
	copy(out[12:link], frame[12:link])
	clear(out[link:n])
	putIP(out[link:link+size], packet, info)
	return n
}

// mayAnswer says whether a packet may be answered at all (RFC 1122, section
// 3.2.2; RFC 4443, section 2.4): never a reset, an ICMP message that asks for
// nothing, a fragment, or what was sent to many or by nobody. Frames with an
// LLC header are not answered, as their answer would need another form.
func mayAnswer(frame []byte, info *Info) bool {
	switch {
	case info.Outcome != IP || info.Fragmented:
		return false
	case int(info.L3) != ethernetSize+int(info.Tags)*tagSize:
		return false
	case (frame[0]|frame[6])&groupBit != 0:
		return false
	case isNobody(info.Src, info.Family), isNobody(info.Dst, info.Family), isMany(info.Dst, info.Family):
		return false
	case info.Src == info.Dst: // BFD echo: the answer would not be for the sender
		return false
	case info.Proto == ProtoTCP:
		return info.TCPFlags&FlagRST == 0
	case isICMP(info.Family, info.Proto):
		return kindOf(info.Family, info.ICMPType) == icmpRequest
	}
	return true
}

// isNobody: the unspecified address, and in IPv4 all of 0.0.0.0/8 (RFC 1122).
func isNobody(a Addr, family Family) bool {
	if family == 4 {
		return uint32(a.Lo)>>24 == 0
	}
	return a == Addr{}
}

// isMany: multicast, and in IPv4 class E and broadcast as well.
func isMany(a Addr, family Family) bool {
	if family == 4 {
		return uint32(a.Lo) >= ipv4Multicast
	}
	return a.Hi>>56 == ipv6MulticastByte
}

// answerSize is the length of the answer's IP packet.
func answerSize(info *Info) int {
	header := ipv6Size
	if info.Family == 4 {
		header = ipv4Size
	}
	if info.Proto == ProtoTCP {
		return header + tcpSize
	}
	return header + icmpSize + quoteSize(info)
}

// quoteSize is how much of the packet an error quotes: in IPv4 its headers and
// 8 bytes (RFC 792; more would help nobody but an amplifier), in IPv6 as much
// as fits (RFC 4443, section 2.4c).
func quoteSize(info *Info) int {
	size := int(info.End - info.L3)
	if info.Family == 6 {
		return min(size, ipv6MinMTU-ipv6Size-icmpSize)
	}
	return min(size, int(info.L4-info.L3)+quotePayload, icmpv4Max-ipv4Size-icmpSize)
}

// putIP writes the answer to packet into b, which is zero and as long as the
// answer. Atomic datagrams need no identification (RFC 6864).
func putIP(b, packet []byte, info *Info) {
	proto := info.Proto
	if proto != ProtoTCP {
		proto = ProtoICMP
		if info.Family == 6 {
			proto = ProtoICMPv6
		}
	}
	if info.Family == 6 {
		b[0], b[6], b[7] = 6<<4, proto, answerTTL
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-ipv6Size))
		copy(b[8:24], packet[24:40])
		copy(b[24:40], packet[8:24])
		putTransport(b[ipv6Size:], packet, info, sum(b[8:40])+uint64(proto))
		return
	}
	b[0], b[8], b[9] = 4<<4|ipv4Size/4, answerTTL, proto
	if proto == ProtoICMP {
		b[1] = precedence
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], dontFragment)
	copy(b[12:16], packet[16:20])
	copy(b[16:20], packet[12:16])
	binary.BigEndian.PutUint16(b[10:], ^fold(sum(b[:ipv4Size])))
	putTransport(b[ipv4Size:], packet, info, sum(b[12:20])+uint64(proto))
}

// putTransport writes the reset or the error into b. pseudo is the sum of the
// pseudo-header without its length; ICMP of IPv4 has none.
func putTransport(b, packet []byte, info *Info, pseudo uint64) {
	pseudo += uint64(len(b))
	at := 2 // of the checksum
	switch {
	case info.Proto == ProtoTCP:
		putReset(b, info)
		at = 16
	case info.Family == 6:
		b[0], b[1] = unreachable6, prohibited6
		copy(b[icmpSize:], packet)
	default:
		b[0], b[1] = unreachable4, prohibited4
		copy(b[icmpSize:], packet)
		pseudo = 0
	}
	binary.BigEndian.PutUint16(b[at:], ^fold(pseudo+sum(b)))
}

// putReset writes the reset that a closed port sends: RFC 9293, section
// 3.10.7.1. The sequence number is the one that the other side expects, and
// where it expects none the reset acknowledges all that it sent.
func putReset(b []byte, info *Info) {
	binary.BigEndian.PutUint16(b[0:], info.DstPort)
	binary.BigEndian.PutUint16(b[2:], info.SrcPort)
	b[12] = tcpSize / 4 << 4
	if info.TCPFlags&FlagACK != 0 {
		b[13] = FlagRST
		binary.BigEndian.PutUint32(b[4:], info.TCPAck)
		return
	}
	b[13] = FlagRST | FlagACK
	const syn = 1 // a segment without ACK is a SYN: all others are TCPFlags
	binary.BigEndian.PutUint32(b[8:], info.TCPSeq+syn+uint32(info.Payload))
}

// sum adds up the 16-bit words of b, the last one padded with zero (RFC 1071).
func sum(b []byte) (s uint64) {
	for ; len(b) >= 4; b = b[4:] {
		s += uint64(binary.BigEndian.Uint32(b))
	}
	if len(b) >= 2 {
		s += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) > 0 {
		s += uint64(b[0]) << 8
	}
	return s
}

// fold brings a sum of words down to 16 bits.
func fold(s uint64) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}
