// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bytes"
	"net/netip"
	"testing"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/testenv"
)

// Frames of the conversations that the tests are about.
func tcp(src, dst netip.Addr, sport, dport uint16, flags uint8) []byte {
	return testenv.Frame(testenv.Ether{}, ip(src, dst), testenv.TCP{Src: sport, Dst: dport, Flags: flags, Seq: 1000, Ack: 2000})
}

func udp(src, dst netip.Addr, sport, dport uint16) []byte {
	return testenv.Frame(testenv.Ether{}, ip(src, dst), testenv.UDP{Src: sport, Dst: dport}, testenv.Bytes("data"))
}

func ip(src, dst netip.Addr) testenv.Layer {
	if src.Is4() {
		return testenv.IPv4{Src: src, Dst: dst}
	}
	return testenv.IPv6{Src: src, Dst: dst}
}

func echo(src, dst netip.Addr, kind uint8, id uint16) []byte {
	if src.Is4() {
		return testenv.Frame(testenv.Ether{}, ip(src, dst), testenv.ICMP{Type: kind, ID: id})
	}
	return testenv.Frame(testenv.Ether{}, ip(src, dst), testenv.ICMPv6{Type: kind, ID: id})
}

const (
	fin, syn, rst, ack = 1, 2, 4, 16
	a, b               = 0, 1 // ports
)

// step is one frame in a conversation and what becomes of it.
type step struct {
	side  int
	frame []byte
	pass  bool
	why   event.Reason // of a drop
}

func TestPacketsOfAConversation(t *testing.T) {
	web, db := web4, db4
	for name, steps := range map[string][]step{
		"allowed TCP passes both ways": {
			{a, tcp(web, db, 40000, 5432, syn), true, 0},
			{b, testenv.Frame(testenv.Ether{}, ip(db, web), testenv.TCP{Src: 5432, Dst: 40000, Flags: syn | ack, Seq: 7, Ack: 1001}), true, 0},
			{a, testenv.Frame(testenv.Ether{}, ip(web, db), testenv.TCP{Src: 40000, Dst: 5432, Flags: ack, Seq: 1001, Ack: 8}), true, 0},
		},
		"another port is denied": {
			{a, tcp(web, db, 40000, 22, syn), false, event.DefaultDeny},
		},
		"the other direction is denied": {
			{b, tcp(db, web, 40000, 5432, syn), false, event.DefaultDeny},
		},
		"TCP from nowhere": {
			{a, tcp(web, db, 40000, 5432, ack), false, event.Midstream},
			{a, tcp(web, db, 40000, 5432, rst), false, event.Midstream},
			{b, tcp(db, web, 5432, 40000, syn|ack), false, event.Midstream},
		},
		"who may not send cannot keep others from sending to it": {
			{b, udp(db, web, 53, 999), false, event.DefaultDeny},
			{a, udp(web, db, 999, 53), true, 0},
			{b, udp(db, web, 53, 999), true, 0},
		},
		"UDP reply": {
			{a, udp(web, db, 999, 53), true, 0},
			{b, udp(db, web, 53, 999), true, 0},
			{b, udp(db, web, 53, 998), false, event.DefaultDeny},
		},
		"ping and its reply": {
			{b, echo(db, web, 0, 7), false, event.ICMPUnrelated},
			{a, echo(web, db, 8, 7), true, 0},
			{b, echo(db, web, 0, 7), true, 0},
			{b, echo(db, web, 0, 8), false, event.ICMPUnrelated},
			{b, echo(db, web, 8, 7), false, event.DefaultDeny},
		},
		"ping and its reply, IPv6": {
			{a, echo(web6, db6, 128, 7), true, 0},
			{b, echo(db6, web6, 129, 7), true, 0},
			{b, echo(db6, web6, 128, 7), false, event.DefaultDeny},
		},
		"IPv6 like IPv4": {
			{a, tcp(web6, db6, 40000, 5432, syn), true, 0},
			{a, tcp(web6, db6, 40000, 22, syn), false, event.DefaultDeny},
			{a, udp(web6, db6, 1, 53), true, 0},
			{b, udp(db6, web6, 53, 1), true, 0},
		},
		"a denied flow stays denied": {
			{a, udp(web, db, 5, 99), false, event.DefaultDeny},
			{a, udp(web, db, 5, 99), false, event.DefaultDeny},
			{b, udp(db, web, 99, 5), false, event.DefaultDeny},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, defaults(), plainWire)
			r.publish(Drop, tierSets, webToDB)
			for i, s := range steps {
				before := r.tallyOf(0, s.side).dropped[s.why]
				out := r.send(s.side, s.frame)
				if got := len(out) == 1; got != s.pass {
					t.Fatalf("step %d: passed %v, want %v", i, got, s.pass)
				}
				if s.pass && !bytes.Equal(out[0], s.frame) {
					t.Fatalf("step %d: the frame was changed", i)
				}
				if !s.pass && r.tallyOf(0, s.side).dropped[s.why] != before+1 {
					t.Fatalf("step %d: not counted as %s: %v", i, s.why.Name(), r.tallyOf(0, s.side).dropped)
				}
			}
		})
	}
}

