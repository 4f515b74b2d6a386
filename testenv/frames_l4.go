// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"hash/crc32"
	"net"
	"net/netip"
)

// Flags of TCP.
const (
	FIN uint8 = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
)

// Numbers of the transport protocols.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// TCP is a TCP header (RFC 9293).
type TCP struct {
	Src, Dst uint16 // ports
	Seq, Ack uint32
	Flags    uint8 // as they are: TCP{} has none
	Window   uint16
	Urgent   uint16
	Options  []byte // padded with zeroes to a multiple of 4

	DataOffset  uint8 // in 4-byte words; 0: the right one
	BadChecksum bool
}

func (TCP) kind() kind { return kind{proto: protoTCP} }

func (t TCP) wrap(body []byte, env env) []byte {
	options := padTo(t.Options, 4, 0)
	b := be16(be16(nil, t.Src), t.Dst)
	b = be32(be32(b, t.Seq), t.Ack)
	b = append(b, or(t.DataOffset, uint8(5+len(options)/4))<<4, t.Flags)
	b = be16(b, or(t.Window, 64240))
	b = be16(be16(b, 0), t.Urgent)
	b = append(append(b, options...), body...)
	setSum(b, 16, transportSum(b, protoTCP, env), t.BadChecksum)
	return b
}

// UDP is a UDP header (RFC 768).
type UDP struct {
	Src, Dst    uint16 // ports
	Len         uint16 // 0: the right one
	NoChecksum  bool   // the field is zero
	BadChecksum bool
}

func (UDP) kind() kind { return kind{proto: protoUDP} }

func (u UDP) wrap(body []byte, env env) []byte {
	b := be16(be16(nil, u.Src), u.Dst)
	b = be16(b, or(u.Len, uint16(8+len(body))))
	b = append(be16(b, 0), body...)
	if !u.NoChecksum {
		setSum(b, 6, or(transportSum(b, protoUDP, env), 0xffff), u.BadChecksum)
	}
	return b
}

// transportSum is the checksum over the pseudo-header of the IP layer outside and b.
// Without an IP layer outside (a transport header put into a payload) it covers b alone.
func transportSum(b []byte, proto uint8, env env) uint16 {
	if !env.ip.src.IsValid() {
		return checksum(0, b)
	}
	return checksum(pseudoSum(env.ip, proto, len(b)), b)
}

// SCTP is an SCTP common header (RFC 9260); chunks follow as Bytes or Chunk.
type SCTP struct {
	Src, Dst    uint16 // ports
	Tag         uint32
	BadChecksum bool
}

func (SCTP) kind() kind { return kind{proto: protoSCTP} }

func (s SCTP) wrap(body []byte, _ env) []byte {
	b := be32(be16(be16(nil, s.Src), s.Dst), s.Tag)
	b = append(be32(b, 0), body...)
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	if s.BadChecksum {
		sum = ^sum
	}
	binary.LittleEndian.PutUint32(b[8:], sum) // RFC 9260, appendix A: the low byte first
	return b
}

// Chunk is one chunk of SCTP, padded to a multiple of 4 bytes; type 1 is INIT, 0 is DATA.
func Chunk(chunkType, flags uint8, value ...byte) Bytes {
	b := be16([]byte{chunkType, flags}, uint16(4+len(value)))
	return Bytes(padTo(append(b, value...), 4, 0))
}

// ICMP is an ICMP header of 8 bytes (RFC 792); an echo request is ICMP{Type: 8, ID: 1, Seq: 1}.
// An error carries the packet that it is about as what follows.
type ICMP struct {
	Type, Code  uint8
	ID, Seq     uint16 // the second four bytes; of a "fragmentation needed", Seq is the MTU
	BadChecksum bool
}

func (ICMP) kind() kind { return kind{proto: protoICMP} }

func (i ICMP) wrap(body []byte, _ env) []byte {
	b := append(be16(be16([]byte{i.Type, i.Code, 0, 0}, i.ID), i.Seq), body...)
	setSum(b, 2, checksum(0, b), i.BadChecksum)
	return b
}

// ICMPv6 is an ICMPv6 header of 8 bytes (RFC 4443); an echo request is ICMPv6{Type: 128, ID: 1, Seq: 1}.
type ICMPv6 struct {
	Type, Code  uint8
	ID, Seq     uint16 // the second four bytes; of a "packet too big", the MTU
	BadChecksum bool
}

func (ICMPv6) kind() kind { return kind{proto: protoICMPv6} }

func (i ICMPv6) wrap(body []byte, env env) []byte {
	b := append(be16(be16([]byte{i.Type, i.Code, 0, 0}, i.ID), i.Seq), body...)
	setSum(b, 2, transportSum(b, protoICMPv6, env), i.BadChecksum)
	return b
}

// ND is a neighbour solicitation (135) or advertisement (136) with one link-layer address option (RFC 4861).
// The IPv6 layer outside needs a hop limit of 255.
type ND struct {
	Type     uint8            // 0: 135
	Flags    uint8            // of an advertisement: 0x80 router, 0x40 solicited, 0x20 override
	Target   netip.Addr       // invalid: the default destination
	LinkAddr net.HardwareAddr // nil: no option
}

func (ND) kind() kind { return kind{proto: protoICMPv6} }

func (n ND) wrap(body []byte, env env) []byte {
	msg := ip(n.Target, defaultDst6)
	kind := or(n.Type, 135)
	if n.LinkAddr != nil {
		option := kind - 134 // source link-layer address for 135, target for 136
		msg = append(append(msg, option, 1), n.LinkAddr...)
	}
	return ICMPv6{Type: kind, ID: uint16(n.Flags) << 8}.wrap(append(msg, body...), env)
}
