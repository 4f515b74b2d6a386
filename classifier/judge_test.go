// SPDX-License-Identifier: Apache-2.0

package classifier

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// judge answers the same question as Linear from other means: addresses are
// strings of '0' and '1', and so are ports, and a service counts for each way
// in which it names a packet. It shares no code with linear.go.
func judge(p *Program, k *Key) int {
	for i, r := range p.Rules {
		if judgeSet(p, r.Src, k.Src) && judgeSet(p, r.Dst, k.Dst) && judgeServices(r, k) && judgeWires(r, k) {
			return i
		}
	}
	return -1
}

// bits returns the family and then the address, one letter a bit.
func bits(a netip.Addr) string {
	var s strings.Builder
	fmt.Fprintf(&s, "v%d:", len(a.AsSlice()))
	for _, b := range a.AsSlice() {
		fmt.Fprintf(&s, "%08b", b)
	}
	return s.String()
}

func judgeSet(p *Program, set int, a netip.Addr) bool {
	found := set == -1
	for i := 0; set >= 0 && i < len(p.Sets[set].Prefixes); i++ {
		prefix := p.Sets[set].Prefixes[i]
		all := bits(prefix.Addr())
		head := all[:strings.Index(all, ":")+1+prefix.Bits()]
		found = found || strings.HasPrefix(bits(a), head)
	}
	return found
}

func judgeServices(r Rule, k *Key) bool {
	services := r.Services
	if len(services) == 0 {
		services = []Service{{AnyProto: true}}
	}
	count := 0
	for _, s := range services {
		plain := s.AnyProto || s.Proto == k.Proto && judgePorts(s, k) && judgeICMP(s, k)
		inTunnel, aboutTunnel := k.Tunnel > 0, s.Tunnel > 0
		if inTunnel && aboutTunnel && s.Tunnel == k.Tunnel {
			count++
		}
		if !inTunnel && !aboutTunnel && plain {
			count++
		}
	}
	return count > 0
}

func judgePorts(s Service, k *Key) bool {
	return judgeRanges(s.SrcPorts, k.SrcPort) && judgeRanges(s.DstPorts, k.DstPort)
}

// judgeRanges compares ports as strings of 16 bits, whose order is theirs.
func judgeRanges(ranges []PortRange, port uint16) bool {
	named := len(ranges) == 0
	for _, r := range ranges {
		order := fmt.Sprintf("%016b %016b %016b", r.Lo, port, r.Hi)
		named = named || slices.IsSorted(strings.Fields(order))
	}
	return named
}

func judgeICMP(s Service, k *Key) bool {
	if k.Proto != 1 && k.Proto != 58 || s.AnyICMP {
		return true
	}
	want := fmt.Sprintf("%d/%d", s.Type, s.Code)
	got := fmt.Sprintf("%d/%d", k.ICMPType, k.ICMPCode)
	if s.AnyCode {
		return strings.Split(want, "/")[0] == strings.Split(got, "/")[0]
	}
	return want == got
}

func judgeWires(r Rule, k *Key) bool {
	return len(r.Wires) == 0 || strings.Contains(fmt.Sprint(" ", r.Wires, " "), fmt.Sprint(k.Wire))
}

// The universe below is small, so that random rules and random packets meet:
// addresses differ in their first and last bits only, and so on.

func drawAddr(t *rapid.T, label string) netip.Addr {
	ends := rapid.SampledFrom([]byte{0, 1, 2, 3, 0x40, 0x80, 0xc0, 0xff})
	first, last := ends.Draw(t, label+" first"), ends.Draw(t, label+" last")
	switch rapid.IntRange(0, 4).Draw(t, label+" family") {
	case 0, 1:
		return netip.AddrFrom4([4]byte{first, 0, 0, last})
	case 2:
		return netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff, 12: first, 15: last})
	}
	return netip.AddrFrom16([16]byte{0: first, 8: last, 15: last})
}

func drawPrefix(t *rapid.T) netip.Prefix {
	addr := drawAddr(t, "prefix")
	return netip.PrefixFrom(addr, rapid.IntRange(0, addr.BitLen()).Draw(t, "bits")).Masked()
}

var (
	genProto  = rapid.SampledFrom([]uint8{0, 1, 6, 17, 50, 58, 132, 255})
	genPort   = rapid.SampledFrom([]uint16{0, 1, 79, 80, 81, 4789, 65534, 65535})
	genSmall  = rapid.Uint8Range(0, 2)
	genTunnel = rapid.SampledFrom([]uint8{0, 0, 0, 1, 2, 255})
)

