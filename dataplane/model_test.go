// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/classifier"
)

// model judges conversations as slowly and plainly as possible: a map of those
// that began, and the rules one after another. It knows UDP and ICMP echo,
// which need no state machine.
type model struct {
	program *classifier.Program
	began   map[conversation]bool // by the one who began it
}

type conversation struct {
	src, dst     netip.Addr
	sport, dport uint16
	ping         bool
}

// packet of the model, as it is drawn.
type drawn struct {
	conversation
	reply bool // ICMP: an echo reply
}

func (c conversation) reversed() conversation {
	return conversation{c.dst, c.src, c.dport, c.sport, c.ping}
}

// passes says what must become of a packet under the present rules.
func (m *model) passes(p drawn) bool {
	c := p.conversation
	switch {
	case p.ping && p.reply:
		return m.began[c.reversed()] && m.allows(c.reversed())
	case !p.ping && m.began[c.reversed()] && m.allows(c.reversed()):
		return true
	case !p.ping: // a conversation that may not be does not keep the other side from beginning one
		delete(m.began, c.reversed())
	}
	m.began[c] = true
	return m.allows(c)
}

// allows asks the rules, one after another.
func (m *model) allows(c conversation) bool {
	for _, r := range m.program.Rules {
		if m.holds(r.Src, c.src) && m.holds(r.Dst, c.dst) && served(r.Services, c) {
			return Verdict(r.Verdict) == Forward
		}
	}
	return false
}

func (m *model) holds(set int, a netip.Addr) bool {
	if set == classifier.AnySet {
		return true
	}
	for _, p := range m.program.Sets[set].Prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func served(services []classifier.Service, c conversation) bool {
	for _, s := range services {
		if c.ping && s.Proto == 1 || !c.ping && s.Proto == 17 && s.DstPorts[0].Lo <= c.dport && c.dport <= s.DstPorts[0].Hi {
			return true
		}
	}
	return len(services) == 0
}

// drawProgram draws a few rules over a handful of addresses, so that they meet.
func drawProgram(t *rapid.T) *classifier.Program {
	p := &classifier.Program{}
	for i := range 3 {
		bits := rapid.IntRange(28, 32).Draw(t, "bits")
		a := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "address") & 15})
		p.Sets = append(p.Sets, classifier.Set{Name: fmt.Sprint(i), Prefixes: []netip.Prefix{netip.PrefixFrom(a, bits).Masked()}})
	}
	for range rapid.IntRange(0, 6).Draw(t, "rules") {
		r := classifier.Rule{Src: rapid.IntRange(-1, 2).Draw(t, "src"), Dst: rapid.IntRange(-1, 2).Draw(t, "dst")}
		r.Verdict = classifier.Verdict(rapid.IntRange(0, 1).Draw(t, "verdict"))
		switch rapid.IntRange(0, 2).Draw(t, "service") {
		case 1:
			r.Services = []classifier.Service{{Proto: 1, AnyICMP: true}}
		case 2:
			lo := rapid.Uint16Range(1, 6).Draw(t, "lo")
			r.Services = []classifier.Service{{Proto: 17, DstPorts: []classifier.PortRange{{Lo: lo, Hi: lo + rapid.Uint16Range(0, 2).Draw(t, "more")}}}}
		}
		p.Rules = append(p.Rules, r)
	}
	return p
}

func drawPacket(t *rapid.T) drawn {
	host := func(name string) netip.Addr {
		return netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, name) & 7})
	}
	p := drawn{conversation: conversation{src: host("from"), dst: host("to"), ping: rapid.Bool().Draw(t, "ping")}}
	p.sport, p.dport = rapid.Uint16Range(1, 6).Draw(t, "sport"), rapid.Uint16Range(1, 6).Draw(t, "dport")
	if p.src == p.dst {
		p.dst = p.src.Next()
	}
	if p.ping {
		p.dport = p.sport // the identifier
		p.reply = rapid.Bool().Draw(t, "reply")
	}
	return p
}

func (p drawn) frame() []byte {
	switch {
	case p.ping && p.reply:
		return echo(p.src, p.dst, 0, p.sport)
	case p.ping:
		return echo(p.src, p.dst, 8, p.sport)
	}
	return udp(p.src, p.dst, p.sport, p.dport)
}

// TestWorkersJudgeAsTheModelDoes plays random packets, from both sides and by
// two workers, through random policies that change on the way.
func TestWorkersJudgeAsTheModelDoes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		conf := defaults()
		conf.Flows.Capacity = 1024
		r := newRig(t, 2, conf, plainWire)
		defer r.close()
		m := &model{began: map[conversation]bool{}}
		for range rapid.IntRange(1, 4).Draw(rt, "policies") {
			m.program = drawProgram(rt)
			r.publish(Drop, m.program.Sets, m.program.Rules...)
			for range rapid.IntRange(0, 40).Draw(rt, "packets") {
				p := drawPacket(rt)
				worker, side := rapid.IntRange(0, 1).Draw(rt, "worker"), rapid.IntRange(0, 1).Draw(rt, "side")
				want := m.passes(p)
				if got := len(r.sendBy(worker, 0, side, p.frame())) == 1; got != want {
					rt.Fatalf("%+v: passed %v, the model says %v", p, got, want)
				}
			}
		}
	})
}
