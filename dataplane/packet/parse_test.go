// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"fmt"
	"strings"
	"testing"
)

// outcomeTests read like rules: this frame is that. They are grouped in the
// order of the outcomes, and every outcome but Unparsed must be among them.
var outcomeTests = []struct {
	want   Outcome
	name   string
	layers []layer
}{
	// What flow table and policy judge.
	{IP, "TCP over IPv4", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN)}},
	{IP, "UDP over IPv4", []layer{eth(0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "SCTP over IPv4", []layer{eth(0x0800), ip4(hostA4, hostB4, 132), sctp(1, 2)}},
	{IP, "TCP over IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 6), tcp(1, 2, FlagSYN)}},
	{IP, "UDP over IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{IP, "SCTP over IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 132), sctp(1, 2)}},
	{IP, "echo request", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 1)}},
	{IP, "ICMPv6 echo request", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(128, 0, 1)}},
	{IP, "a message of ICMPv6 with 4 bytes", []layer{eth(0x86dd), ip6(hostA6, "ff02::16", 58), raw("8f000000")}},
	{IP, "ESP", []layer{eth(0x0800), ip4(hostA4, hostB4, 50), zeros(3)}},
	{IP, "no next header", []layer{eth(0x86dd), ip6(hostA6, hostB6, 59)}},
	{IP, "ICMPv6 number in IPv4 is opaque", []layer{eth(0x0800), ip4(hostA4, hostB4, 58)}},
	{IP, "ICMP number in IPv6 is opaque", []layer{eth(0x86dd), ip6(hostA6, hostB6, 1)}},
	{IP, "IPv6 extension headers in IPv4 are opaque", []layer{eth(0x0800), ip4(hostA4, hostB4, 60)}},
	{IP, "UDP-Lite is opaque", []layer{eth(0x0800), ip4(hostA4, hostB4, 136)}},
	{IP, "Ethernet padding", []layer{padded(26), eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN)}},
	{IP, "one tag", []layer{eth(0x8100), tag(100, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "two tags", []layer{eth(0x88a8), tag(100, 0x8100), tag(200, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "tag 9100", []layer{eth(0x9100), tag(100, 0x86dd), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{IP, "two priority tags", []layer{eth(0x8100), tag(0, 0x8100), tag(0, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "IPv4 in SNAP", []layer{eth802(macB), snap("000000", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "IPv6 in SNAP", []layer{eth802(macB), snap("000000", 0x86dd), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{IP, "SNAP behind a tag", []layer{eth(0x8100), tag802(100), snap("000000", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "router alert", []layer{eth(0x0800), ip4Options("94040000", hostA4, "224.0.0.22", 2), zeros(8)}},
	{IP, "options behind the end of options are not read", []layer{eth(0x0800), ip4Options("01008300", hostA4, hostB4, 17), udp(1, 2)}},
	{IP, "DHCP from nobody", []layer{eth(0x0800), ip4("0.0.0.0", "255.255.255.255", 17), udp(68, 67)}},
	{IP, "nobody to nobody", []layer{eth(0x0800), ip4("0.0.0.0", "0.0.0.0", 17), udp(1, 2)}},
	{IP, "BFD echo comes back to its sender", []layer{eth(0x0800), ip4(hostA4, hostA4, 17), udp(49152, 3785)}},
	{IP, "BFD echo over IPv6", []layer{eth(0x86dd), ip6(hostA6, hostA6, 17), udp(49152, 3785)}},
	{IP, "hop-by-hop options first", []layer{eth(0x86dd), ip6(hostA6, hostB6, 0), extension(17, 8), udp(1, 2)}},
	{IP, "eight headers", append([]layer{eth(0x86dd), ip6(hostA6, hostB6, 60)}, chain(8, 17, udp(1, 2))...)},
	{IP, "a chain of 512 bytes", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(17, 512), udp(1, 2)}},
	{IP, "routing header that is used up", []layer{eth(0x86dd), ip6(hostA6, hostB6, 43), extension(17, 24, put(2, 4, 0)), udp(1, 2)}},
	{IP, "authentication header in IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 51), authentication(6, 24), tcp(1, 2, FlagSYN)}},
	{IP, "authentication header in IPv4", []layer{eth(0x0800), ip4(hostA4, hostB4, 51), authentication(6, 12), tcp(1, 2, FlagSYN)}},
	{IP, "atomic fragment", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 0, false), udp(1, 2)}},
	{IP, "first fragment", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(0, true)), set(4, 0x10), udp(1, 2), zeros(8)}},
	{IP, "first fragment of IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 0, true), set(4, 0x10), udp(1, 2), zeros(8)}},
	{IP, "first fragment of an opaque protocol", []layer{eth(0x0800), ip4(hostA4, hostB4, 89, fragment(0, true)), zeros(8)}},
	{IP, "UDP datagram shorter than its packet", []layer{eth(0x0800), ip4(hostA4, hostB4, 17), padded(4), udp(1, 2)}},
	{IP, "TCP with options", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN, put(12, 0xf0)), zeros(40)}},

	{Fragment, "later fragment", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(8, true)), zeros(8)}},
	{Fragment, "last fragment of odd length", []layer{eth(0x0800), ip4(hostA4, hostB4, 6, fragment(24, false)), zeros(3)}},
	{Fragment, "later fragment of IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 8, false), zeros(3)}},
	{Fragment, "headers in a later fragment are not walked", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(43, 8, false), zeros(3)}},
	{Fragment, "it ends with byte 65,535", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(65512, false)), zeros(3)}},

	{ICMPError, "unreachable", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(3, 4, 0), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPError, "source quench", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(4, 0, 0), ip4(hostA4, hostB4, 6), zeros(8)}},
	{ICMPError, "redirect", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(5, 1, 0), ip4(hostA4, hostB4, 132), sctp(1, 2)}},
	{ICMPError, "time exceeded for an echo", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(11, 0, 0), ip4(hostA4, hostB4, 1), icmp(8, 0, 5)}},
	{ICMPError, "parameter problem of ESP", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(12, 0, 0), ip4(hostA4, hostB4, 50)}},
	{ICMPError, "quote with options", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(3, 0, 0), ip4Options("94040000", hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPError, "quote with a wrong checksum and length", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(3, 0, 0), set(2, 0xff, 0xff), set(10, 0xff), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPError, "quote of a first fragment", []layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(3, 0, 0), ip4(hostA4, hostB4, 17, fragment(0, true)), udp(1, 2)}},
	{ICMPError, "ICMPv6 packet too big", []layer{eth(0x86dd), ip6("2001:db8::9", hostA6, 58), icmp(2, 0, 0), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{ICMPError, "ICMPv6 quote with extension headers", []layer{eth(0x86dd), ip6("2001:db8::9", hostA6, 58), icmp(1, 0, 0), ip6(hostA6, hostB6, 60), extension(44, 8), frag6(6, 0, true), tcp(1, 2, FlagSYN)}},

	// Link control.
	{ARP, "ARP", []layer{eth(0x0806), zeros(28)}},
	{ARP, "RARP in a VLAN", []layer{eth(0x8100), tag(7, 0x8035), zeros(28)}},
	{ARP, "ARP in SNAP", []layer{eth802(macB), snap("000000", 0x0806), zeros(28)}},
	{ND, "router solicitation", []layer{eth(0x86dd), ip6("fe80::1", "ff02::2", 58, hops(255)), icmp(133, 0, 0)}},
	{ND, "router advertisement", []layer{eth(0x86dd), ip6("fe80::1", "ff02::1", 58, hops(255)), icmp(134, 0, 0), zeros(8)}},
	{ND, "duplicate address detection", []layer{eth(0x86dd), ip6("::", "ff02::1:ff00:1", 58, hops(255)), icmp(135, 0, 0), zeros(16)}},
	{ND, "neighbour advertisement", []layer{eth(0x86dd), ip6("fe80::1", "fe80::2", 58, hops(255)), icmp(136, 0, 0), zeros(16)}},
	{ND, "redirect", []layer{eth(0x86dd), ip6("fe80::1", "fe80::2", 58, hops(255)), icmp(137, 0, 0), zeros(32)}},
	{STP, "spanning tree", []layer{padded(8), eth802("0180c2000000"), raw("424203 0000 00 00"), zeros(31)}},
	{RSTP, "rapid spanning tree of a provider", []layer{eth802("0180c2000008"), raw("424203 0000 02 02"), zeros(32)}},
	{MSTP, "multiple spanning tree", []layer{eth802("0180c2000000"), raw("424203 0000 03 02"), zeros(32)}},
	{MSTP, "shortest path bridging", []layer{eth802("0180c2000000"), raw("424203 0000 04 02"), zeros(32)}},
	{PVST, "PVST+ in a VLAN", []layer{ethTo("01000ccccccd", 0x8100), tag802(5), snap("00000c", 0x010b), zeros(42)}},
	{Slow, "LACP", []layer{ethTo("0180c2000002", 0x8809), zeros(110)}},
	{LLDP, "LLDP", []layer{ethTo("0180c200000e", 0x88cc), zeros(46)}},
	{CDP, "CDP", []layer{eth802("01000ccccccc"), snap("00000c", 0x2000), zeros(30)}},
	{UDLD, "UDLD", []layer{eth802("01000ccccccc"), snap("00000c", 0x0111), zeros(30)}},
	{EAPOL, "EAPOL", []layer{ethTo("0180c2000003", 0x888e), zeros(46)}},
	{PTP, "PTP", []layer{ethTo("011b19000000", 0x88f7), zeros(46)}},
	{ISIS, "IS-IS", []layer{eth802("0180c2000014"), raw("fefe03 83"), zeros(30)}},
	{CFM, "CFM", []layer{ethTo("0180c2000030", 0x8902), zeros(46)}},

	// Faults of the link layer.
	{Truncated, "no bytes", nil},
	{Truncated, "13 bytes", []layer{zeros(13)}},
	{Truncated, "half a tag", []layer{eth(0x8100), zeros(3)}},
	{Truncated, "half a second tag", []layer{eth(0x8100), tag(5, 0x8100), zeros(3)}},
	{Truncated, "length beyond the frame", []layer{cut(1), eth802(macB), snap("000000", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{Truncated, "length of 2", []layer{padded(40), eth802(macB), raw("aaaa")}},
	{Truncated, "half a SNAP header", []layer{padded(40), eth802(macB), raw("aaaa03 000000 08")}},
	{Truncated, "half a BPDU", []layer{padded(40), eth802("0180c2000000"), raw("424203 0000 00")}},
	{Truncated, "ISO without a protocol", []layer{padded(40), eth802("0180c2000014"), raw("fefe03")}},
	{Truncated, "half an ARP", []layer{eth(0x0806), zeros(27)}},
	{Truncated, "half an ARP in SNAP", []layer{padded(40), eth802(macB), snap("000000", 0x0806), zeros(27)}},
	{VLANDepth, "three tags", []layer{eth(0x8100), tag(1, 0x8100), tag(2, 0x8100), tag(3, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{VLANDepth, "three priority tags", []layer{eth(0x8100), tag(0, 0x88a8), tag(0, 0x9100), tag(0, 0x0800)}},
	{MACsec, "MACsec", []layer{eth(0x88e5), zeros(46)}},
	{MACsec, "MACsec in SNAP", []layer{eth802(macB), snap("000000", 0x88e5), zeros(46)}},
	{MPLS, "MPLS", []layer{eth(0x8847), zeros(46)}},
	{MPLS, "MPLS, upstream label", []layer{eth(0x8848), zeros(46)}},
	{PPPoE, "PPPoE discovery", []layer{eth(0x8863), zeros(46)}},
	{PPPoE, "PPPoE session", []layer{eth(0x8864), zeros(46)}},
	{PBB, "backbone bridging", []layer{eth(0x88e7), zeros(46)}},
	{NSH, "service header", []layer{eth(0x894f), zeros(46)}},
	{LLC, "a length between 1500 and 1536", []layer{eth(1501), raw("aaaa03 000000 0800"), zeros(1501)}},
	{LLC, "NetWare without LLC", []layer{eth802(macB), raw("ffff"), zeros(46)}},
	{LLC, "IP by its own SAP", []layer{eth802(macB), raw("060603"), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "SNAP with another control field", []layer{eth802(macB), raw("aaaaf3 000000 0800"), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "SNAP as a response", []layer{eth802(macB), raw("aaab03 000000 0800"), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "SNAP of a bridge tunnel", []layer{eth802(macB), snap("0000f8", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "a tag in SNAP", []layer{eth802(macB), snap("000000", 0x8100), tag(5, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "a length in SNAP", []layer{eth802(macB), snap("000000", 40), zeros(40)}},
	{LLC, "BPDU to a host", []layer{eth802(macB), raw("424203 0000 00 00"), zeros(31)}},
	{LLC, "BPDU to a group that bridges forward", []layer{eth802("0180c2000010"), raw("424203 0000 00 00"), zeros(31)}},
	{LLC, "BPDU of another protocol", []layer{eth802("0180c2000000"), raw("424203 0001 00 00"), zeros(31)}},
	{LLC, "BPDU version 1", []layer{eth802("0180c2000000"), raw("424203 0000 01 00"), zeros(31)}},
	{LLC, "CDP to a host", []layer{eth802(macB), snap("00000c", 0x2000), zeros(30)}},
	{LLC, "VTP", []layer{eth802("01000ccccccc"), snap("00000c", 0x2003), zeros(30)}},
	{LLC, "IP by its ISO number", []layer{eth802("0180c2000014"), raw("fefe03 cc"), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{LLC, "IPv6 by its ISO number", []layer{eth802("0180c2000014"), raw("fefe03 8e"), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{LLC, "SNAP by its ISO number", []layer{eth802("0180c2000014"), raw("fefe03 80 000000 0800"), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{EtherType, "AppleTalk", []layer{eth(0x809b), zeros(46)}},
	{EtherType, "the smallest EtherType", []layer{eth(0x0600), zeros(46)}},
	{EtherType, "an E-tag", []layer{eth(0x893f), zeros(46)}},

	// Faults of IP.
	{IPv4Header, "19 bytes", []layer{eth(0x0800), raw("45"), zeros(18)}},
	{IPv4Header, "version 6", []layer{eth(0x0800), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{IPv4Header, "header of 16 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, put(0, 0x44)), udp(1, 2)}},
	{IPv4Header, "header longer than the packet", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, put(0, 0x4f)), udp(1, 2)}},
	{IPv4Header, "total length of 19", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, put16(2, 19)), udp(1, 2)}},
	{IPv4Header, "total length of 0", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, put16(2, 0)), udp(1, 2)}},
	{IPv4Header, "total length beyond the frame", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, put16(2, 29)), udp(1, 2)}},
	{IPv4Header, "total length beyond the length of IEEE 802.3", []layer{padded(8), eth802(macB), snap("000000", 0x0800), cut(8), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Header, "option of length 1", []layer{eth(0x0800), ip4Options("07010000", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Header, "option beyond the header", []layer{eth(0x0800), ip4Options("07050000", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Header, "option without a length", []layer{eth(0x0800), ip4Options("01010107", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Header, "fragment of 9 bytes that is not the last", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(8, true)), zeros(9)}},
	{IPv4Header, "authentication header cut short", []layer{eth(0x0800), ip4(hostA4, hostB4, 51), cut(4), authentication(6, 12)}},
	{IPv4Header, "authentication header of 8 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 51), authentication(6, 8), tcp(1, 2, FlagSYN)}},
	{IPv4Checksum, "checksum", []layer{eth(0x0800), set(10, 0xab, 0xcd), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Checksum, "checksum of 0", []layer{eth(0x0800), set(10, 0, 0), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4Checksum, "checksum with options", []layer{eth(0x0800), set(23, 1), ip4Options("94040000", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4SourceRoute, "loose source route", []layer{eth(0x0800), ip4Options("830704 0a000003 00", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv4SourceRoute, "strict source route behind others", []layer{eth(0x0800), ip4Options("01 890704 0a000003", hostA4, hostB4, 17), udp(1, 2)}},
	{IPv6Header, "39 bytes", []layer{eth(0x86dd), raw("60"), zeros(38)}},
	{IPv6Header, "version 4", []layer{eth(0x86dd), ip4(hostA4, hostB4, 17), udp(1, 2), zeros(20)}},
	{IPv6Header, "payload beyond the frame", []layer{eth(0x86dd), ip6(hostA6, hostB6, 17, put16(4, 9)), udp(1, 2)}},
	{IPv6Header, "payload beyond the length of IEEE 802.3", []layer{padded(8), eth802(macB), snap("000000", 0x86dd), cut(8), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{IPv6Header, "fragment of 9 bytes that is not the last", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 8, true), zeros(9)}},
	{IPv6Chain, "nine headers", append([]layer{eth(0x86dd), ip6(hostA6, hostB6, 60)}, chain(9, 17, udp(1, 2))...)},
	{IPv6Chain, "a chain of 520 bytes", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(17, 520), udp(1, 2)}},
	{IPv6Chain, "options beyond the packet", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(17, 8, put(1, 1))}},
	{IPv6Chain, "7 bytes of options", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), zeros(7)}},
	{IPv6Chain, "hop-by-hop options not first", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(0, 8), extension(17, 8), udp(1, 2)}},
	{IPv6Chain, "authentication header of odd length", []layer{eth(0x86dd), ip6(hostA6, hostB6, 51), authentication(6, 12), zeros(4), tcp(1, 2, FlagSYN)}},
	{IPv6Routing, "type 0, used up", []layer{eth(0x86dd), ip6(hostA6, hostB6, 43), extension(17, 24), udp(1, 2)}},
	{IPv6Routing, "segments left", []layer{eth(0x86dd), ip6(hostA6, hostB6, 43), extension(17, 24, put(2, 4, 1)), udp(1, 2)}},
	{IPv6Fragments, "two fragment headers", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(44, 0, true), frag6(17, 0, true), udp(1, 2)}},
	{IPv6Fragments, "two atomic fragment headers", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(60, 0, false), extension(44, 8), frag6(17, 0, false), udp(1, 2)}},
	{IPv6Jumbogram, "jumbo payload option", []layer{eth(0x86dd), ip6(hostA6, hostB6, 0, put16(4, 0)), raw("1100c20400000010"), udp(1, 2)}},
	{FragmentTiny, "first fragment with 8 bytes of TCP", []layer{eth(0x0800), ip4(hostA4, hostB4, 6, fragment(0, true)), cut(12), tcp(1, 2, FlagSYN)}},
	{FragmentTiny, "first fragment without all TCP options", []layer{eth(0x0800), ip4(hostA4, hostB4, 6, fragment(0, true)), tcp(1, 2, FlagSYN, put(12, 0x70)), zeros(4)}},
	{FragmentTiny, "first fragment with no data", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(0, true))}},
	{FragmentTiny, "first fragment with 8 bytes of SCTP", []layer{eth(0x0800), ip4(hostA4, hostB4, 132, fragment(0, true)), zeros(8)}},
	{FragmentTiny, "first fragment with no ICMP", []layer{eth(0x0800), ip4(hostA4, hostB4, 1, fragment(0, true))}},
	{FragmentTiny, "first fragment with no ICMPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(58, 0, true)}},
	{FragmentTiny, "first fragment with half an authentication header", []layer{eth(0x0800), ip4(hostA4, hostB4, 51, fragment(0, true)), raw("0604"), zeros(14)}},
	{FragmentTiny, "the chain goes on in the second fragment", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(60, 0, true), extension(6, 8, put(1, 1))}},
	{FragmentTiny, "later fragment over the TCP flags", []layer{eth(0x0800), ip4(hostA4, hostB4, 6, fragment(8, false)), zeros(8)}},
	{FragmentTiny, "later fragment over the TCP options' beginning", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(6, 16, false), zeros(8)}},
	{FragmentTiny, "later fragment over the SCTP checksum", []layer{eth(0x0800), ip4(hostA4, hostB4, 132, fragment(8, false)), zeros(8)}},
	{FragmentLong, "ping of death", []layer{eth(0x0800), ip4(hostA4, hostB4, 1, fragment(65528, false)), zeros(8)}},
	{FragmentLong, "one byte over, with the header", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(65512, false)), zeros(4)}},
	{FragmentLong, "IPv6 payload over 65,535", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 65528, false), zeros(8)}},
	{FragmentLong, "with the headers that are repeated", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(44, 8), frag6(17, 65528, false)}},
	{NDInvalid, "from beyond a router", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58, hops(254)), icmp(135, 0, 0), zeros(16)}},
	{NDInvalid, "in a first fragment", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44, hops(255)), frag6(58, 0, true), icmp(134, 0, 0), zeros(8)}},
	{NDInvalid, "in an atomic fragment", []layer{eth(0x86dd), ip6(hostA6, hostB6, 44, hops(255)), frag6(58, 0, false), icmp(134, 0, 0), zeros(8)}},
	{NDInvalid, "with a code", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58, hops(255)), icmp(135, 1, 0), zeros(16)}},
	{BadAddress, "from a multicast group", []layer{eth(0x0800), ip4("224.0.0.1", hostB4, 17), udp(1, 2)}},
	{BadAddress, "from the last multicast address", []layer{eth(0x0800), ip4("239.255.255.255", hostB4, 17), udp(1, 2)}},
	{BadAddress, "from class E", []layer{eth(0x0800), ip4("240.0.0.1", hostB4, 17), udp(1, 2)}},
	{BadAddress, "from the broadcast address", []layer{eth(0x0800), ip4("255.255.255.255", hostB4, 17), udp(1, 2)}},
	{BadAddress, "from loopback", []layer{eth(0x0800), ip4("127.0.0.1", hostB4, 17), udp(1, 2)}},
	{BadAddress, "to loopback", []layer{eth(0x0800), ip4(hostA4, "127.255.255.255", 17), udp(1, 2)}},
	{BadAddress, "a later fragment from loopback", []layer{eth(0x0800), ip4("127.0.0.1", hostB4, 17, fragment(8, false)), zeros(8)}},
	{BadAddress, "IPv6 from a multicast group", []layer{eth(0x86dd), ip6("ff02::1", hostB6, 17), udp(1, 2)}},
	{BadAddress, "IPv6 from loopback", []layer{eth(0x86dd), ip6("::1", hostB6, 17), udp(1, 2)}},
	{BadAddress, "IPv6 to loopback", []layer{eth(0x86dd), ip6(hostA6, "::1", 17), udp(1, 2)}},
	{BadAddress, "from a mapped address", []layer{eth(0x86dd), ip6("::ffff:10.0.0.1", hostB6, 17), udp(1, 2)}},
	{BadAddress, "to a mapped address", []layer{eth(0x86dd), ip6(hostA6, "::ffff:10.0.0.1", 17), udp(1, 2)}},
	{Land, "TCP to itself", []layer{eth(0x0800), ip4(hostA4, hostA4, 6), tcp(80, 80, FlagSYN)}},
	{Land, "IPv6 to itself", []layer{eth(0x86dd), ip6(hostA6, hostA6, 17), udp(1, 2)}},
	{Land, "the port of BFD echo in TCP", []layer{eth(0x0800), ip4(hostA4, hostA4, 6), tcp(1, 3785, FlagSYN)}},

	// Faults of the transport layer.
	{TCPHeader, "19 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), cut(1), tcp(1, 2, FlagSYN)}},
	{TCPHeader, "data offset of 4", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN, put(12, 0x40))}},
	{TCPHeader, "data offset beyond the packet", []layer{eth(0x86dd), ip6(hostA6, hostB6, 6), tcp(1, 2, FlagSYN, put(12, 0x60))}},
	{TCPHeader, "options in the padding", []layer{padded(8), eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN, put(12, 0x60))}},
	{TCPFlags, "none", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, 0)}},
	{TCPFlags, "all", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, 0x3f)}},
	{TCPFlags, "SYN and FIN", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN|FlagFIN|FlagACK)}},
	{TCPFlags, "SYN and RST", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagSYN|FlagRST)}},
	{TCPFlags, "FIN without ACK", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagFIN)}},
	{UDPHeader, "7 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 17), cut(1), udp(1, 2)}},
	{UDPHeader, "length of 7", []layer{eth(0x0800), ip4(hostA4, hostB4, 17), set(4, 0, 7), udp(1, 2)}},
	{UDPHeader, "length of 0", []layer{eth(0x86dd), ip6(hostA6, hostB6, 17), set(4, 0, 0), udp(1, 2)}},
	{UDPHeader, "length beyond the packet", []layer{padded(8), eth(0x0800), ip4(hostA4, hostB4, 17), set(4, 0, 9), udp(1, 2)}},
	{SCTPHeader, "11 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 132), cut(1), sctp(1, 2)}},
	{ICMPHeader, "7 bytes", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), cut(1), icmp(8, 0, 1)}},
	{ICMPHeader, "ICMPv6, 3 bytes", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), zeros(3)}},
	{ICMPHeader, "ICMPv6 echo, 7 bytes", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), cut(1), icmp(128, 0, 1)}},
	{ICMPHeader, "neighbour solicitation, 23 bytes", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58, hops(255)), icmp(135, 0, 0), zeros(15)}},
	{ICMPHeader, "error without a quote", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0)}},
	{ICMPHeader, "quote of 27 bytes", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), cut(1), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPHeader, "quote with half its options", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), cut(9), ip4Options("94040000", hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPHeader, "quote of another version", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), ip6(hostA6, hostB6, 17), udp(1, 2)}},
	{ICMPHeader, "ICMPv6 quote of another version", []layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(1, 0, 0), ip4(hostA4, hostB4, 17), udp(1, 2), zeros(40)}},
	{ICMPHeader, "quote with a header of 16 bytes", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), ip4(hostA4, hostB4, 17, put(0, 0x44)), udp(1, 2)}},
	{ICMPHeader, "quote of a later fragment", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), ip4(hostA4, hostB4, 17, fragment(64, false)), zeros(8)}},
	{ICMPHeader, "ICMPv6 quote of a later fragment", []layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(1, 0, 0), ip6(hostA6, hostB6, 44), frag6(17, 8, false), zeros(8)}},
	{ICMPHeader, "ICMPv6 quote with half a chain", []layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(1, 0, 0), ip6(hostA6, hostB6, 60), zeros(7)}},
	{ICMPHeader, "ICMPv6 quote with nine headers", append([]layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(1, 0, 0), ip6(hostA6, hostB6, 60)}, chain(9, 17, udp(1, 2))...)},
	{ICMPHeader, "quote of an error", []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 0, 0), ip4(hostA4, hostB4, 1), icmp(3, 0, 0), zeros(28)}},
	{ICMPHeader, "ICMPv6 quote of an error", []layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(1, 0, 0), ip6(hostA6, hostB6, 58), icmp(1, 0, 0), zeros(48)}},
	{ICMPHeader, "quote of a packet that its receiver did not send", []layer{eth(0x0800), ip4(hostB4, "10.0.0.3", 1), icmp(3, 0, 0), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	{ICMPHeader, "error in a fragment", []layer{eth(0x0800), ip4(hostB4, hostA4, 1, fragment(0, true)), icmp(3, 0, 0), ip4(hostA4, hostB4, 17), udp(1, 2), zeros(4)}},
}

// chain is n headers of destination options, and what they lead to.
func chain(n, last int, inside ...layer) []layer {
	var l []layer
	for range n - 1 {
		l = append(l, extension(60, 8))
	}
	return append(append(l, extension(last, 8)), inside...)
}

func TestEachFrameHasItsOutcome(t *testing.T) {
	for _, tt := range outcomeTests {
		t.Run(fmt.Sprint(tt.want, "/", tt.name), func(t *testing.T) {
			var info Info
			frame := build(tt.layers...)
			Parse(frame, &info)
			if info.Outcome != tt.want {
				t.Errorf("%x is %v, want %v", frame, info.Outcome, tt.want)
			}
			checkInvariants(t, frame)
		})
	}
}

func TestEveryOutcomeIsReached(t *testing.T) {
	reached := map[Outcome]bool{Unparsed: true} // by no frame: see below
	for _, tt := range outcomeTests {
		reached[tt.want] = true
	}
	for o := range NumOutcomes {
		if !reached[o] {
			t.Errorf("no test has a frame that is %v", o)
		}
	}
	if (&Info{}).Outcome != Unparsed {
		t.Error("an Info that was never parsed is not Unparsed")
	}
}

func TestOutcomesAreNamed(t *testing.T) {
	names := map[string]bool{}
	for o := range NumOutcomes {
		name := o.String()
		if name == "" || name != strings.ToLower(name) || strings.ContainsAny(name, " -") || names[name] {
			t.Errorf("outcome %d has the name %q", o, name)
		}
		names[name] = true
		if d := o.Describe(); !strings.HasSuffix(d, ".") || strings.ContainsRune(d, '\n') {
			t.Errorf("%v is described by %q, which is no sentence", o, d)
		}
		if got, want := o.PassesByDefault(), o >= ARP && o <= CFM; got != want {
			t.Errorf("%v passes by default: %v, want %v", o, got, want)
		}
		if got, want := o.IsIP(), o == IP || o == Fragment || o == ICMPError; got != want {
			t.Errorf("%v is IP: %v, want %v", o, got, want)
		}
	}
	if o := NumOutcomes; o.String() != "unknown" || o.PassesByDefault() || o.IsIP() || o.Describe() == "" {
		t.Error("a number beyond the list is not unknown")
	}
}

// A rejected TCP flag set and an accepted one, for all 256: the rule in words
// against the table.
func TestTCPFlagSets(t *testing.T) {
	for flags := range 256 {
		has := func(f int) bool { return flags&f != 0 }
		want := IP
		switch {
		case !has(FlagSYN) && !has(FlagRST) && !has(FlagACK),
			has(FlagSYN) && (has(FlagFIN) || has(FlagRST)),
			has(FlagFIN) && (!has(FlagACK) || has(FlagRST)),
			has(FlagURG) && (has(FlagRST) || has(FlagSYN) && has(FlagACK)):
			want = TCPFlags
		}
		var info Info
		Parse(build(eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, flags)), &info)
		if info.Outcome != want || info.TCPFlags != uint8(flags) {
			t.Errorf("flags %08b are %v, want %v", flags, info.Outcome, want)
		}
	}
}

