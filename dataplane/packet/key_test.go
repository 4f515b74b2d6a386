// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"reflect"
	"testing"
)

// key is the key of a frame that is built from layers.
func key(t *testing.T, layers ...layer) (Key, Dir) {
	t.Helper()
	var info Info
	frame := build(layers...)
	Parse(frame, &info)
	if info.Outcome != IP {
		t.Fatalf("%x is %v", frame, info.Outcome)
	}
	return info.Key(3)
}

// Pairs of packets that belong to one flow, in opposite directions.
func TestRepliesHaveTheKeyOfTheirFlow(t *testing.T) {
	for _, tt := range []struct {
		name      string
		one, back []layer
	}{
		{"TCP", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(40000, 443, FlagSYN)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 6), tcp(443, 40000, FlagSYN|FlagACK)}},
		{"UDP over IPv6", []layer{eth(0x86dd), ip6(hostA6, hostB6, 17), udp(40000, 53)},
			[]layer{eth(0x86dd), ip6(hostB6, hostA6, 17), udp(53, 40000)}},
		{"an opaque protocol", []layer{eth(0x0800), ip4(hostA4, hostB4, 50), zeros(8)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 50), zeros(16)}},
		{"other priority", []layer{eth(0x8100), tag(0x0064, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)},
			[]layer{eth(0x8100), tag(0xe064, 0x0800), ip4(hostB4, hostA4, 17), udp(2, 1)}},
		{"priority tag one way only", []layer{eth(0x8100), tag(0, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 17), udp(2, 1)}},
		{"SNAP one way only", []layer{eth802(macB), snap("000000", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 17), udp(2, 1)}},
		{"extension headers one way only", []layer{eth(0x86dd), ip6(hostA6, hostB6, 60), extension(17, 8), udp(1, 2)},
			[]layer{eth(0x86dd), ip6(hostB6, hostA6, 17), udp(2, 1)}},
		{"echo", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 5)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(0, 0, 5)}},
		{"timestamp", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(13, 0, 5)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(14, 0, 5)}},
		{"information", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(15, 0, 5)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(16, 0, 5)}},
		{"address mask", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(17, 0, 5)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(18, 0, 5)}},
		{"extended echo, refused with a code", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(42, 0, 5)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(43, 3, 5)}},
		{"ICMPv6 echo", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(128, 0, 5)},
			[]layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(129, 0, 5)}},
		{"node information", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(139, 1, 2)},
			[]layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(140, 0, 2)}},
		{"ICMPv6 extended echo", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(160, 0, 2)},
			[]layer{eth(0x86dd), ip6(hostB6, hostA6, 58), icmp(161, 0, 2)}},
	} {
		k1, d1 := key(t, tt.one...)
		k2, d2 := key(t, tt.back...)
		if k1 != k2 || d1 == d2 {
			t.Errorf("%s: there %+v %v, back %+v %v", tt.name, k1, d1, k2, d2)
		}
	}
}

