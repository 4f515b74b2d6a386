// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Where the parts of Key.Meta begin, counted from the low end.
const (
	metaProto = 16
	metaFam   = 24
	metaICMP  = 32 // type in the low byte, code in the high one
	metaFlags = 48 // bit 0, ICMP: endpoint B is the one that asks, or sends
)

// Key is the key of the packet's flow in a group of wires, and the direction
// of the packet in it. Valid with outcome IP. FillKey is the same, quicker.
func (p *Info) Key(group uint16) (k Key, d Dir) {
	d = p.FillKey(&k, group)
	return k, d
}

// FillKey writes the key of the packet's flow to k, and returns the direction
// of the packet in it. It exists because a key that is returned is copied, and
// that costs as much as making it.
//
// ICMP queries have their identifier for both ports; a reply has the key of
// its request, and the opposite direction, but not that of a request by the
// same host: a flag tells who asks. Every other ICMP message makes a flow of
// one direction by type, code and sender.
func (p *Info) FillKey(k *Key, group uint16) Dir {
	k.Meta = uint64(group) | uint64(p.Proto)<<metaProto | uint64(p.Family)<<metaFam
	k.Ports = uint64(p.VLAN[0])<<32 | uint64(p.VLAN[1])<<48
	if isICMP(p.Family, p.Proto) {
		return k.fillICMP(&p.Src, &p.Dst, message{p.ICMPType, p.ICMPCode, p.ICMPID})
	}
	return k.fill(&p.Src, &p.Dst, p.SrcPort, p.DstPort)
}

// Key is the key of the flow that an ICMP error is about, and the direction
// of the quoted packet in it (that of the error itself is the opposite). vlan
// is Info.VLAN of the error: it travels in the VLAN of the flow.
func (q *Quote) Key(vlan [2]uint16, group uint16) (k Key, d Dir) {
	k.Meta = uint64(group) | uint64(q.Proto)<<metaProto | uint64(q.Family)<<metaFam
	k.Ports = uint64(vlan[0])<<32 | uint64(vlan[1])<<48
	if isICMP(q.Family, q.Proto) {
		d = k.fillICMP(&q.Src, &q.Dst, message{q.ICMPType, q.ICMPCode, q.ICMPID})
		return k, d
	}
	d = k.fill(&q.Src, &q.Dst, q.SrcPort, q.DstPort)
	return k, d
}

// fill puts the smaller endpoint by (address, port) first: the direction says
// which one it is. There are no branches, since which endpoint is smaller is
// anyone's guess to the processor.
func (k *Key) fill(src, dst *Addr, srcPort, dstPort uint16) Dir {
	_, swap := bits.Sub64(uint64(dstPort), uint64(srcPort), 0)
	_, swap = bits.Sub64(dst.Lo, src.Lo, swap)
	_, swap = bits.Sub64(dst.Hi, src.Hi, swap)
	mask := -swap
	hi, lo, port := (src.Hi^dst.Hi)&mask, (src.Lo^dst.Lo)&mask, uint64(srcPort^dstPort)&mask
	k.A.Hi, k.A.Lo = src.Hi^hi, src.Lo^lo
	k.B.Hi, k.B.Lo = dst.Hi^hi, dst.Lo^lo
	k.Ports |= uint64(srcPort) ^ port | (uint64(dstPort)^port)<<16
	return Dir(swap)
}

// message is what of an ICMP message goes into a key.
type message struct {
	kind, code uint8
	id         uint16
}

// fillICMP is fill for an ICMP message. A reply is looked at as the request
// that it answers, and then turned round.
func (k *Key) fillICMP(src, dst *Addr, m message) Dir {
	turn := AtoB
	switch kindOf(uint8(k.Meta>>metaFam), m.kind) {
	case icmpReply:
		src, dst, turn = dst, src, BtoA
		m.kind, m.code = requestOf(m.kind), 0
	case icmpRequest:
		m.code = 0 // some replies have a code of their own
	}
	d := k.fill(src, dst, m.id, m.id)
	k.Meta |= uint64(m.kind)<<metaICMP | uint64(m.code)<<(metaICMP+8) | uint64(d)<<metaFlags
	return d ^ turn
}

// requestOf is the type that a reply answers. All but IPv4 echo (0 and 8)
// follow their request by one.
func requestOf(reply uint8) uint8 {
	if reply == 0 {
		return 8
	}
	return reply - 1
}

// Group is the group of wires that the flow belongs to.
func (k Key) Group() uint16 { return uint16(k.Meta) }

// Proto is the flow's IP protocol.
func (k Key) Proto() uint8 { return uint8(k.Meta >> metaProto) }

// Family is the flow's IP version, 4 or 6.
func (k Key) Family() Family { return Family(k.Meta >> metaFam) }

// PortA is the port of endpoint A, or the identifier of an ICMP query.
func (k Key) PortA() uint16 { return uint16(k.Ports) }

// PortB is the port of endpoint B, or the identifier of an ICMP query.
func (k Key) PortB() uint16 { return uint16(k.Ports >> 16) }

// VLANs are the VIDs that are not 0, outermost first.
func (k Key) VLANs() [2]uint16 {
	return [2]uint16{uint16(k.Ports >> 32), uint16(k.Ports >> 48)}
}

// ICMP is the type and code of an ICMP flow (of the request, where there is
// one, and then the code is 0), and who sends it. Zero for other protocols.
func (k Key) ICMP() (icmpType, icmpCode uint8, from Dir) {
	return uint8(k.Meta >> metaICMP), uint8(k.Meta >> (metaICMP + 8)), Dir(k.Meta >> metaFlags & 1)
}

// Netip is the address as net/netip has it, in the form of its family.
func (a Addr) Netip(family Family) netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], a.Hi)
	binary.BigEndian.PutUint64(b[8:], a.Lo)
	if family == 4 {
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return netip.AddrFrom16(b)
}

// AddrFrom is the reverse of Netip for either family. The zone of an IPv6
// address is left out; the zero netip.Addr gives the zero Addr.
func AddrFrom(a netip.Addr) Addr {
	b := a.As16()
	return Addr{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}