func TestNothingPassesBeforeAPolicyIsPublished(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	arp := testenv.Frame(testenv.Ether{}, testenv.ARP{})
	if out := r.send(a, udp(web4, db4, 1, 53), tcp(web4, db4, 1, 5432, syn), arp); len(out) != 0 {
		t.Fatal("a frame passed without a policy")
	}
	if n := r.dropped(event.NoPolicy); n != 3 {
		t.Errorf("no_policy counted %d, want 3", n)
	}
}

func TestBatchWithoutAnyFlowIsJudgedToo(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, nil)
	if out := r.send(a, testenv.Frame(testenv.Ether{}, testenv.ARP{})); len(out) != 1 {
		t.Error("ARP alone did not pass")
	}
	if out := r.send(a, []byte{}); len(out) != 0 {
		t.Error("a frame of no bytes passed")
	}
}

func TestPacketsOfOneBatchShareTheFlowThatTheFirstBegins(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	same := udp(web4, db4, 1, 53)
	if out := r.send(a, same, same, same); len(out) != 3 {
		t.Fatalf("%d of 3 passed", len(out))
	}
	if n := r.policy.Load().hits[0].Load(); n != 1 {
		t.Errorf("the rule judged %d flows, want 1", n)
	}
}

func TestNewPolicyJudgesLiveFlowsAtTheirNextPacket(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	query, answer := udp(web4, db4, 1, 53), udp(db4, web4, 53, 1)
	if len(r.send(a, query)) != 1 || len(r.send(b, answer)) != 1 {
		t.Fatal("the allowed flow did not pass")
	}
	r.publish(Drop, tierSets)
	if len(r.send(b, answer)) != 0 {
		t.Error("the answer of a flow that is now denied passed")
	}
	if len(r.send(a, query)) != 0 {
		t.Error("the query of a flow that is now denied passed")
	}
	r.publish(Drop, tierSets, webToDB)
	if len(r.send(b, answer)) != 1 {
		t.Error("a flow that is allowed again did not pass: it was judged in the direction of the packet, not of its initiator")
	}
}

func TestFlowsOfOldGenerationsAreNotTakenForCurrentAfterAWrap(t *testing.T) {
	conf := defaults()
	conf.Flows.Capacity = 8 // each publication looks at all entries
	r := newRig(t, 1, conf, plainWire)
	r.publish(Drop, tierSets, webToDB)
	query := udp(web4, db4, 1, 53)
	r.send(a, query)
	for range 1<<16 - 1 {
		r.publish(Drop, tierSets)
	}
	if uint16(r.generation) != 1 && uint16(r.generation) != 2 {
		t.Fatalf("generation %d: the test does not wrap", r.generation)
	}
	for uint16(r.generation) != 1 {
		r.publish(Drop, tierSets)
	}
	if len(r.send(a, query)) != 0 {
		t.Error("a flow judged 65,536 publications ago passed")
	}
}

func TestReplyThatComesByAnotherQueueFindsItsFlow(t *testing.T) {
	r := newRig(t, 2, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	if len(r.sendBy(0, 0, a, udp(web4, db4, 1, 53))) != 1 {
		t.Fatal("the query did not pass")
	}
	if len(r.sendBy(1, 0, b, udp(db4, web4, 53, 1))) != 1 {
		t.Error("the reply, on another worker, did not pass")
	}
}

func TestFlowsAreSharedWithinAGroupOfWiresAndNotBeyond(t *testing.T) {
	wires := []Wire{
		{Name: "one", Group: "pair", A: Port{"a0", 1}, B: Port{"b0", 1}},
		{Name: "two", Group: "pair", A: Port{"a0", 2}, B: Port{"b0", 2}},
		{Name: "alone", A: Port{"a0", 3}, B: Port{"b0", 3}},
	}
	tagged := func(vid uint16, src, dst netip.Addr, sport, dport uint16) []byte {
		return testenv.Frame(testenv.Ether{}, testenv.Tag(vid), ip(src, dst), testenv.UDP{Src: sport, Dst: dport})
	}
	r := newRig(t, 1, defaults(), wires...)
	r.publish(Drop, tierSets, webToDB)
	if len(r.sendBy(0, 0, a, tagged(1, web4, db4, 9, 53))) != 1 {
		t.Fatal("the query did not pass")
	}
	if len(r.sendBy(0, 1, b, tagged(2, db4, web4, 53, 9))) != 1 {
		t.Error("the reply by the other wire of the group did not pass")
	}
	if len(r.sendBy(0, 2, b, tagged(3, db4, web4, 53, 9))) != 0 {
		t.Error("a reply passed by a wire of another group")
	}
}

func TestRuleOfOneWireDoesNotHoldOnAnother(t *testing.T) {
	wires := []Wire{
		{Name: "one", A: Port{"a0", 1}, B: Port{"b0", 1}},
		{Name: "two", A: Port{"a0", 2}, B: Port{"b0", 2}},
	}
	r := newRig(t, 1, defaults(), wires...)
	rule := anything
	rule.Wires = []uint16{1}
	r.publish(Drop, nil, rule)
	frame := func(vid uint16) []byte {
		return testenv.Frame(testenv.Ether{}, testenv.Tag(vid), testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2})
	}
	if len(r.sendBy(0, 0, a, frame(1))) != 0 {
		t.Error("a rule for wire two let a packet pass on wire one")
	}
	if len(r.sendBy(0, 1, a, frame(2))) != 1 {
		t.Error("a rule for wire two did not let a packet pass there")
	}
}

