// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"bulkhead/testenv"
)

// TestHostsHearThatAPortIsClosed: the port unreachable of an allowed datagram
// is part of its flow.
func TestHostsHearThatAPortIsClosed(t *testing.T) {
	g := start(t, setup{policy: threeWays})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	want := map[bool]string{true: "rejected by icmp 3/3 from 198.18.0.2", false: "rejected by icmp 1/4 from 2001:db8::2"}
	for _, to := range both(b, 53) {
		if got := look(soon(t), t, a, "udp", to); got != want[to.Addr().Is4()] {
			t.Errorf("%s: %s, want %s", to, got, want[to.Addr().Is4()])
		}
	}
	for _, to := range both(b, 80) {
		if got := look(soon(t), t, a, "tcp", to); got != "refused" {
			t.Errorf("%s: %s, want refused", to, got)
		}
	}
}

// TestErrorsPassOnlyForTheFlowThatTheyQuote: the flow is a's dns question to b,
// and a router on b's side may complain of it to a, and of nothing else.
func TestErrorsPassOnlyForTheFlowThatTheyQuote(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	router4, router6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:1::1")
	other4, other6 := netip.MustParseAddr("198.18.0.3"), netip.MustParseAddr("2001:db8::3")
	asked := testenv.UDP{Src: 4000, Dst: 53}
	error4 := func(to netip.Addr, kind, code uint8, quoted ...testenv.Layer) []byte {
		return fromB(append([]testenv.Layer{testenv.IPv4{Src: router4, Dst: to}, testenv.ICMP{Type: kind, Code: code, Seq: 1400}}, quoted...)...)
	}
	error6 := func(to netip.Addr, kind, code uint8, quoted ...testenv.Layer) []byte {
		return fromB(append([]testenv.Layer{testenv.IPv6{Src: router6, Dst: to}, testenv.ICMPv6{Type: kind, Code: code, Seq: 1400}}, quoted...)...)
	}
	data := testenv.Bytes("beginning of the data")
	g.judges([]packet{
		{"before there is a flow", "b", error4(addrA4, 3, 4, toB4, asked, data), "icmp_unrelated"},
		{"the question", "a", fromA(toB4, asked), ""},
		{"the question in v6", "a", fromA(toB6, asked), ""},

		{"fragmentation needed", "b", error4(addrA4, 3, 4, toB4, asked, data), ""},
		{"time exceeded", "b", error4(addrA4, 11, 0, toB4, asked), ""},
		{"packet too big", "b", error6(addrA6, 2, 0, toB6, asked, data), ""},
		{"no route", "b", error6(addrA6, 1, 0, toB6, asked), ""},

		{"of another source port", "b", error4(addrA4, 3, 4, toB4, testenv.UDP{Src: 4001, Dst: 53}), "icmp_unrelated"},
		{"of another port, v6", "b", error6(addrA6, 2, 0, toB6, testenv.UDP{Src: 4000, Dst: 54}), "icmp_unrelated"},
		{"of another host", "b", error4(addrA4, 3, 4, testenv.IPv4{Dst: other4}, asked), "icmp_unrelated"},
		{"of another host, v6", "b", error6(addrA6, 2, 0, testenv.IPv6{Dst: other6}, asked), "icmp_unrelated"},
		{"to one who did not ask", "b", error4(other4, 3, 4, toB4, asked), "icmp_header"},
		{"to one who did not ask, v6", "b", error6(other6, 2, 0, toB6, asked), "icmp_header"},
		{"of an answer that was not given", "a", fromA(testenv.IPv4{Src: router4, Dst: addrB4}, testenv.ICMP{Type: 3, Code: 3}, toA4, testenv.UDP{Src: 53, Dst: 4000}), "icmp_unrelated"},
		{"that quotes TCP", "b", error4(addrA4, 3, 4, toB4, testenv.TCP{Src: 4000, Dst: 53}), "icmp_unrelated"},
		{"that quotes half a header", "b", error4(addrA4, 3, 4, testenv.Bytes("\x45\x00\x00\x14")), "icmp_header"},
		{"that quotes an error", "b", error4(addrA4, 3, 4, toB4, testenv.ICMP{Type: 3}, toA4, asked), "icmp_header"},
		{"with a payload of its own version only", "b", error4(addrA4, 3, 4, toB6, asked), "icmp_header"},
		{"in another VLAN", "b", testenv.Frame(testenv.Ether{Src: macB, Dst: macA}, testenv.Tag(10), testenv.IPv4{Src: router4, Dst: addrA4}, testenv.ICMP{Type: 3, Code: 4}, toB4, asked), "icmp_unrelated"},

		{"a denied question", "a", fromA(toB4, testenv.UDP{Src: 4000, Dst: 99}), "default_deny"},
		{"of a denied question", "b", error4(addrA4, 3, 3, toB4, testenv.UDP{Src: 4000, Dst: 99}), "default_deny"},

		{"the answer", "b", fromB(toA4, testenv.UDP{Src: 53, Dst: 4000}), ""},
		{"of the answer", "a", fromA(testenv.IPv4{Src: router4, Dst: addrB4}, testenv.ICMP{Type: 3, Code: 3}, toA4, testenv.UDP{Src: 53, Dst: 4000}), ""},
	})
}

// TestErrorsEndWithTheirFlowsPermission: what a new policy denies gets no more
// complaints either.
func TestErrorsEndWithTheirFlowsPermission(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	asked := testenv.UDP{Src: 4000, Dst: 53}
	complaint := fromB(toA4, testenv.ICMP{Type: 3, Code: 3}, toB4, asked)
	g.judges([]packet{
		{"the question", "a", fromA(toB4, asked), ""},
		{"the complaint", "b", complaint, ""},
	})
	g.apply(denyAll)
	g.judges([]packet{{"the complaint", "b", complaint, "default_deny"}})
}

// TestPathMTUIsFoundThroughTheWire: b is a router with a link of 1,400 bytes
// behind it; it tells a, who then sends smaller packets.
func TestPathMTUIsFoundThroughTheWire(t *testing.T) {
	g := start(t, setup{policy: anyRule(`"any"`)})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	far := testenv.NSForTest(t, "far")
	joinHost(t, b.NS, far, 1400)
	get(far.ServeTCPEcho(7))(t)
	for _, c := range []struct {
		to, router netip.Addr
		tooBig     func(frame []byte) bool
	}{
		{netip.MustParseAddr("198.19.0.2"), b.IPv4, func(f []byte) bool { return f[12] == 8 && f[23] == 1 && f[34] == 3 && f[35] == 4 }},
		{netip.MustParseAddr("2001:db8:99::2"), b.IPv6, func(f []byte) bool { return f[12] == 0x86 && f[20] == 58 && f[54] == 2 }},
	} {
		must(t, addRoute(a.NS, netlink.Route{Gw: c.router.AsSlice()}))
		heard := testenv.RawForTest(t, a.NS, a.Dev)
		must(t, a.EchoTCP(soon(t), netip.AddrPortFrom(c.to, 7), random(t, 200_000)))
		_, err := heard.Recv(soon(t), func(f []byte) bool { return len(f) > 54 && c.tooBig(f) })
		if err != nil {
			t.Errorf("%s: nobody told a of the smaller link: %v", c.to, err)
		}
	}
}
