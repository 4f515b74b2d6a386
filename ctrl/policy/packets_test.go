// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"bulkhead/classifier"
	"bulkhead/dataplane/packet"
)

// udpKey is a UDP packet as the data plane asks about it.
func udpKey(port uint16) classifier.Key {
	return classifier.Key{
		Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.1.1"),
		Proto: packet.ProtoUDP, SrcPort: 50000, DstPort: port,
		Tunnel: uint8(packet.TunnelOf(packet.ProtoUDP, port)),
	}
}

func greKey() classifier.Key {
	k := udpKey(0)
	k.Proto, k.SrcPort, k.Tunnel = 47, 0, uint8(packet.GRE)
	return k
}

// TestDenyingAPortDeniesItsTunnel: no rule allows a tunnel without its name,
// but a rule that denies the ports or protocols around one denies it, so that
// a later rule that allows the tunnel does not let it out after all.
func TestDenyingAPortDeniesItsTunnel(t *testing.T) {
	const text = `
[service.range]
udp = ["4000-5000"]
[service.every-udp]
udp = true
[service.from-53]
udp_source = [53]
[service.https]
tcp = [443]
[service.vxlan]
tunnel = ["vxlan"]

[[rule]]
name = "first"
from = "any"
to = "any"
services = [%q]
action = %q

[[rule]]
name = "tunnel"
from = "any"
to = "any"
services = ["vxlan"]
action = "allow"
`
	const first, tunnel, none = 0, 1, classifier.NoRule
	for _, test := range []struct {
		service, action     string
		vxlan, gre, udp4500 int
	}{
		{"any", "allow", tunnel, none, first},
		{"any", "deny", first, first, first},
		{"any", "reject", first, first, first},
		{"range", "allow", tunnel, none, first},
		{"range", "deny", first, none, first},
		{"every-udp", "allow", tunnel, none, first},
		{"every-udp", "deny", first, none, first},
		{"https", "deny", tunnel, none, none},
		{"ping", "deny", tunnel, none, none},
	} {
		l, err := classifier.NewLinear(mustParse(t, fmt.Sprintf(text, test.service, test.action)).Program)
		if err != nil {
			t.Fatal(err)
		}
		vxlan, gre, plain := udpKey(4789), greKey(), udpKey(4500)
		got := []int{l.Lookup(&vxlan), l.Lookup(&gre), l.Lookup(&plain)}
		if want := []int{test.vxlan, test.gre, test.udp4500}; !slices.Equal(got, want) {
			t.Errorf("%s %s: rules %v for VXLAN, GRE and a plain packet; want %v", test.action, test.service, got, want)
		}
	}
}

// TestRulesOfTheSameServicesKeepTheirOwnMeaning: what is shared between rules
// is not shared between those that allow and those that deny.
func TestRulesOfTheSameServicesKeepTheirOwnMeaning(t *testing.T) {
	rule := "[[rule]]\nname = %q\nfrom = \"any\"\nto = \"any\"\nservices = [\"any\"]\naction = %q\n"
	p := mustParse(t, fmt.Sprintf(rule+rule+rule, "a", "allow", "b", "deny", "c", "allow"))
	l, err := classifier.NewLinear(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	vxlan, plain := udpKey(4789), udpKey(4500)
	if got := []int{l.Lookup(&vxlan), l.Lookup(&plain)}; !slices.Equal(got, []int{1, 0}) {
		t.Errorf("rules %v for VXLAN and a plain packet, want [1 0]", got)
	}
}

// TestICMPTypesAreThoseThatReachThePolicy sends a message of every
// type through the parser: the types that a service may name are those that
// reach the policy as the beginning of a flow.
func TestICMPTypesAreThoseThatReachThePolicy(t *testing.T) {
	for _, family := range []struct {
		key   string
		frame func(icmpType uint8) []byte
	}{{"icmp", icmp4Frame}, {"icmpv6", icmp6Frame}} {
		for icmpType := range 256 {
			var info packet.Info
			packet.Parse(family.frame(uint8(icmpType)), &info)
			key, _ := info.Key(0)
			asked, _, _ := key.ICMP() // of a reply: the type of its request
			judged := info.Outcome == packet.IP && int(asked) == icmpType
			_, err := Parse("f", fmt.Appendf(nil, "[service.x]\n%s = [%d]", family.key, icmpType), Options{})
			if (err == nil) != judged {
				t.Errorf("%s %d: the parser says %v of the flow of type %d, the policy %v",
					family.key, icmpType, info.Outcome, asked, err)
			}
		}
	}
}

const (
	ethernet = "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x01"
	quoted4  = "\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x11\x00\x00\x0a\x00\x01\x01\x0a\x00\x00\x01\x00\x01\x00\x02\x00\x08\x00\x00"
)

// icmp4Frame is a message from 10.0.0.1 to 10.0.1.1. Behind its header is a UDP
// packet the other way, for the types that quote one.
func icmp4Frame(icmpType uint8) []byte {
	ip := []byte{0x45, 0, 0, 20 + 8 + 28, 0, 0, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1}
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(ip[i])<<8 | uint32(ip[i+1])
	}
	check := ^uint16(sum + sum>>16)
	ip[10], ip[11] = byte(check>>8), byte(check)
	frame := append([]byte(ethernet+"\x08\x00"), ip...)
	return append(append(frame, icmpType, 0, 0, 0, 0, 0, 0, 0), quoted4...)
}

// icmp6Frame does the same for 2001:db8::1 and ::2, with the hop limit that
// neighbour discovery has.
func icmp6Frame(icmpType uint8) []byte {
	here, there := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	header := func(next, size uint8, src, dst [16]byte) []byte {
		return slices.Concat([]byte{0x60, 0, 0, 0, 0, size, next, 255}, src[:], dst[:])
	}
	quoted := append(header(17, 8, there, here), 0, 1, 0, 2, 0, 8, 0, 0)
	message := append([]byte{icmpType, 0, 0, 0, 0, 0, 0, 0}, quoted...)
	return slices.Concat([]byte(ethernet+"\x86\xdd"), header(58, uint8(len(message)), here, there), message)
}
