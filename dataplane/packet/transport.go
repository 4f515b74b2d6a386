// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// Shortest transport headers.
const (
	tcpSize  = 20 // RFC 9293
	udpSize  = 8  // RFC 768
	sctpSize = 12 // RFC 9260
)

// portBFDEcho is the UDP port of BFD echo, whose packets a router sends to
// itself by way of its neighbour (RFC 5881).
const portBFDEcho = 3785

// TCP flags, as they stand in Info.TCPFlags.
const (
	FlagFIN = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
	FlagECE
	FlagCWR
)

// flagSets has bit n set when the flags n are a set that some TCP sends, PSH
// set aside. It is the table tcp_valid_flags of the Linux kernel's
// net/netfilter/nf_conntrack_proto_tcp.c, which has long been in force on
// firewalls; ECE and CWR go with all of them.
const flagSets = uint64(1)<<FlagSYN | 1<<(FlagSYN|FlagURG) | 1<<(FlagSYN|FlagACK) |
	1<<FlagRST | 1<<(FlagRST|FlagACK) |
	1<<(FlagFIN|FlagACK) | 1<<(FlagFIN|FlagACK|FlagURG) |
	1<<FlagACK | 1<<(FlagACK|FlagURG)

// parseTransport reads the header at the front of b, which info.Proto names.
// b ends with the packet, and its place in the frame is off. The ICMP of the
// other family is opaque, as is every protocol without a case here.
func parseTransport(b []byte, off int, info *Info) Outcome {
	info.L4 = uint16(off)
	switch info.Proto {
	case ProtoTCP:
		return parseTCP(b, info)
	case ProtoUDP:
		return parseUDP(b, info)
	case ProtoSCTP:
		return parseSCTP(b, info)
	case ProtoICMP:
		if info.Family == 4 {
			return parseICMPv4(b, info)
		}
	case ProtoICMPv6:
		if info.Family == 6 {
			return parseICMPv6(b, info)
		}
	}
	info.Tunnel = tunnelOf(info.Proto)
	return IP
}

func parseTCP(b []byte, info *Info) Outcome {
	if len(b) < tcpSize {
		return info.short(TCPHeader)
	}
	h := (*[tcpSize]byte)(b)
	info.SrcPort = binary.BigEndian.Uint16(h[0:])
	info.DstPort = binary.BigEndian.Uint16(h[2:])
	info.TCPSeq = binary.BigEndian.Uint32(h[4:])
	info.TCPFlags = h[13]
	if h[13]&FlagACK != 0 {
		info.TCPAck = binary.BigEndian.Uint32(h[8:])
	}
	info.TCPWindow = binary.BigEndian.Uint16(h[14:])
	size := int(h[12]>>4) * 4
	switch {
	case size < tcpSize:
		return TCPHeader
	case size > len(b):
		return info.short(TCPHeader)
	case flagSets>>(h[13]&^(FlagPSH|FlagECE|FlagCWR))&1 == 0:
		return TCPFlags
	}
	info.Payload = uint16(len(b) - size)
	return IP
}

// parseUDP refuses a length that the packet has no room for. The datagram may
// be shorter than the packet (RFC 768 does not forbid it), and a first fragment
// is shorter than its datagram. Length 0 belongs to jumbograms.
func parseUDP(b []byte, info *Info) Outcome {
	if len(b) < udpSize {
		return info.short(UDPHeader)
	}
	h := (*[udpSize]byte)(b)
	info.SrcPort = binary.BigEndian.Uint16(h[0:])
	info.DstPort = binary.BigEndian.Uint16(h[2:])
	size := int(binary.BigEndian.Uint16(h[4:]))
	if size < udpSize || size > len(b) && !info.FragmentMore {
		return UDPHeader
	}
	info.Payload = uint16(len(b) - udpSize)
	info.Tunnel = udpTunnelOf(info.DstPort)
	return IP
}

func parseSCTP(b []byte, info *Info) Outcome {
	if len(b) < sctpSize {
		return info.short(SCTPHeader)
	}
	info.SrcPort = binary.BigEndian.Uint16(b[0:])
	info.DstPort = binary.BigEndian.Uint16(b[2:])
	return IP
}

// headerMin is the shortest transport header that a flow is judged by.
func headerMin(proto uint8) int {
	switch proto {
	case ProtoTCP:
		return tcpSize
	case ProtoUDP:
		return udpSize
	case ProtoSCTP:
		return sctpSize
	}
	return 0
}

// bfdEcho says that a packet may have its source as its destination.
func (p *Info) bfdEcho() bool {
	return p.Proto == ProtoUDP && p.DstPort == portBFDEcho
}
