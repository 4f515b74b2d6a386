// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"net/netip"
)

// IPv4 is an IPv4 header (RFC 791).
type IPv4 struct {
	Src, Dst netip.Addr
	TTL      uint8 // 0: 64
	TOS      uint8
	ID       uint16
	DF, MF   bool
	Offset   uint16 // of a fragment, in units of 8 bytes
	Options  []byte // padded with zeroes (end of options) to a multiple of 4
	Proto    uint8  // 0: that of what follows

	IHL         uint8  // in 4-byte words; 0: the right one
	Len         uint16 // total length; 0: the right one
	BadChecksum bool
}

func (IPv4) kind() kind { return kind{ether: 0x0800, proto: 4} }

func (h IPv4) addrs() addrs { return addrs{or(h.Src, defaultSrc4), or(h.Dst, defaultDst4)} }

func (h IPv4) wrap(body []byte, env env) []byte {
	options := padTo(h.Options, 4, 0)
	size := 20 + len(options)
	flags := h.Offset & 0x1fff
	if h.DF {
		flags |= 0x4000
	}
	if h.MF {
		flags |= 0x2000
	}
	b := []byte{0x40 | or(h.IHL, uint8(size/4))&0xf, h.TOS}
	b = be16(b, or(h.Len, uint16(size+len(body))))
	b = be16(b, h.ID)
	b = be16(b, flags)
	b = append(b, or(h.TTL, 64), or(h.Proto, ipProto(env.next, experimentalProto)), 0, 0)
	b = append(b, h.addrs().src.AsSlice()...)
	b = append(b, h.addrs().dst.AsSlice()...)
	b = append(b, options...)
	setSum(b, 10, checksum(0, b), h.BadChecksum)
	return append(b, body...)
}

// IPv6 is an IPv6 header (RFC 8200).
type IPv6 struct {
	Src, Dst     netip.Addr
	HopLimit     uint8 // 0: 64
	TrafficClass uint8
	FlowLabel    uint32 // 20 bits
	Next         uint8  // 0: that of what follows
	Len          uint16 // of the payload; 0: the right one
}

func (IPv6) kind() kind { return kind{ether: 0x86dd, proto: 41} }

func (h IPv6) addrs() addrs { return addrs{or(h.Src, defaultSrc6), or(h.Dst, defaultDst6)} }

func (h IPv6) wrap(body []byte, env env) []byte {
	b := be32(nil, 6<<28|uint32(h.TrafficClass)<<20|h.FlowLabel&0xfffff)
	b = be16(b, or(h.Len, uint16(len(body))))
	b = append(b, or(h.Next, ipProto(env.next, noNextHeader)), or(h.HopLimit, 64))
	b = append(b, h.addrs().src.AsSlice()...)
	b = append(b, h.addrs().dst.AsSlice()...)
	return append(b, body...)
}

// Numbers of extension headers (RFC 8200, section 4).
const (
	protoHopByHop = 0
	protoRouting  = 43
	protoFragment = 44
	protoAH       = 51
	noNextHeader  = 59
	protoDestOpts = 60
)

// ipProto is the protocol number of what follows; a bare payload after IPv6 is announced as no next header.
func ipProto(next kind, bare uint8) uint8 {
	if next.proto == noProto {
		return bare
	}
	return uint8(next.proto)
}

// Ext is an IPv6 extension header of the common form: next header, length, body.
type Ext struct {
	Proto uint8  // its own number
	Body  []byte // padded with PadN to the next multiple of 8 bytes, less 2
	Next  uint8  // 0: that of what follows
	Len   uint8  // in 8-byte units beyond the first; 0: the right one
}

// HopByHop is a hop-by-hop options header with the options given (type, length, value each).
func HopByHop(options ...byte) Ext { return Ext{Proto: protoHopByHop, Body: options} }

// DestOpts is a destination options header.
func DestOpts(options ...byte) Ext { return Ext{Proto: protoDestOpts, Body: options} }

// Routing is a routing header of a type with no segments left.
func Routing(routingType byte) Ext {
	return Ext{Proto: protoRouting, Body: []byte{routingType, 0, 0, 0, 0, 0}}
}

func (e Ext) kind() kind { return kind{proto: int(e.Proto)} }

func (e Ext) wrap(body []byte, env env) []byte {
	options := append([]byte(nil), e.Body...)
	switch pad := -(len(options) + 2) & 7; pad {
	case 0:
	case 1:
		options = append(options, 0) // Pad1
	default:
		options = append(append(options, 1, byte(pad-2)), make([]byte, pad-2)...) // PadN
	}
	b := []byte{or(e.Next, ipProto(env.next, noNextHeader)), or(e.Len, uint8((len(options)+2)/8-1))}
	return append(append(b, options...), body...)
}

// Fragment6 is an IPv6 fragment header.
type Fragment6 struct {
	Offset uint16 // in units of 8 bytes
	More   bool
	ID     uint32
	Next   uint8 // 0: that of what follows
}

func (Fragment6) kind() kind { return kind{proto: protoFragment} }

func (f Fragment6) wrap(body []byte, env env) []byte {
	b := []byte{or(f.Next, ipProto(env.next, noNextHeader)), 0}
	off := f.Offset << 3
	if f.More {
		off |= 1
	}
	return append(be32(be16(b, off), f.ID), body...)
}

// AH is an authentication header (RFC 4302); its ICV is padded to a multiple of 8 bytes less 4.
type AH struct {
	SPI, Seq uint32
	ICV      []byte
	Next     uint8 // 0: that of what follows
}

func (AH) kind() kind { return kind{proto: protoAH} }

func (a AH) wrap(body []byte, env env) []byte {
	icv := append(append([]byte(nil), a.ICV...), make([]byte, -(len(a.ICV)+12)&7)...)
	b := []byte{or(a.Next, ipProto(env.next, noNextHeader)), byte((12+len(icv))/4 - 2), 0, 0}
	b = be32(be32(b, a.SPI), a.Seq)
	return append(append(b, icv...), body...)
}

// padTo returns a copy of b, filled up to a multiple of n bytes.
func padTo(b []byte, n int, fill byte) []byte {
	b = append([]byte(nil), b...)
	for len(b)%n != 0 {
		b = append(b, fill)
	}
	return b
}

// checksum is the internet checksum (RFC 1071) over b, on top of a partial sum.
func checksum(partial uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		partial += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		partial += uint32(b[0]) << 8
	}
	for partial > 0xffff {
		partial = partial>>16 + partial&0xffff
	}
	return ^uint16(partial)
}

// pseudoSum is the partial sum of the pseudo-header (RFC 9293, RFC 8200 section 8.1).
func pseudoSum(a addrs, proto uint8, length int) uint32 {
	b := append(a.src.AsSlice(), a.dst.AsSlice()...)
	b = be32(b, uint32(length))
	b = be32(b, uint32(proto))
	return uint32(^checksum(0, b))
}

// setSum writes a checksum at an offset, or a wrong one.
func setSum(b []byte, offset int, sum uint16, bad bool) {
	if bad {
		sum ^= 0x5555
	}
	binary.BigEndian.PutUint16(b[offset:], sum)
}
