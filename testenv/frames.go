// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"net"
	"net/netip"
)

// Frames are written as lists of layers, outermost first, and read like rules:
//
//	Frame(Ether{Src: a, Dst: b}, STag(7), Tag(10), IPv4{Src: x, Dst: y}, UDP{Dst: 53}, Bytes("hello"))
//
// Types, protocol numbers, lengths and checksums follow from the layers; what a layer does not say has a
// default that makes a valid frame. A field that is set wins, so that broken frames can be written too;
// what no field can break, Patch can.

// Layer is a header, or the payload. The layers are the types of this package that say so.
type Layer interface {
	// kind is how the layer outside names this one.
	kind() kind
	// wrap puts the layer in front of what it carries.
	wrap(body []byte, env env) []byte
}

// kind is how an outer layer names an inner one.
type kind struct {
	ether uint16 // EtherType; 0: none
	proto int    // IP protocol number; noProto: none
	llc   bool   // an 802.3 length stands in the place of the EtherType
}

// env is what a layer's fields follow from.
type env struct {
	next kind  // of the layer inside
	ip   addrs // of the nearest IP layer outside, for the pseudo-header
}

// addrs are the addresses of an IP layer.
type addrs struct{ src, dst netip.Addr }

const (
	noProto = -1
	// Numbers for experiments stand for a payload without one of its own (RFC 3692; IEEE 802a, local experimental).
	experimentalProto = 253
	experimentalEther = 0x88b5
)

// Defaults of addresses and MACs that a frame does not name.
var (
	defaultSrcMAC = net.HardwareAddr{0x02, 0xbb, 0, 0, 0, 1}
	defaultDstMAC = net.HardwareAddr{0x02, 0xbb, 0, 0, 0, 2}
	defaultSrc4   = netip.MustParseAddr("198.18.0.1")
	defaultDst4   = netip.MustParseAddr("198.18.0.2")
	defaultSrc6   = netip.MustParseAddr("2001:db8::1")
	defaultDst6   = netip.MustParseAddr("2001:db8::2")
)

// Broadcast is the MAC of everyone.
var Broadcast = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// Frame returns the bytes of the layers, outermost first. Without an Ether it is a packet, to be carried in
// another. The FCS is not part of it, nor is padding to 60 bytes (see Pad).
func Frame(layers ...Layer) []byte {
	outer := make([]addrs, len(layers)) // of the nearest IP layer outside each
	for i := 1; i < len(layers); i++ {
		outer[i] = outer[i-1]
		if ip, ok := layers[i-1].(interface{ addrs() addrs }); ok {
			outer[i] = ip.addrs()
		}
	}
	body, next := []byte(nil), kind{proto: noProto}
	for i := len(layers) - 1; i >= 0; i-- {
		body = layers[i].wrap(body, env{next: next, ip: outer[i]})
		next = layers[i].kind()
	}
	return body
}

// Pad returns a copy of the frame with zeroes up to size bytes; 60 is the least that a real cable carries.
func Pad(frame []byte, size int) []byte {
	out := make([]byte, max(len(frame), size))
	copy(out, frame)
	return out
}

// Patch returns a copy of the frame with the bytes at an offset replaced; it panics if they are not all inside.
func Patch(frame []byte, offset int, b ...byte) []byte {
	out := append([]byte(nil), frame...)
	copy(out[offset:offset+len(b)], b)
	return out
}

// Bytes is a payload, or a header that has no type here.
type Bytes string

func (Bytes) kind() kind                       { return kind{proto: noProto} }
func (b Bytes) wrap(body []byte, _ env) []byte { return append([]byte(b), body...) }

// Ether is the Ethernet header.
type Ether struct {
	Src, Dst net.HardwareAddr
	Type     uint16 // EtherType or length; 0: that of what follows
}

func (Ether) kind() kind { return kind{ether: 0x6558, proto: 143} } // bridged over GRE; RFC 8986

func (e Ether) wrap(body []byte, env env) []byte {
	b := append(mac(e.Dst, defaultDstMAC), mac(e.Src, defaultSrcMAC)...)
	b = be16(b, etherType(e.Type, env.next, len(body)))
	return append(b, body...)
}

// etherType is the type field in front of a body: as wished, or that of the next layer.
func etherType(wish uint16, next kind, length int) uint16 {
	switch {
	case wish != 0:
		return wish
	case next.llc:
		return uint16(length)
	case next.ether != 0:
		return next.ether
	}
	return experimentalEther
}

// VLAN is an 802.1Q tag, or one of another TPID. Any number of them may follow each other.
type VLAN struct {
	ID       uint16 // 12 bits
	Priority uint8  // 3 bits
	DEI      bool
	TPID     uint16 // 0: 0x8100
	Type     uint16 // EtherType or length; 0: that of what follows
}

// Tag is an 802.1Q tag.
func Tag(id uint16) VLAN { return VLAN{ID: id} }

// STag is an 802.1ad service tag (QinQ).
func STag(id uint16) VLAN { return VLAN{ID: id, TPID: 0x88a8} }

func (v VLAN) kind() kind { return kind{ether: or(v.TPID, 0x8100), proto: noProto} }

func (v VLAN) wrap(body []byte, env env) []byte {
	tci := uint16(v.Priority)<<13 | v.ID&0xfff
	if v.DEI {
		tci |= 1 << 12
	}
	b := be16(nil, tci)
	b = be16(b, etherType(v.Type, env.next, len(body)))
	return append(b, body...)
}

// LLC is an 802.2 header, which makes the frame one with a length instead of a type.
type LLC struct{ DSAP, SSAP, Control uint8 }

func (LLC) kind() kind { return kind{proto: noProto, llc: true} }

func (l LLC) wrap(body []byte, _ env) []byte {
	return append([]byte{l.DSAP, l.SSAP, l.Control}, body...)
}

// SNAP is an 802.2 header with the subnetwork access protocol, as RFC 1042 puts IP on 802.3.
type SNAP struct {
	OUI  [3]byte
	Type uint16 // 0: the EtherType of what follows
}

func (SNAP) kind() kind { return kind{proto: noProto, llc: true} }

func (s SNAP) wrap(body []byte, env env) []byte {
	b := append([]byte{0xaa, 0xaa, 0x03}, s.OUI[:]...)
	b = be16(b, etherType(s.Type, env.next, len(body)))
	return append(b, body...)
}

// ARP is an ARP packet for IPv4 over Ethernet (RFC 826); Op 1 asks, 2 answers.
type ARP struct {
	Op                   uint16 // 0: 1
	SenderMAC, TargetMAC net.HardwareAddr
	SenderIP, TargetIP   netip.Addr
}

func (ARP) kind() kind { return kind{ether: 0x0806, proto: noProto} }

func (a ARP) wrap(body []byte, _ env) []byte {
	b := []byte{0, 1, 8, 0, 6, 4}
	b = be16(b, or(a.Op, 1))
	b = append(b, mac(a.SenderMAC, defaultSrcMAC)...)
	b = append(b, ip(a.SenderIP, defaultSrc4)...)
	b = append(b, mac(a.TargetMAC, make(net.HardwareAddr, 6))...)
	b = append(b, ip(a.TargetIP, defaultDst4)...)
	return append(b, body...)
}

// be16 and be32 append a number in network order.
func be16(b []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(b, v) }
func be32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

// or is a if it is set, else b.
func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}

func mac(a, fallback net.HardwareAddr) []byte {
	if a == nil {
		a = fallback
	}
	return append([]byte(nil), a...)
}

func ip(a, fallback netip.Addr) []byte { return or(a, fallback).AsSlice() }