func TestTunnelsPassOnlyWhereARuleNamesThem(t *testing.T) {
	vxlan := testenv.Frame(testenv.Ether{}, testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 4789}, testenv.Bytes("12345678"))
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, nil, anything)
	if len(r.send(a, vxlan)) != 0 || r.dropped(event.Unnamed) != 1 {
		t.Error("a rule for anything let a tunnel pass, or it was not counted as unnamed_tunnel")
	}
	named := anything
	named.Services = []classifier.Service{{Tunnel: 7}} // packet.VXLAN
	r.publish(Drop, nil, named)
	if len(r.send(a, vxlan)) != 1 {
		t.Error("a rule that names the tunnel did not let it pass")
	}
}

func TestMidstreamByThePolicyFindsWhoBegan(t *testing.T) {
	conf := defaults()
	conf.Flows.Midstream = true
	r := newRig(t, 1, conf, plainWire)
	r.publish(Drop, tierSets, webToDB)
	if len(r.send(b, tcp(db4, web4, 5432, 40000, ack))) != 1 {
		t.Error("a packet of the responder did not pass, although its conversation is allowed")
	}
	if len(r.send(a, tcp(web4, db4, 40000, 5432, ack))) != 1 {
		t.Error("the initiator's packet did not pass")
	}
	if len(r.send(a, tcp(web4, db4, 40000, 22, ack))) != 0 {
		t.Error("the middle of a denied conversation passed")
	}
	r.publish(Drop, tierSets)
	if len(r.send(b, tcp(db4, web4, 5432, 40000, ack))) != 0 {
		t.Error("the picked up conversation passed although it is denied now")
	}
}

func TestFullTableMeetsItsException(t *testing.T) {
	for _, open := range []bool{false, true} {
		conf := defaults()
		conf.Flows.Capacity = 8
		if open {
			conf.Exceptions[event.TableFull] = Forward
		}
		r := newRig(t, 1, conf, plainWire)
		r.publish(Forward, nil)
		passed := 0
		for p := range uint16(100) {
			passed += len(r.send(a, udp(web4, db4, 1000+p, 53)))
		}
		if open && passed != 100 {
			t.Errorf("table_full = forward: %d of 100 passed", passed)
		}
		if full := r.dropped(event.TableFull); !open && (full == 0 || int(full)+passed != 100) {
			t.Errorf("table_full = drop: %d passed, %d counted as table_full, of 100", passed, full)
		}
	}
}

func TestExceptionsDecideAboutWhatThePolicyDoesNot(t *testing.T) {
	arp, lldp := testenv.Frame(testenv.Ether{}, testenv.ARP{}), testenv.Frame(testenv.Ether{Type: 0x88cc}, testenv.Bytes("chassis and port"))
	unknown := testenv.Frame(testenv.Ether{Type: 0x1234}, testenv.Bytes("who knows"))
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, nil)
	if out := r.send(a, arp, lldp, unknown); len(out) != 2 {
		t.Errorf("%d frames passed by default, want ARP and LLDP", len(out))
	}
	conf := defaults()
	for i := range conf.Exceptions {
		conf.Exceptions[i] ^= Forward
	}
	r = newRig(t, 1, conf, plainWire)
	r.publish(Drop, nil)
	if out := r.send(a, arp, lldp, unknown); len(out) != 1 || !bytes.Equal(out[0], unknown) {
		t.Errorf("%d frames passed with all exceptions turned round, want the unknown one", len(out))
	}
	if p := r.tallyOf(0, 0).passed; sum(p[1:]) != 1 {
		t.Error("what passed without a rule was not counted by its reason")
	}
}

func sum(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}
