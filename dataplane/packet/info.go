// SPDX-License-Identifier: Apache-2.0

package packet

// Addr is an IPv6 address, or an IPv4 address in its mapped form
// (::ffff:a.b.c.d, RFC 4291), as two words in big-endian order. A v4-mapped
// address inside an IPv6 packet has the same words as the IPv4 address: what
// tells them apart is the family, which is part of every key.
type Addr struct{ Hi, Lo uint64 }

// Family is the IP version of a packet: 4, 6, or 0 where there is no IP.
type Family = uint8

// Tunnel says which tunnel, if any, the outermost IP header carries. Tunnels
// are judged by their outermost header and only by rules that name them.
type Tunnel uint8

// The tunnels that are recognised, by IP protocol or by UDP destination port.
const (
	NoTunnel  Tunnel = iota
	IPIP             // protocol 4, RFC 2003
	SixInFour        // protocol 41, RFC 4213
	GRE              // protocol 47, RFC 2784
	EtherIP          // protocol 97, RFC 3378
	L2TP             // protocol 115, RFC 3931, and UDP 1701
	MPLSInIP         // protocol 137, RFC 4023, and UDP 6635, RFC 7510
	VXLAN            // UDP 4789, RFC 7348, and 8472
	VXLANGPE         // UDP 4790
	Geneve           // UDP 6081, RFC 8926
	GTP              // UDP 2152
	Teredo           // UDP 3544, RFC 4380
	GUE              // UDP 6080

	NumTunnels // how many there are, NoTunnel included
)

// Info is all that a decision needs of one frame. Parse fills it; a field
// holds what its comment says and is zero otherwise. The caller owns it and
// uses it again for the next frame.
type Info struct {
	Outcome Outcome // what the parser made of the frame
	Tunnel  Tunnel  // valid with IP and Fragment
	Family  Family  // 4 or 6 once an IP header was read
	Proto   uint8   // IP protocol of the transport header; valid with Family

	HopLimit uint8 // TTL or hop limit; valid with Family

	Tags      uint8     // 802.1Q and 802.1ad tags in the frame, 0 to 2 (3 with VLANDepth)
	Tag       uint16    // VID of the outermost tag; valid when Tags > 0, may be 0 (priority tag)
	VLAN      [2]uint16 // VIDs that are not 0, outermost first: what policy and flow see
	EtherType uint16    // of the payload, after tags and SNAP; 0 for LLC

	L3      uint16 // offset of the IP header; valid with Family
	L4      uint16 // offset of the transport header, or of a later fragment's data; valid with IP, ICMPError, Fragment
	End     uint16 // offset behind the IP packet's last byte (Ethernet padding begins there); valid with Family
	Payload uint16 // bytes behind the transport header; valid with IP (TCP, UDP)

	Src, Dst Addr // valid with Family

	// First fragments have FragmentMore and offset 0; whole packets neither.
	FragmentID     uint32 // identification; valid with Fragment and with FragmentMore
	FragmentOffset uint32 // of its data in the datagram, in bytes
	FragmentEnd    uint32 // behind its data in the datagram, in bytes; valid with Fragmented
	FragmentMore   bool   // more fragments follow
	Fragmented     bool   // part of a fragmented datagram (an atomic fragment, RFC 6946, is not)

	SrcPort, DstPort uint16 // TCP, UDP, SCTP
	ICMPType         uint8  // ICMP and ICMPv6
	ICMPCode         uint8  // ICMP and ICMPv6
	ICMPID           uint16 // identifier of a query and its reply (echo, timestamp ...)

	TCPFlags  uint8  // FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
	TCPWindow uint16 // unscaled
	TCPSeq    uint32
	TCPAck    uint32 // valid when the ACK flag is set

	Quote Quote // valid with ICMPError
}

// Quote is the packet that an ICMP error quotes, as it was sent: its source is
// the host that the error is for.
type Quote struct {
	Src, Dst         Addr
	SrcPort, DstPort uint16 // as in Info
	Family           Family
	Proto            uint8
	ICMPType         uint8
	ICMPCode         uint8
	ICMPID           uint16
}

// Key names a flow: the same 48 bytes for both directions of it. It has no
// pointers and no gaps, so that keys compare and hash as six words.
type Key struct {
	A, B  Addr   // the two endpoints; A is the smaller by (address, port)
	Ports uint64 // from the low end, 16 bits each: port of A, port of B, outer VID, inner VID
	Meta  uint64 // from the low end: group 16, protocol 8, family 8, ICMP type and code 16, flags 16
}

// Dir is the direction of a packet in its flow: the packet's source is
// endpoint A of the key (AtoB), or endpoint B (BtoA).
type Dir uint8

// The two directions.
const (
	AtoB Dir = iota
	BtoA
)
