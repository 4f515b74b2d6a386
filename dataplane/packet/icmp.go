// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

const (
	icmpSize     = 8 // header of queries and errors; a quote begins behind it
	icmpv6Min    = 4 // type, code and checksum, RFC 4443
	quotePayload = 8 // bytes of the quoted payload that a flow is found by, RFC 792

	ndHopLimit          = 255 // of neighbour discovery, RFC 4861; its five types follow
	ndRouterSolicit     = 133
	ndRouterAdvertise   = 134
	ndNeighborSolicit   = 135
	ndNeighborAdvertise = 136
	ndRedirect          = 137
)

// icmpKind is what an ICMP message is to a flow.
type icmpKind uint8

const (
	icmpOther   icmpKind = iota // a flow of one direction
	icmpRequest                 // begins a flow
	icmpReply                   // belongs to the flow of its request
	icmpError                   // belongs to the flow that it quotes
)

// ICMP types of RFC 792, 950, 4443, 4620 and 8335. An IPv4 redirect quotes a
// packet as errors do.
var (
	icmpv4Kinds = [256]icmpKind{
		3: icmpError, 4: icmpError, 5: icmpError, 11: icmpError, 12: icmpError,
		8: icmpRequest, 13: icmpRequest, 15: icmpRequest, 17: icmpRequest, 42: icmpRequest,
		0: icmpReply, 14: icmpReply, 16: icmpReply, 18: icmpReply, 43: icmpReply,
	}
	icmpv6Kinds = [256]icmpKind{
		1: icmpError, 2: icmpError, 3: icmpError, 4: icmpError,
		128: icmpRequest, 139: icmpRequest, 160: icmpRequest,
		129: icmpReply, 140: icmpReply, 161: icmpReply,
	}
)

// parseICMPv4 reads the ICMP message b, which ends with the packet.
func parseICMPv4(b []byte, info *Info) Outcome {
	if len(b) < icmpSize {
		return info.short(ICMPHeader)
	}
	info.ICMPType, info.ICMPCode = b[0], b[1]
	return parseMessage(b, icmpv4Kinds[b[0]], info)
}

// parseICMPv6 is the same for ICMPv6. Some of its messages may be shorter, and
// some are neighbour discovery, which no router forwards: its hop limit is
// still what it began with.
func parseICMPv6(b []byte, info *Info) Outcome {
	if len(b) < icmpv6Min {
		return info.short(ICMPHeader)
	}
	info.ICMPType, info.ICMPCode = b[0], b[1]
	if b[0] >= ndRouterSolicit && b[0] <= ndRedirect {
		return judgeND(len(b), info)
	}
	return parseMessage(b, icmpv6Kinds[b[0]], info)
}

// parseMessage reads what there is behind type, code and checksum. The
// identifier of a query has its place in all of them (node information
// queries have their query type there, which the reply repeats). Errors are
// short enough to need no fragments (RFC 1812, RFC 4443).
func parseMessage(b []byte, kind icmpKind, info *Info) Outcome {
	if kind == icmpOther {
		return IP
	}
	if len(b) < icmpSize {
		return info.short(ICMPHeader)
	}
	if kind != icmpError {
		info.ICMPID = binary.BigEndian.Uint16(b[4:])
		return IP
	}
	var q Quote
	if info.Fragmented || !readQuote(b[icmpSize:], info.Family, &q) || q.Src != info.Dst {
		return ICMPHeader
	}
	info.Quote = q
	return ICMPError
}

// judgeND checks what every neighbour discovery message must be before a host
// believes it (RFC 4861, sections 6.1, 7.1 and 8.1).
func judgeND(size int, info *Info) Outcome {
	if info.Fragmented || info.HopLimit != ndHopLimit || info.ICMPCode != 0 {
		return NDInvalid
	}
	if size < ndSize(info.ICMPType) {
		return ICMPHeader
	}
	return ND
}

