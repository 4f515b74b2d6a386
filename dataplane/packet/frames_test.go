// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
)

// Frames are written as lists of layers, outermost first. A layer is given
// what is inside it and returns it with its header in front, so that lengths
// and checksums come out right unless a later layer spoils them.
type layer func(inside []byte) []byte

func build(layers ...layer) []byte {
	var b []byte
	for i := len(layers) - 1; i >= 0; i-- {
		b = layers[i](b)
	}
	return b
}

// Addresses that most frames have.
const (
	hostA4, hostB4 = "10.0.0.1", "10.0.0.2"
	hostA6, hostB6 = "2001:db8::1", "2001:db8::2"
	macA, macB     = "02000000000a", "02000000000b"
)

func raw(hexBytes string) layer {
	return func(inside []byte) []byte { return append(unhex(hexBytes), inside...) }
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func zeros(n int) layer {
	return func(inside []byte) []byte { return append(make([]byte, n), inside...) }
}

// padded puts bytes behind everything, as Ethernet does to short frames.
func padded(n int) layer {
	return func(inside []byte) []byte { return append(inside, make([]byte, n)...) }
}

// cut takes bytes from the end of everything inside.
func cut(n int) layer {
	return func(inside []byte) []byte { return inside[:len(inside)-n] }
}

// set overwrites bytes at an offset of everything inside.
func set(at int, bytes ...byte) layer {
	return func(inside []byte) []byte { copy(inside[at:], bytes); return inside }
}

func be16(v int) []byte    { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func join(parts ...[]byte) []byte {
	var b []byte
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

// Link layers.

func eth(etherType int) layer { return ethTo(macB, etherType) }

func ethTo(mac string, etherType int) layer {
	return func(inside []byte) []byte {
		return join(unhex(mac), unhex(macA), be16(etherType), inside)
	}
}

// tag stands behind a TPID: the control word, and the EtherType of what is in it.
func tag(vid, etherType int) layer {
	return func(inside []byte) []byte { return join(be16(vid), be16(etherType), inside) }
}

// eth802 is an IEEE 802.3 header: what is inside has its length in front.
func eth802(mac string) layer {
	return func(inside []byte) []byte {
		return join(unhex(mac), unhex(macA), be16(len(inside)), inside)
	}
}

// tag802 is a tag with a length behind it.
func tag802(vid int) layer {
	return func(inside []byte) []byte { return join(be16(vid), be16(len(inside)), inside) }
}

func snap(oui string, protocol int) layer {
	return func(inside []byte) []byte {
		return join(unhex("aaaa03"), unhex(oui), be16(protocol), inside)
	}
}

// IP layers. A change is made to the header before its checksum is summed up.

type change func(h []byte)

func put(at int, bytes ...byte) change { return func(h []byte) { copy(h[at:], bytes) } }

func put16(at, v int) change { return put(at, be16(v)...) }

func ip4(src, dst string, proto int, changes ...change) layer {
	return ip4Options("", src, dst, proto, changes...)
}

func ip4Options(options, src, dst string, proto int, changes ...change) layer {
	return func(inside []byte) []byte {
		s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
		o := unhex(options)
		h := join([]byte{0x45 + byte(len(o)/4), 0}, be16(20+len(o)+len(inside)), be32(0x12340000),
			[]byte{64, byte(proto), 0, 0}, s[:], d[:], o)
		for _, c := range changes {
			c(h)
		}
		binary.BigEndian.PutUint16(h[10:], ^slowSum(h))
		return append(h, inside...)
	}
}

func ip6(src, dst string, next int, changes ...change) layer {
	return func(inside []byte) []byte {
		s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
		h := join(be32(0x60000000), be16(len(inside)), []byte{byte(next), 64}, s[:], d[:])
		for _, c := range changes {
			c(h)
		}
		return append(h, inside...)
	}
}

// Changes to an IPv4 header.

func fragment(offset int, more bool) change {
	w := offset / 8
	if more {
		w |= 0x2000
	}
	return put16(6, w)
}

// hops sets the hop limit of an IPv6 header.
func hops(n byte) change { return put(7, n) }

// extension is an IPv6 extension header of so many bytes, all zero but for
// what is put into it.
func extension(next, size int, changes ...change) layer {
	return func(inside []byte) []byte {
		h := make([]byte, size)
		h[0], h[1] = byte(next), byte(size/8-1)
		for _, c := range changes {
			c(h)
		}
		return append(h, inside...)
	}
}

func frag6(next, offset int, more bool) layer {
	w := offset
	if more {
		w |= 1
	}
	return func(inside []byte) []byte {
		return join([]byte{byte(next), 0}, be16(w), be32(0xcafe), inside)
	}
}

func authentication(next, size int) layer {
	return extension(next, size, func(h []byte) { h[1] = byte(size/4 - 2) })
}

// Transport layers.

func tcp(src, dst, flags int, changes ...change) layer {
	return func(inside []byte) []byte {
		h := join(be16(src), be16(dst), be32(1000), be32(2000), []byte{0x50, byte(flags)}, be16(512), be32(0))
		for _, c := range changes {
			c(h)
		}
		return append(h, inside...)
	}
}

func udp(src, dst int) layer {
	return func(inside []byte) []byte {
		return join(be16(src), be16(dst), be16(8+len(inside)), be16(0), inside)
	}
}

func sctp(src, dst int) layer {
	return func(inside []byte) []byte {
		return join(be16(src), be16(dst), be32(7), be32(0), inside)
	}
}

// icmp is an ICMP or ICMPv6 header of 8 bytes; what is inside an error is its
// quote.
func icmp(icmpType, code, id int) layer {
	return func(inside []byte) []byte {
		return join([]byte{byte(icmpType), byte(code), 0, 0}, be16(id), be16(1), inside)
	}
}

// slowSum is the sum of RFC 1071, word by word.
func slowSum(b []byte) uint16 {
	s := 0
	for i := 0; i+1 < len(b); i += 2 {
		s += int(b[i])<<8 | int(b[i+1])
	}
	if len(b)%2 == 1 {
		s += int(b[len(b)-1]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// Whole frames that many tests use.

func tcp4Frame() []byte {
	return build(eth(0x0800), ip4(hostA4, hostB4, 6), tcp(40000, 443, FlagACK), zeros(6))
}

func udp4Frame() []byte {
	return build(padded(14), eth(0x0800), ip4(hostA4, hostB4, 17), udp(40000, 53), zeros(4))
}

func tcp6Frame() []byte {
	return build(eth(0x86dd), ip6(hostA6, hostB6, 6), tcp(40000, 443, FlagACK), zeros(6))
}

func udp6Frame() []byte {
	return build(eth(0x86dd), ip6(hostA6, hostB6, 17), udp(40000, 53), zeros(4))
}

func vlanFrame() []byte {
	return build(eth(0x8100), tag(100, 0x0800), ip4(hostA4, hostB4, 6), tcp(40000, 443, FlagACK), zeros(6))
}
