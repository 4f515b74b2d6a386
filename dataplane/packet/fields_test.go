// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addr(s string) Addr { return AddrFrom(netip.MustParseAddr(s)) }

// Every field of Info is what its comment says, and zero where it has no
// meaning.
func TestFields(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers []layer
		want   Info
	}{
		{
			"TCP behind two tags",
			[]layer{padded(3), eth(0x88a8), tag(0xa064, 0x8100), tag(200, 0x0800), ip4(hostA4, hostB4, 6),
				tcp(40000, 443, FlagACK|FlagPSH), zeros(5)},
			Info{Outcome: IP, Family: 4, Proto: 6, HopLimit: 64, Tags: 2, Tag: 100, VLAN: [2]uint16{100, 200}, EtherType: 0x0800,
				L3: 22, L4: 42, End: 67, Payload: 5, Src: addr(hostA4), Dst: addr(hostB4), SrcPort: 40000, DstPort: 443,
				TCPFlags: FlagACK | FlagPSH, TCPWindow: 512, TCPSeq: 1000, TCPAck: 2000},
		},
		{
			"the acknowledgment number counts only with ACK",
			[]layer{eth(0x86dd), ip6(hostA6, hostB6, 6), tcp(40000, 443, FlagSYN)},
			Info{Outcome: IP, Family: 6, Proto: 6, HopLimit: 64, EtherType: 0x86dd,
				L3: 14, L4: 54, End: 74, Src: addr(hostA6), Dst: addr(hostB6), SrcPort: 40000, DstPort: 443,
				TCPFlags: FlagSYN, TCPWindow: 512, TCPSeq: 1000},
		},
		{
			"a priority tag around a VLAN",
			[]layer{eth(0x8100), tag(0xe000, 0x8100), tag(200, 0x86dd), ip6(hostA6, hostB6, 17), udp(1, 6081), zeros(2)},
			Info{Outcome: IP, Tunnel: Geneve, Family: 6, Proto: 17, HopLimit: 64, Tags: 2, Tag: 0, VLAN: [2]uint16{200}, EtherType: 0x86dd,
				L3: 22, L4: 62, End: 72, Payload: 2, Src: addr(hostA6), Dst: addr(hostB6), SrcPort: 1, DstPort: 6081},
		},
		{
			"IP in SNAP",
			[]layer{padded(9), eth802(macB), snap("000000", 0x0800), padded(2), ip4(hostA4, hostB4, 47), zeros(4)},
			Info{Outcome: IP, Tunnel: GRE, Family: 4, Proto: 47, HopLimit: 64, EtherType: 0x0800,
				L3: 22, L4: 42, End: 46, Src: addr(hostA4), Dst: addr(hostB4)},
		},
		{
			"a later fragment of IPv4",
			[]layer{eth(0x0800), ip4(hostA4, hostB4, 47, fragment(1480, true)), zeros(16)},
			Info{Outcome: Fragment, Tunnel: GRE, Family: 4, Proto: 47, HopLimit: 64, EtherType: 0x0800,
				L3: 14, L4: 34, End: 50, Src: addr(hostA4), Dst: addr(hostB4),
				FragmentID: 0x1234, FragmentOffset: 1480, FragmentEnd: 1496, FragmentMore: true, Fragmented: true},
		},
		{
			"a first fragment of IPv6, behind options",
			[]layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(44, 16), frag6(17, 0, true), set(4, 0xff), udp(1, 2), zeros(8)},
			Info{Outcome: IP, Family: 6, Proto: 17, HopLimit: 64, EtherType: 0x86dd, L3: 14, L4: 78, End: 94, Payload: 8,
				Src: addr(hostA6), Dst: addr(hostB6), SrcPort: 1, DstPort: 2,
				FragmentID: 0xcafe, FragmentEnd: 16, FragmentMore: true, Fragmented: true},
		},
		{
			"a last fragment of IPv6",
			[]layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(60, 1448, false), zeros(3)},
			Info{Outcome: Fragment, Family: 6, Proto: 60, HopLimit: 64, EtherType: 0x86dd, L3: 14, L4: 62, End: 65,
				Src: addr(hostA6), Dst: addr(hostB6), FragmentID: 0xcafe, FragmentOffset: 1448, FragmentEnd: 1451, Fragmented: true},
		},
		{
			"an atomic fragment is a whole packet, whatever its reserved bits",
			[]layer{eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(132, 6, false), sctp(5, 6)},
			Info{Outcome: IP, Family: 6, Proto: 132, HopLimit: 64, EtherType: 0x86dd, L3: 14, L4: 62, End: 74,
				Src: addr(hostA6), Dst: addr(hostB6), SrcPort: 5, DstPort: 6},
		},
		{
			"an echo reply",
			[]layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(0, 0, 0xbeef)},
			Info{Outcome: IP, Family: 4, Proto: 1, HopLimit: 64, EtherType: 0x0800, L3: 14, L4: 34, End: 42,
				Src: addr(hostA4), Dst: addr(hostB4), ICMPID: 0xbeef},
		},
		{
			"an ICMP error",
			[]layer{eth(0x0800), ip4("10.9.9.9", hostA4, 1), icmp(3, 4, 0xffff), ip4(hostA4, hostB4, 6), tcp(40000, 443, FlagACK)},
			Info{Outcome: ICMPError, Family: 4, Proto: 1, HopLimit: 64, EtherType: 0x0800, L3: 14, L4: 34, End: 82,
				Src: addr("10.9.9.9"), Dst: addr(hostA4), ICMPType: 3, ICMPCode: 4,
				Quote: Quote{Src: addr(hostA4), Dst: addr(hostB4), SrcPort: 40000, DstPort: 443, Family: 4, Proto: 6}},
		},
		{
			"an ICMPv6 error about an echo",
			[]layer{eth(0x86dd), ip6("2001:db8::9", hostA6, 58), icmp(3, 0, 0), ip6(hostA6, hostB6, 58), icmp(128, 0, 77)},
			Info{Outcome: ICMPError, Family: 6, Proto: 58, HopLimit: 64, EtherType: 0x86dd, L3: 14, L4: 54, End: 110,
				Src: addr("2001:db8::9"), Dst: addr(hostA6), ICMPType: 3,
				Quote: Quote{Src: addr(hostA6), Dst: addr(hostB6), Family: 6, Proto: 58, ICMPType: 128, ICMPID: 77}},
		},
		{
			"a wrong checksum still shows who sent it",
			[]layer{eth(0x0800), set(10, 0, 1), ip4(hostA4, hostB4, 17), udp(1, 2)},
			Info{Outcome: IPv4Checksum, Family: 4, Proto: 17, HopLimit: 64, EtherType: 0x0800, L3: 14, End: 42,
				Src: addr(hostA4), Dst: addr(hostB4)},
		},
		{
			"a packet longer than its frame ends with it",
			[]layer{eth(0x0800), ip4(hostA4, hostB4, 17, put16(2, 999)), udp(1, 2)},
			Info{Outcome: IPv4Header, Family: 4, Proto: 17, HopLimit: 64, EtherType: 0x0800, L3: 14, End: 42,
				Src: addr(hostA4), Dst: addr(hostB4)},
		},
		{
			"a bad address has its ports",
			[]layer{eth(0x0800), ip4("127.0.0.1", hostB4, 17), udp(1, 2)},
			Info{Outcome: BadAddress, Family: 4, Proto: 17, HopLimit: 64, EtherType: 0x0800, L3: 14, L4: 34, End: 42,
				Src: addr("127.0.0.1"), Dst: addr(hostB4), SrcPort: 1, DstPort: 2},
		},
		{
			"a third tag",
			[]layer{eth(0x8100), tag(1, 0x8100), tag(2, 0x88a8), tag(3, 0x0800)},
			Info{Outcome: VLANDepth, Tags: 3, Tag: 1, VLAN: [2]uint16{1, 2}, EtherType: 0x88a8},
		},
		{"LLC has no EtherType", []layer{eth802(macB), zeros(40)}, Info{Outcome: LLC}},
		{"ARP", []layer{eth(0x8100), tag(9, 0x0806), zeros(28)}, Info{Outcome: ARP, Tags: 1, Tag: 9, VLAN: [2]uint16{9}, EtherType: 0x0806}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := staleInfo()
			Parse(build(tt.layers...), &got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTunnelsAreNamed(t *testing.T) {
	protos := map[int]Tunnel{4: IPIP, 41: SixInFour, 47: GRE, 97: EtherIP, 115: L2TP, 137: MPLSInIP}
	ports := map[int]Tunnel{1701: L2TP, 2152: GTP, 3544: Teredo, 4789: VXLAN, 4790: VXLANGPE, 6080: GUE, 6081: Geneve, 6635: MPLSInIP, 8472: VXLAN}
	var info Info
	seen := map[Tunnel]bool{NoTunnel: true}
	for proto := range 256 {
		for name, frame := range map[string][]byte{
			"IPv4":             build(eth(0x0800), ip4(hostA4, hostB4, proto), zeros(40)),
			"a later fragment": build(eth(0x0800), ip4(hostA4, hostB4, proto, fragment(64, false)), zeros(40)),
			"IPv6":             build(eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(proto, 64, false), zeros(40)),
		} {
			Parse(frame, &info)
			if info.Tunnel != protos[proto] {
				t.Errorf("protocol %d in %s is the tunnel %v, want %v", proto, name, info.Tunnel, protos[proto])
			}
		}
		if got := TunnelOf(uint8(proto), 4789); proto != ProtoUDP && got != protos[proto] {
			t.Errorf("protocol %d is the tunnel %v, want %v", proto, got, protos[proto])
		}
		seen[protos[proto]] = true
	}
	for port := range 65536 {
		Parse(build(eth(0x0800), ip4(hostA4, hostB4, 17), udp(4789, port)), &info)
		if info.Tunnel != ports[port] {
			t.Errorf("UDP port %d is the tunnel %v, want %v", port, info.Tunnel, ports[port])
		}
		if got := TunnelOf(ProtoUDP, uint16(port)); got != info.Tunnel {
			t.Errorf("UDP port %d is the tunnel %v by itself, %v in a packet", port, got, info.Tunnel)
		}
		seen[ports[port]] = true
	}
	for tunnel := range NumTunnels {
		if !seen[tunnel] {
			t.Errorf("nothing leads to the tunnel %v", tunnel)
		}
		got, ok := TunnelByName(tunnel.String())
		if got != tunnel || ok != (tunnel != NoTunnel) {
			t.Errorf("tunnel %d, named %q, is found as %d, %v", tunnel, tunnel, got, ok)
		}
	}
	if NumTunnels.String() != "unknown" {
		t.Error("a number beyond the list is not unknown")
	}
}

func TestAddressesComeBack(t *testing.T) {
	for _, s := range []string{"0.0.0.0", "10.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		a := netip.MustParseAddr(s)
		family := Family(6)
		if a.Is4() {
			family = 4
		}
		if got := AddrFrom(a).Netip(family); got != a {
			t.Errorf("%v comes back as %v", a, got)
		}
	}
	if got := AddrFrom(netip.MustParseAddr("fe80::1%eth0")).Netip(6); got != netip.MustParseAddr("fe80::1") {
		t.Errorf("a zone comes back: %v", got)
	}
	if AddrFrom(netip.MustParseAddr("10.0.0.1")) != AddrFrom(netip.MustParseAddr("::ffff:10.0.0.1")) {
		t.Error("an IPv4 address is not its mapped form")
	}
	if AddrFrom(netip.Addr{}) != (Addr{}) {
		t.Error("no address is not the zero address")
	}
}