// Pairs of packets that must never share a flow.
func TestOtherPacketsHaveOtherKeys(t *testing.T) {
	udp4 := []layer{eth(0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}
	request := []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 5)}
	for _, tt := range []struct {
		name     string
		one, two []layer
	}{
		{"a request by the host that was asked", request, []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(8, 0, 5)}},
		{"a reply by the host that asks", request, []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(0, 0, 5)}},
		{"another identifier", request, []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(0, 0, 6)}},
		{"another query", request, []layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(14, 0, 5)}},
		{"router advertisement by the other host", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(9, 0, 0)},
			[]layer{eth(0x0800), ip4(hostB4, hostA4, 1), icmp(9, 0, 0)}},
		{"another code", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(9, 0, 0)},
			[]layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(9, 16, 0)}},
		{"another protocol", udp4, []layer{eth(0x0800), ip4(hostA4, hostB4, 132), sctp(1, 2)}},
		{"another source port", udp4, []layer{eth(0x0800), ip4(hostA4, hostB4, 17), udp(3, 2)}},
		{"ports changed about", udp4, []layer{eth(0x0800), ip4(hostA4, hostB4, 17), udp(2, 1)}},
		{"addresses changed about", udp4, []layer{eth(0x0800), ip4(hostB4, hostA4, 17), udp(1, 2)}},
		{"another address", udp4, []layer{eth(0x0800), ip4(hostA4, "10.0.0.3", 17), udp(1, 2)}},
		{"a VLAN", udp4, []layer{eth(0x8100), tag(1, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
		{"another inner VLAN", []layer{eth(0x88a8), tag(1, 0x8100), tag(2, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)},
			[]layer{eth(0x88a8), tag(1, 0x8100), tag(3, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
		{"VLANs changed about", []layer{eth(0x88a8), tag(1, 0x8100), tag(2, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)},
			[]layer{eth(0x88a8), tag(2, 0x8100), tag(1, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
	} {
		k1, _ := key(t, tt.one...)
		k2, _ := key(t, tt.two...)
		if k1 == k2 {
			t.Errorf("%s: both have the key %+v", tt.name, k1)
		}
	}
	info := Info{Outcome: IP, Family: 4, Proto: 17, Src: addr(hostA4), Dst: addr(hostB4), SrcPort: 1, DstPort: 2}
	twin := info
	twin.Family = 6 // no such packet is IP, but the family has to be enough
	k1, _ := info.Key(1)
	k2, _ := twin.Key(1)
	k3, _ := info.Key(2)
	if k1 == k2 || k1 == k3 {
		t.Errorf("family or group is not in the key: %+v %+v %+v", k1, k2, k3)
	}
}

// A packet whose two endpoints are one still has a key, the same each time,
// and a query from nobody to nobody is told from its reply.
func TestEqualEndpoints(t *testing.T) {
	_, d := key(t, eth(0x0800), ip4(hostA4, hostA4, 17), udp(3785, 3785))
	if d != AtoB {
		t.Errorf("a packet to itself has direction %v", d)
	}
	k1, d1 := key(t, eth(0x0800), ip4("0.0.0.0", "0.0.0.0", 1), icmp(8, 0, 1))
	k2, d2 := key(t, eth(0x0800), ip4("0.0.0.0", "0.0.0.0", 1), icmp(0, 0, 1))
	if k1 != k2 || d1 != AtoB || d2 != BtoA {
		t.Errorf("request %+v %v, reply %+v %v", k1, d1, k2, d2)
	}
}

// An error finds the flow that it quotes, from either end of it, and the
// quoted packet's direction is that of the flow's own packets.
func TestQuotesHaveTheKeyOfTheirFlow(t *testing.T) {
	for _, tt := range []struct {
		name  string
		quote []layer
	}{
		{"UDP", []layer{ip4(hostA4, hostB4, 17), udp(1, 2)}},
		{"UDP the other way", []layer{ip4(hostB4, hostA4, 17), udp(2, 1)}},
		{"echo request", []layer{ip4(hostA4, hostB4, 1), icmp(8, 0, 9)}},
		{"echo reply", []layer{ip4(hostB4, hostA4, 1), icmp(0, 0, 9)}},
	} {
		var flow, e Info
		Parse(build(append([]layer{eth(0x8100), tag(5, 0x0800)}, tt.quote...)...), &flow)
		src := flow.Src.Netip(4).String()
		Parse(build(append([]layer{eth(0x8100), tag(5, 0x0800), ip4("10.9.9.9", src, 1), icmp(11, 0, 0)}, tt.quote...)...), &e)
		want, wantDir := flow.Key(3)
		got, gotDir := e.Quote.Key(e.VLAN, 3)
		if e.Outcome != ICMPError || got != want || gotDir != wantDir {
			t.Errorf("%s: quoted %+v %v, sent %+v %v", tt.name, got, gotDir, want, wantDir)
		}
	}
}

// What people are shown of a key is what went into it.
func TestKeyAccessors(t *testing.T) {
	k, d := key(t, eth(0x88a8), tag(5, 0x8100), tag(6, 0x0800), ip4(hostB4, hostA4, 17), udp(443, 40000))
	if d != BtoA || k.A.Netip(4).String() != hostA4 || k.B.Netip(4).String() != hostB4 || k.PortA() != 40000 || k.PortB() != 443 ||
		k.Group() != 3 || k.Proto() != 17 || k.Family() != 4 || k.VLANs() != [2]uint16{5, 6} {
		t.Errorf("%+v %v", k, d)
	}
	if kind, code, from := k.ICMP(); kind != 0 || code != 0 || from != AtoB {
		t.Errorf("UDP has the ICMP fields %d %d %v", kind, code, from)
	}
	k, _ = key(t, eth(0x0800), ip4(hostB4, hostA4, 1), icmp(9, 16, 0))
	if kind, code, from := k.ICMP(); kind != 9 || code != 16 || from != BtoA {
		t.Errorf("router advertisement by B has the ICMP fields %d %d %v", kind, code, from)
	}
	if size := reflect.TypeOf(k).Size(); size != 48 {
		t.Errorf("a key has %d bytes, want 48 without gaps", size)
	}
}
