// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"

	"bulkhead/testenv"
)

// anyRule allows the services named, from anywhere to anywhere.
func anyRule(services string, tables ...string) string {
	text := "default = \"deny\"\n"
	for _, t := range tables {
		text += t + "\n"
	}
	return text + "[[rule]]\nname = \"one\"\nfrom = \"any\"\nto = \"any\"\naction = \"allow\"\nservices = [" + services + "]\n"
}

// tunnels is a packet of every tunnel by name.
func tunnels() map[string][]byte {
	inner := []testenv.Layer{testenv.IPv4{}, testenv.UDP{Dst: 53}, testenv.Bytes("inside")}
	over := func(proto uint8) []byte {
		return fromA(append([]testenv.Layer{testenv.IPv4{Proto: proto}}, inner...)...)
	}
	port := func(dst uint16) []byte {
		return fromA(toB4, testenv.UDP{Src: 50000, Dst: dst}, testenv.Bytes("a tunnel's header"))
	}
	return map[string][]byte{
		"ipip": over(4), "6in4": over(41), "gre": over(47), "etherip": over(97), "l2tp": over(115), "mpls": over(137),
		"vxlan": port(4789), "vxlan_gpe": port(4790), "geneve": port(6081), "gtp": port(2152), "teredo": port(3544), "gue": port(6080),
	}
}

func TestTunnelsPassOnlyWhereARuleNamesThem(t *testing.T) {
	g := quiet(t, setup{policy: anyRule(`"any"`)})
	var packets []packet
	for name, frame := range tunnels() {
		packets = append(packets, packet{name, "a", frame, "unnamed_tunnel"})
	}
	g.judges(packets)
	g.apply(anyRule(`"inside"`, "[service.inside]", `tunnel = ["vxlan", "gre", "ipip"]`))
	for i, p := range packets {
		switch p.name {
		case "vxlan", "gre", "ipip":
			packets[i].want = ""
		}
	}
	packets = append(packets, packet{"what is no tunnel", "a", fromA(toB4, testenv.UDP{Dst: 53}), "default_deny"})
	g.judges(packets)
}

// TestUnnamedTunnelsAreDeniedByAnAllowingDefault: a default names nothing.
func TestUnnamedTunnelsAreDeniedByAnAllowingDefault(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	var packets []packet
	for name, frame := range tunnels() {
		packets = append(packets, packet{name, "a", frame, "unnamed_tunnel"})
	}
	g.judges(packets)
}

func TestLinkControlPassesAndUnknownEtherTypesDropByDefault(t *testing.T) {
	g := quiet(t, setup{})
	var packets []packet
	for _, p := range linkControl() {
		p.from = "a"
		packets = append(packets, p)
	}
	for name, ether := range map[string]uint16{
		"macsec": 0x88e5, "mpls": 0x8847, "pppoe": 0x8864, "pbb": 0x88e7, "nsh": 0x894f, "ethertype": 0x88b5,
	} {
		frame := testenv.Frame(testenv.Ether{Src: macA, Dst: macB, Type: ether}, testenv.Bytes("could hide anything"))
		packets = append(packets, packet{name, "a", testenv.Pad(frame, 60), name})
	}
	packets = append(packets,
		packet{"an LLC header of no link control", "a", fromA(testenv.LLC{DSAP: 4, SSAP: 4, Control: 3}, testenv.Bytes("x25")), "llc"},
		packet{"three tags", "a", fromA(testenv.Tag(1), testenv.Tag(2), testenv.Tag(3), toB4, testenv.UDP{}), "vlan_depth"},
		packet{"ip", "a", fromA(toB4, testenv.UDP{}), "default_deny"})
	g.judges(packets)
	passed := g.wire().A.Passed
	for _, p := range linkControl() {
		if passed[p.name] == 0 {
			t.Errorf("%s passed and is not counted: %v", p.name, passed)
		}
	}
}

