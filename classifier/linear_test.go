// SPDX-License-Identifier: Apache-2.0

package classifier

import (
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// set, from, to and the rest keep the tables below readable as rules.

func set(name string, prefixes ...string) Set {
	s := Set{Name: name}
	for _, p := range prefixes {
		s.Prefixes = append(s.Prefixes, netip.MustParsePrefix(p))
	}
	return s
}

func ports(lo, hi uint16) []PortRange { return []PortRange{{Lo: lo, Hi: hi}} }

func tcp(lo, hi uint16) Service { return Service{Proto: protoTCP, DstPorts: ports(lo, hi)} }
func udp(lo, hi uint16) Service { return Service{Proto: protoUDP, DstPorts: ports(lo, hi)} }

func key(src, dst string, proto uint8, dport uint16) Key {
	return Key{
		Src: netip.MustParseAddr(src), Dst: netip.MustParseAddr(dst),
		Proto: proto, SrcPort: 40000, DstPort: dport,
	}
}

func icmpKey(src, dst string, proto, typ, code uint8) Key {
	k := key(src, dst, proto, 0)
	k.SrcPort, k.ICMPType, k.ICMPCode = 0, typ, code
	return k
}

func (k Key) through(tunnel uint8) Key { k.Tunnel = tunnel; return k }
func (k Key) by(wire uint16) Key       { k.Wire = wire; return k }
func (k Key) from(port uint16) Key     { k.SrcPort = port; return k }

const (
	web = iota
	db
	v4All
	v6All
	mixed
	nobody
)

var sets = []Set{
	set("web", "10.0.0.0/24"),
	set("db", "10.0.1.1/32", "10.0.1.3/32"),
	set("v4", "0.0.0.0/0"),
	set("v6", "::/0"),
	set("mixed", "2001:db8::1/128", "192.0.2.0/31", "2001:db8:1::/48"),
	set("nobody"),
}

func rule(src, dst int, services ...Service) Rule {
	return Rule{Src: src, Dst: dst, Services: services}
}

func TestLookupAnswersTheFirstRuleThatMatches(t *testing.T) {
	const vxlan, gre = 7, 3
	tests := map[string]struct {
		rules []Rule
		key   Key
		want  int
	}{
		"no rules":               {nil, key("10.0.0.1", "10.0.1.1", 6, 443), NoRule},
		"rule without services":  {[]Rule{rule(AnySet, AnySet)}, key("10.0.0.1", "10.0.1.1", 250, 0), 0},
		"web to db by its port":  {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.0.9", "10.0.1.3", 6, 5432), 0},
		"another port":           {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.0.9", "10.0.1.3", 6, 5433), NoRule},
		"another protocol":       {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.0.9", "10.0.1.3", 17, 5432), NoRule},
		"beside the prefix":      {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.1.0", "10.0.1.3", 6, 5432), NoRule},
		"between two hosts":      {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.0.9", "10.0.1.2", 6, 5432), NoRule},
		"the other direction":    {[]Rule{rule(web, db, tcp(5432, 5432))}, key("10.0.1.3", "10.0.0.9", 6, 5432), NoRule},
		"a set without prefixes": {[]Rule{rule(nobody, AnySet), rule(AnySet, nobody)}, key("10.0.0.1", "10.0.1.1", 6, 1), NoRule},
		"both match, first wins": {[]Rule{rule(web, AnySet), rule(AnySet, AnySet)}, key("10.0.0.1", "10.0.1.1", 6, 1), 0},
		"second of two":          {[]Rule{rule(db, AnySet), rule(AnySet, AnySet)}, key("10.0.0.1", "10.0.1.1", 6, 1), 1},
		"second service":         {[]Rule{rule(web, db, tcp(1, 1), udp(53, 53))}, key("10.0.0.1", "10.0.1.1", 17, 53), 0},

		"low end of a range":   {[]Rule{rule(web, db, tcp(100, 200))}, key("10.0.0.1", "10.0.1.1", 6, 100), 0},
		"high end of a range":  {[]Rule{rule(web, db, tcp(100, 200))}, key("10.0.0.1", "10.0.1.1", 6, 200), 0},
		"below a range":        {[]Rule{rule(web, db, tcp(100, 200))}, key("10.0.0.1", "10.0.1.1", 6, 99), NoRule},
		"above a range":        {[]Rule{rule(web, db, tcp(100, 200))}, key("10.0.0.1", "10.0.1.1", 6, 201), NoRule},
		"port 0":               {[]Rule{rule(web, db, tcp(0, 0))}, key("10.0.0.1", "10.0.1.1", 6, 0), 0},
		"port 0 is not any":    {[]Rule{rule(web, db, tcp(0, 0))}, key("10.0.0.1", "10.0.1.1", 6, 1), NoRule},
		"port 65535":           {[]Rule{rule(web, db, tcp(65535, 65535))}, key("10.0.0.1", "10.0.1.1", 6, 65535), 0},
		"all ports written":    {[]Rule{rule(web, db, tcp(0, 65535))}, key("10.0.0.1", "10.0.1.1", 6, 65535), 0},
		"tcp of any port":      {[]Rule{rule(web, db, Service{Proto: 6})}, key("10.0.0.1", "10.0.1.1", 6, 7), 0},
		"source port":          {[]Rule{rule(web, db, Service{Proto: 17, SrcPorts: ports(123, 123)})}, key("10.0.0.1", "10.0.1.1", 17, 5).from(123), 0},
		"another source port":  {[]Rule{rule(web, db, Service{Proto: 17, SrcPorts: ports(123, 123)})}, key("10.0.0.1", "10.0.1.1", 17, 123).from(5), NoRule},
		"sctp ports count":     {[]Rule{rule(web, db, Service{Proto: 132, DstPorts: ports(36412, 36412)})}, key("10.0.0.1", "10.0.1.1", 132, 1), NoRule},
		"esp has no ports":     {[]Rule{rule(web, db, Service{Proto: 50})}, key("10.0.0.1", "10.0.1.1", 50, 0), 0},
		"protocol 0 is itself": {[]Rule{rule(web, db, Service{})}, key("10.0.0.1", "10.0.1.1", 0, 0), 0},
		"protocol 0 not any":   {[]Rule{rule(web, db, Service{})}, key("10.0.0.1", "10.0.1.1", 6, 0), NoRule},
		"any protocol":         {[]Rule{rule(web, db, Service{AnyProto: true})}, key("10.0.0.1", "10.0.1.1", 255, 0), 0},

		"ping":                   {[]Rule{rule(web, db, Service{Proto: 1, Type: 8, AnyCode: true})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 8, 0), 0},
		"echo reply is not ping": {[]Rule{rule(web, db, Service{Proto: 1, Type: 8, AnyCode: true})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 0, 0), NoRule},
		"any code":               {[]Rule{rule(web, db, Service{Proto: 1, Type: 3, AnyCode: true})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 3, 9), 0},
		"one code":               {[]Rule{rule(web, db, Service{Proto: 1, Type: 3, Code: 4})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 3, 4), 0},
		"another code":           {[]Rule{rule(web, db, Service{Proto: 1, Type: 3, Code: 4})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 3, 3), NoRule},
		"type 0 is itself":       {[]Rule{rule(web, db, Service{Proto: 1, AnyCode: true})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 8, 0), NoRule},
		"any icmp":               {[]Rule{rule(web, db, Service{Proto: 1, AnyICMP: true})}, icmpKey("10.0.0.1", "10.0.1.1", 1, 13, 0), 0},
		"icmp is not icmpv6":     {[]Rule{rule(AnySet, AnySet, Service{Proto: 1, AnyICMP: true})}, icmpKey("::1", "::2", 58, 128, 0), NoRule},

		"any v4 takes v4":          {[]Rule{rule(v4All, v4All)}, key("1.2.3.4", "255.255.255.255", 6, 1), 0},
		"any v4 leaves v6":         {[]Rule{rule(v4All, v4All)}, key("::1", "::2", 6, 1), NoRule},
		"any v6 leaves v4":         {[]Rule{rule(v6All, v6All)}, key("1.2.3.4", "5.6.7.8", 6, 1), NoRule},
		"any v6 takes mapped":      {[]Rule{rule(v6All, v6All)}, key("::ffff:1.2.3.4", "::", 6, 1), 0},
		"mapped is not v4":         {[]Rule{rule(v4All, AnySet)}, key("::ffff:1.2.3.4", "::", 6, 1), NoRule},
		"any set takes both":       {[]Rule{rule(AnySet, AnySet)}, key("::1", "::2", 6, 1), 0},
		"one v6 host":              {[]Rule{rule(mixed, AnySet)}, key("2001:db8::1", "::2", 6, 1), 0},
		"beside one v6 host":       {[]Rule{rule(mixed, AnySet)}, key("2001:db8::2", "::2", 6, 1), NoRule},
		"v4 in a set of both":      {[]Rule{rule(AnySet, mixed)}, key("10.0.0.1", "192.0.2.1", 6, 1), 0},
		"last of a v6 prefix":      {[]Rule{rule(AnySet, mixed)}, key("::1", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", 6, 1), 0},
		"first behind a v6 prefix": {[]Rule{rule(AnySet, mixed)}, key("::1", "2001:db8:2::", 6, 1), NoRule},

		"tunnel under its name":       {[]Rule{rule(web, db, Service{Tunnel: vxlan})}, key("10.0.0.1", "10.0.1.1", 17, 4789).through(vxlan), 0},
		"tunnel, its UDP port named":  {[]Rule{rule(web, db, udp(4789, 4789))}, key("10.0.0.1", "10.0.1.1", 17, 4789).through(vxlan), NoRule},
		"tunnel, any protocol":        {[]Rule{rule(web, db, Service{AnyProto: true})}, key("10.0.0.1", "10.0.1.1", 17, 4789).through(vxlan), NoRule},
		"tunnel, no service":          {[]Rule{rule(web, db)}, key("10.0.0.1", "10.0.1.1", 17, 4789).through(vxlan), NoRule},
		"tunnel, another named":       {[]Rule{rule(web, db, Service{Tunnel: gre})}, key("10.0.0.1", "10.0.1.1", 17, 4789).through(vxlan), NoRule},
		"no tunnel, a tunnel's rule":  {[]Rule{rule(web, db, Service{Tunnel: vxlan, AnyProto: true})}, key("10.0.0.1", "10.0.1.1", 17, 4789), NoRule},
		"a tunnel's rule, whatever":   {[]Rule{rule(web, db, Service{Tunnel: gre, Proto: 6, DstPorts: ports(1, 1)})}, key("10.0.0.1", "10.0.1.1", 47, 0).through(gre), 0},
		"wire named":                  {[]Rule{{Src: web, Dst: db, Wires: []uint16{3, 0}}}, key("10.0.0.1", "10.0.1.1", 6, 1).by(0), 0},
		"another wire":                {[]Rule{{Src: web, Dst: db, Wires: []uint16{3, 0}}}, key("10.0.0.1", "10.0.1.1", 6, 1).by(1), NoRule},
		"every wire":                  {[]Rule{rule(web, db)}, key("10.0.0.1", "10.0.1.1", 6, 1).by(65535), 0},
		"wire of the second rule":     {[]Rule{{Src: web, Dst: db, Wires: []uint16{1}}, {Src: web, Dst: db, Wires: []uint16{2}}}, key("10.0.0.1", "10.0.1.1", 6, 1).by(2), 1},
		"the zero key meets any rule": {[]Rule{rule(v4All, AnySet), rule(v6All, AnySet), rule(AnySet, AnySet)}, Key{}, 2},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := linear(t, &Program{Sets: sets, Rules: test.rules})
			if got := l.Lookup(&test.key); got != test.want {
				t.Errorf("Lookup(%+v) = %d, want %d", test.key, got, test.want)
			}
		})
	}
}

func linear(t testing.TB, p *Program) *Linear {
	t.Helper()
	l, err := NewLinear(p)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestExplainNamesTheFirstPartThatDidNotMatch(t *testing.T) {
	l := linear(t, &Program{Sets: sets, Rules: []Rule{
		{Src: db, Dst: web, Wires: []uint16{9}},
		rule(db, web),
		rule(web, web),
		rule(web, db, tcp(80, 80)),
		rule(web, db, tcp(5432, 5432)),
		rule(AnySet, AnySet),
	}})
	k := key("10.0.0.1", "10.0.1.1", 6, 5432)
	want := []Step{{0, WireField}, {1, SourceField}, {2, DestField}, {3, ServiceField}, {4, Matched}}
	if diff := cmp.Diff(want, l.Explain(&k)); diff != "" {
		t.Error(diff)
	}
}

func TestExplainOfNoRuleHasAStepForEachRule(t *testing.T) {
	l := linear(t, &Program{Sets: sets, Rules: []Rule{rule(db, web), rule(web, db, tcp(80, 80))}})
	k := key("10.0.0.1", "10.0.1.1", 17, 80)
	want := []Step{{0, SourceField}, {1, ServiceField}}
	if diff := cmp.Diff(want, l.Explain(&k)); diff != "" {
		t.Error(diff)
	}
}

func TestFieldNames(t *testing.T) {
	var names []string
	for f := range Field(6) {
		names = append(names, f.String())
	}
	want := "matched wire source destination service unknown"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	l := linear(t, testProgram(100))
	hit, miss := testKey(99), key("2001:db8::", "::", 6, 1)
	got := testing.AllocsPerRun(100, func() {
		if l.Lookup(&hit) != 99 || l.Lookup(&miss) != NoRule {
			t.Fatal("wrong answer")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations a lookup", got)
	}
}

func TestLookupFromManyGoroutines(t *testing.T) {
	l := linear(t, testProgram(64))
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				want := (g + i) % 64
				k := testKey(want)
				if got := l.Lookup(&k); got != want {
					t.Errorf("rule %d, want %d", got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

// testProgram returns a program of n rules, of which testKey(i) meets rule i.
func testProgram(n int) *Program {
	p := &Program{Sets: []Set{set("all", "10.0.0.0/8", "2001:db8::/32")}}
	for i := range n {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		p.Sets = append(p.Sets, Set{Prefixes: []netip.Prefix{netip.PrefixFrom(addr, 32)}})
		p.Rules = append(p.Rules, rule(i+1, 0, tcp(80, 80), tcp(443, 443)))
	}
	return p
}

func testKey(i int) Key {
	k := key("10.0.0.0", "10.9.9.9", 6, 443)
	k.Src = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	return k
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct {
		name  string
		rules int
	}{{"10", 10}, {"1000", 1000}} {
		l := linear(b, testProgram(size.rules))
		keys := map[string]Key{
			"hit-first": testKey(0), "hit-last": testKey(size.rules - 1),
			"miss-v4": testKey(4000), "miss-v6": key("2001:db8::1", "2001:db8::2", 6, 443),
		}
		for name, k := range keys {
			b.Run("rules="+size.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					l.Lookup(&k)
				}
			})
		}
	}
}