// Every EtherType leads to one outcome and none but IP leads to the policy.
func TestEveryEtherType(t *testing.T) {
	body := build(ip4(hostA4, hostB4, 17), udp(1, 2), zeros(1600))
	var info Info
	for etherType := range 65536 {
		Parse(build(eth(etherType), raw(fmt.Sprintf("%x", body))), &info)
		if got, want := info.Outcome.IsIP(), etherType == 0x0800; got != want {
			t.Errorf("EtherType %04x is %v", etherType, info.Outcome)
		}
		if etherType >= 0x0600 && info.Tags == 0 && info.EtherType != uint16(etherType) {
			t.Errorf("EtherType %04x is reported as %04x", etherType, info.EtherType)
		}
	}
}

// Every IP protocol goes by its own number: CVE-2023-1668 was a gateway for
// which protocol 0 meant any.
func TestEveryProtocol(t *testing.T) {
	var info Info
	for proto := range 256 {
		for family, frame := range map[Family][]byte{
			4: build(eth(0x0800), ip4(hostA4, hostB4, proto), zeros(64)),
			6: build(eth(0x86dd), ip6(hostA6, hostB6, proto), raw("fe00000000000000"), zeros(64)),
		} {
			Parse(frame, &info)
			if info.Outcome != IP && info.Outcome != IPv4Header { // an empty authentication header
				continue
			}
			if int(info.Proto) != proto && !isExtension(family, uint8(proto)) {
				t.Errorf("protocol %d of IPv%d is reported as %d", proto, family, info.Proto)
			}
			if k, _ := info.Key(0); k.Proto() != info.Proto || k.Family() != family {
				t.Errorf("protocol %d of IPv%d has the key of %d of IPv%d", proto, family, k.Proto(), k.Family())
			}
		}
	}
}

// A frame longer than offsets can count is read as far as they do.
func TestGiantFrames(t *testing.T) {
	var info Info
	Parse(build(eth(0x0800), ip4(hostA4, hostB4, 17), udp(1, 2), zeros(65535-20-8)), &info)
	if info.Outcome != IPv4Header {
		t.Errorf("a packet that ends behind byte 65,535 is %v", info.Outcome)
	}
	Parse(build(padded(70000), eth(0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)), &info)
	if info.Outcome != IP || info.End != 42 {
		t.Errorf("a short packet with much padding is %v, end %d", info.Outcome, info.End)
	}
}