func TestExceptionsDecideOnWhatThePolicyDoesNot(t *testing.T) {
	g := quiet(t, setup{extra: `
[exceptions]
arp = "drop"
stp = "drop"
ethertype = "forward"
macsec = "forward"
vlan_depth = "forward"
ipv4_checksum = "forward"
midstream = "forward"
fragment_orphan = "forward"
icmp_unrelated = "forward"
unnamed_tunnel = "forward"
`})
	g.judges([]packet{
		{"arp", "a", linkControl()[0].frame, "arp"},
		{"stp", "a", linkControl()[3].frame, "stp"},
		{"rstp, of which nothing is said", "a", linkControl()[4].frame, ""},
		{"unknown EtherType", "a", fromA(testenv.Bytes("what is this")), ""},
		{"MACsec", "a", testenv.Frame(testenv.Ether{Src: macA, Dst: macB, Type: 0x88e5}, testenv.Bytes("secret")), ""},
		{"three tags", "a", fromA(testenv.Tag(1), testenv.Tag(2), testenv.Tag(3), toB4, testenv.UDP{}), ""},
		{"wrong checksum", "b", fromB(testenv.IPv4{BadChecksum: true}, testenv.UDP{}), ""},
		{"ack without flow", "a", fromA(toB4, testenv.TCP{Src: 5, Dst: 80, Flags: testenv.ACK}), ""},
		{"fragment without a first", "a", fromA(testenv.IPv4{Offset: 100, Proto: 17, ID: 9}, testenv.Bytes("fragment")), ""},
		{"reply without request", "b", fromB(toA4, testenv.ICMP{Type: 0, ID: 77}), ""},
		{"tunnel", "a", tunnels()["gre"], ""},
		{"a packet that the policy denies", "a", fromA(toB4, testenv.UDP{Dst: 53}), "default_deny"},
	})
}

// TestDenyAllPassesNoProtocol and the next send every IP protocol, in IPv4 and
// IPv6, in both directions (CVE-2023-1668).
func TestDenyAllPassesNoProtocol(t *testing.T) {
	g := quiet(t, setup{})
	ab, ba := g.paths("a", "b")
	for _, frames := range everyProtocol() {
		ab.drops(frames...)
		ba.drops(frames...)
	}
}

func TestOneAllowedProtocolPassesAlone(t *testing.T) {
	g := quiet(t, setup{policy: anyRule(`"ospf"`, "[service.ospf]", "protocol = [89]")})
	ab, _ := g.paths("a", "b")
	for proto, frames := range everyProtocol() {
		if proto == 89 {
			ab.passes(frames...)
		} else {
			ab.drops(frames...)
		}
	}
	g.apply(anyRule(`"udp"`, "[service.udp]", "udp = true"))
	for proto, frames := range everyProtocol() {
		if proto == 17 {
			ab.passes(frames...)
		} else {
			ab.drops(frames...)
		}
	}
}

// everyProtocol is packets by IP protocol. What follows their IP header is, for
// each, right as UDP from port 1000 to port 53.
func everyProtocol() (all [256][][]byte) {
	for proto := range all {
		n := uint8(proto)
		udp4 := testenv.Frame(toB4, testenv.UDP{Src: 1000, Dst: 53}, testenv.Bytes("12345678"))[20:]
		udp6 := testenv.Frame(toB6, testenv.UDP{Src: 1000, Dst: 53}, testenv.Bytes("12345678"))[40:]
		v4 := fromA(testenv.IPv4{Proto: n}, testenv.Bytes(udp4))
		if n == 0 { // 0 stands for the protocol of what follows
			v4 = fromA(toB4, testenv.HopByHop(), testenv.Bytes(udp4))
		}
		all[proto] = [][]byte{v4, fromA(testenv.IPv6{Next: n}, testenv.Bytes(udp6))}
	}
	return all
}

// TestOnlyKnownEtherTypesPassAnAllowAllWire steps through all EtherTypes; the
// long run takes each.
func TestOnlyKnownEtherTypesPassAnAllowAllWire(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	ab, _ := g.paths("a", "b")
	known := map[int]bool{0x0806: true, 0x8035: true, 0x8809: true, 0x88cc: true, 0x888e: true, 0x88f7: true, 0x8902: true}
	var unknown [][]byte
	for ether := 0x0600; ether <= 0xffff; ether += quickOr(13, 1) {
		if !known[ether] {
			frame := testenv.Frame(testenv.Ether{Src: macA, Dst: macB, Type: uint16(ether)}, testenv.Bytes(fmt.Sprintf("%-46x", ether)))
			unknown = append(unknown, frame)
		}
	}
	for i := 0; i < len(unknown); i += 100 {
		ab.drops(unknown[i:min(i+100, len(unknown))]...)
	}
}