// ndSize is the length of a neighbour discovery message without options.
func ndSize(kind uint8) int {
	switch kind {
	case ndRouterAdvertise:
		return 16
	case ndNeighborSolicit, ndNeighborAdvertise:
		return 24
	case ndRedirect:
		return 40
	}
	return 8
}

// readQuote reads the packet that an error quotes, as far as it goes: false
// when it does not show which flow it belongs to. Lengths and checksum of the
// quoted header are left alone, since hosts and routers alter them.
//
// The caller compares the quoted source with the address that the error goes
// to: without that, any host could send errors to hosts that have nothing to
// do with the flow (CVE-2019-5598).
func readQuote(b []byte, family Family, q *Quote) bool {
	q.Family = family
	if family == 4 {
		b = q.readIPv4(b)
	} else {
		b = q.readIPv6(b)
	}
	return b != nil && q.readTransport(b)
}

// readIPv4 reads the quoted header and returns what is behind it; nil when
// that cannot be read.
func (q *Quote) readIPv4(b []byte) []byte {
	if len(b) < ipv4Size || b[0]>>4 != 4 {
		return nil
	}
	size := int(b[0]&0xf) * 4
	later := binary.BigEndian.Uint16(b[6:])&offsetMask != 0
	if size < ipv4Size || size > len(b) || later {
		return nil
	}
	q.Proto = b[9]
	q.Src.Lo = mappedPrefix | uint64(binary.BigEndian.Uint32(b[12:]))
	q.Dst.Lo = mappedPrefix | uint64(binary.BigEndian.Uint32(b[16:]))
	return q.skipChain(b[size:])
}

// readIPv6 does the same for an IPv6 header.
func (q *Quote) readIPv6(b []byte) []byte {
	if len(b) < ipv6Size || b[0]>>4 != 6 {
		return nil
	}
	q.Proto = b[6]
	q.Src = Addr{binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])}
	q.Dst = Addr{binary.BigEndian.Uint64(b[24:]), binary.BigEndian.Uint64(b[32:])}
	return q.skipChain(b[ipv6Size:])
}

// skipChain walks the quoted extension headers as parseChain does: nil when
// they do not lead to a transport header.
func (q *Quote) skipChain(b []byte) []byte {
	for n := 0; isExtension(q.Family, q.Proto); n++ {
		size := extensionSize(q.Family, q.Proto, b)
		if n == MaxHeaders || size == 0 {
			return nil
		}
		if q.Proto == protoFragment && binary.BigEndian.Uint16(b[2:])&^7 != 0 {
			return nil // a later fragment: no ports
		}
		q.Proto = b[0]
		b = b[size:]
	}
	return b
}

// readTransport reads ports or identifier. A quoted error is nonsense: no
// host answers an error with an error (RFC 1122, RFC 4443).
func (q *Quote) readTransport(b []byte) bool {
	icmp := q.isICMP()
	if q.Proto != ProtoTCP && q.Proto != ProtoUDP && q.Proto != ProtoSCTP && !icmp {
		return true
	}
	if len(b) < quotePayload {
		return false
	}
	if !icmp {
		q.SrcPort, q.DstPort = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		return true
	}
	q.ICMPType, q.ICMPCode = b[0], b[1]
	switch kindOf(q.Family, q.ICMPType) {
	case icmpError:
		return false
	case icmpRequest, icmpReply:
		q.ICMPID = binary.BigEndian.Uint16(b[4:])
	}
	return true
}

// kindOf says what a type is in the ICMP of a family.
func kindOf(family Family, icmpType uint8) icmpKind {
	if family == 4 {
		return icmpv4Kinds[icmpType]
	}
	return icmpv6Kinds[icmpType]
}

// isICMP says whether the protocol is the ICMP of its family; the other one's
// number is opaque.
func (q *Quote) isICMP() bool {
	return isICMP(q.Family, q.Proto)
}

func isICMP(family Family, proto uint8) bool {
	return family == 4 && proto == ProtoICMP || family == 6 && proto == ProtoICMPv6
}