func drawRanges(t *rapid.T, label string) []PortRange {
	var ranges []PortRange
	for range rapid.IntRange(0, 2).Draw(t, label) {
		lo, hi := genPort.Draw(t, "lo"), genPort.Draw(t, "hi")
		ranges = append(ranges, PortRange{Lo: min(lo, hi), Hi: max(lo, hi)})
	}
	return ranges
}

func drawService(t *rapid.T) Service {
	s := Service{
		AnyProto: rapid.IntRange(0, 5).Draw(t, "any") == 0,
		Proto:    genProto.Draw(t, "proto"),
		Tunnel:   genTunnel.Draw(t, "tunnel"),
	}
	if hasPorts(s.Proto) {
		s.SrcPorts, s.DstPorts = drawRanges(t, "src ports"), drawRanges(t, "dst ports")
	}
	if hasICMP(s.Proto) {
		s.AnyICMP = rapid.Bool().Draw(t, "any icmp")
		s.Type, s.Code = genSmall.Draw(t, "type"), genSmall.Draw(t, "code")
		s.AnyCode = rapid.Bool().Draw(t, "any code")
	}
	return s
}

func drawProgram(t *rapid.T) *Program {
	p := &Program{}
	for range rapid.IntRange(1, 4).Draw(t, "sets") {
		p.Sets = append(p.Sets, Set{Prefixes: rapid.SliceOfN(rapid.Custom(drawPrefix), 0, 4).Draw(t, "set")})
	}
	index := rapid.IntRange(AnySet, len(p.Sets)-1)
	for range rapid.IntRange(0, 8).Draw(t, "rules") {
		p.Rules = append(p.Rules, Rule{
			Src: index.Draw(t, "src"), Dst: index.Draw(t, "dst"),
			Services: rapid.SliceOfN(rapid.Custom(drawService), 0, 3).Draw(t, "services"),
			Wires:    rapid.SliceOfN(rapid.Uint16Range(0, 2), 0, 2).Draw(t, "wires"),
		})
	}
	return p
}

func drawKey(t *rapid.T) Key {
	return Key{
		Src: drawAddr(t, "src"), Dst: drawAddr(t, "dst"),
		SrcPort: genPort.Draw(t, "sport"), DstPort: genPort.Draw(t, "dport"),
		Proto: genProto.Draw(t, "proto"), ICMPType: genSmall.Draw(t, "type"), ICMPCode: genSmall.Draw(t, "code"),
		Tunnel: genTunnel.Draw(t, "tunnel"), Wire: rapid.Uint16Range(0, 2).Draw(t, "wire"),
	}
}

// sameAnswer is the property: Linear, Explain and the judge agree.
func sameAnswer(t *rapid.T) {
	p := drawProgram(t)
	l, err := NewLinear(p)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 {
		k := drawKey(t)
		got, want := l.Lookup(&k), judge(p, &k)
		if got != want {
			t.Fatalf("%+v: Lookup says %d, the judge %d", k, got, want)
		}
		steps := l.Explain(&k)
		last := NoRule
		if len(steps) > 0 && steps[len(steps)-1].Field == Matched {
			last = steps[len(steps)-1].Rule
		}
		if last != want {
			t.Fatalf("%+v: Explain ends with %v, the judge says %d", k, steps, want)
		}
	}
}

func TestLookupAgreesWithTheJudge(t *testing.T) { rapid.Check(t, sameAnswer) }

func FuzzLookup(f *testing.F) { f.Fuzz(rapid.MakeFuzz(sameAnswer)) }

// TestRandomPacketsMeetRandomRules keeps the property honest: it would hold
// as well if nothing ever matched.
func TestRandomPacketsMeetRandomRules(t *testing.T) {
	answers := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		p, k := drawProgram(t), drawKey(t)
		switch got := judge(p, &k); {
		case got == NoRule:
			answers["none"]++
		case p.Rules[got].Src == AnySet && p.Rules[got].Dst == AnySet:
			answers["any"]++
		default:
			answers["set"]++
		}
	})
	if answers["none"] == 0 || answers["any"] == 0 || answers["set"] == 0 {
		t.Errorf("answers %v: want some of each kind", answers)
	}
}
