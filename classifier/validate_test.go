// SPDX-License-Identifier: Apache-2.0

package classifier

import (
	"net/netip"
	"strings"
	"testing"
)

func TestNewLinearRefusesAProgramThatContradictsItself(t *testing.T) {
	withService := func(s Service) *Program { return &Program{Rules: []Rule{rule(AnySet, AnySet, s)}} }
	withPrefix := func(p netip.Prefix) *Program {
		return &Program{Sets: []Set{{Name: "bad", Prefixes: []netip.Prefix{p}}}}
	}
	tests := map[string]struct {
		program *Program
		want    string
	}{
		"source set beyond the end": {&Program{Rules: []Rule{rule(0, AnySet)}}, "rule 0: set 0: there are 0"},
		"destination set below any": {&Program{Rules: []Rule{rule(AnySet, -2)}}, "rule 0: set -2"},
		"prefix that is none":       {withPrefix(netip.Prefix{}), `set 0 ("bad"): prefix 0: not valid`},
		"prefix too long":           {withPrefix(netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33)), "not valid"},
		"bits behind the prefix":    {withPrefix(netip.MustParsePrefix("10.0.0.1/24")), "10.0.0.1/24: bits set behind"},
		"destination range":         {withService(tcp(2, 1)), "ports 2-1"},
		"source range":              {withService(Service{Proto: 17, SrcPorts: ports(9, 3)}), "ports 9-3"},
		"ports without TCP":         {withService(Service{Proto: 50, DstPorts: ports(1, 2)}), "protocol 50 has no ports"},
		"ports of protocol 0":       {withService(Service{DstPorts: ports(1, 2)}), "protocol 0 has no ports"},
		"type without ICMP":         {withService(Service{Proto: 6, Type: 8}), "protocol 6 has no ICMP type"},
		"ports with ICMP":           {withService(Service{Proto: 1, SrcPorts: ports(1, 2)}), "protocol 1 has no ports"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l, err := NewLinear(test.program)
			if err == nil || l != nil {
				t.Fatalf("NewLinear = %v, %v; want an error and no classifier", l, err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
		})
	}
}

func TestNewLinearAcceptsTheEdges(t *testing.T) {
	edges := &Program{
		Sets: []Set{set("edges", "0.0.0.0/0", "255.255.255.255/32", "::/0", "ffff::1/128"), set("empty")},
		Rules: []Rule{
			rule(0, 1, tcp(0, 65535), Service{}, Service{Proto: 58, Type: 255, Code: 255}),
			rule(AnySet, AnySet, Service{AnyProto: true}, Service{Tunnel: 255}),
		},
	}
	for _, p := range []*Program{{}, edges} {
		if _, err := NewLinear(p); err != nil {
			t.Error(err)
		}
	}
}
