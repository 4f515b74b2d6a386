// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"errors"
	"testing"

	"bulkhead/dataplane/packet"
)

func TestBeginKnowsWhatBeginsAFlow(t *testing.T) {
	const echo, icmpB = 8 << 32, 8<<32 | 1<<48
	group4 := packet.Addr{Lo: 0xffff<<32 | 0xe0000001}
	everyone := packet.Addr{Lo: 0xffff<<32 | 0xffffffff}
	group6 := packet.Addr{Hi: 0xff02 << 48, Lo: 1}
	for _, c := range []struct {
		name      string
		meta      uint64 // of the key
		d         packet.Dir
		info      packet.Info
		midstream bool
		want      State
	}{
		{"SYN", 0, 0, packet.Info{Proto: 6, TCPFlags: 2}, false, SynSent},
		{"SYN with ECN", 0, 0, packet.Info{Proto: 6, TCPFlags: 2 | 64 | 128}, false, SynSent},
		{"SYN and ACK", 0, 0, packet.Info{Proto: 6, TCPFlags: 18}, true, NoState},
		{"ACK", 0, 0, packet.Info{Proto: 6, TCPFlags: 16}, false, NoState},
		{"ACK, pick up", 0, 0, packet.Info{Proto: 6, TCPFlags: 16}, true, Midstream},
		{"FIN, pick up", 0, 0, packet.Info{Proto: 6, TCPFlags: 17}, true, NoState},
		{"RST, pick up", 0, 0, packet.Info{Proto: 6, TCPFlags: 4}, true, NoState},
		{"no flags, pick up", 0, 0, packet.Info{Proto: 6}, true, NoState},
		{"UDP", 0, 1, packet.Info{Proto: 17}, false, UDPUnreplied},
		{"SCTP", 0, 1, packet.Info{Proto: 132}, false, OtherUnreplied},
		{"protocol 0", 0, 0, packet.Info{}, false, OtherUnreplied},
		{"echo from A", 4<<24 | 1<<16 | echo, 0, packet.Info{Proto: 1, Family: 4}, false, ICMPUnreplied},
		{"echo from B", 4<<24 | 1<<16 | icmpB, 1, packet.Info{Proto: 1, Family: 4}, false, ICMPUnreplied},
		{"echo reply to A", 4<<24 | 1<<16 | echo, 1, packet.Info{Proto: 1, Family: 4}, false, NoState},
		{"echo reply to B", 4<<24 | 1<<16 | icmpB, 0, packet.Info{Proto: 1, Family: 4}, false, NoState},
		{"ICMPv6 reply", 6<<24 | 58<<16, 1, packet.Info{Proto: 58, Family: 6}, false, NoState},
		{"ICMP in IPv6 is just a protocol", 6<<24 | 1<<16, 1, packet.Info{Proto: 1, Family: 6}, false, OtherUnreplied},
		{"UDP to a group", 0, 0, packet.Info{Proto: 17, Family: 4, Dst: group4}, false, OneWay},
		{"UDP to everyone", 0, 0, packet.Info{Proto: 17, Family: 4, Dst: everyone}, false, OneWay},
		{"MLD", 6<<24 | 58<<16, 0, packet.Info{Proto: 58, Family: 6, Dst: group6}, false, OneWay},
		{"a group's words in IPv6", 0, 0, packet.Info{Proto: 17, Family: 6, Dst: group4}, false, UDPUnreplied},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := packet.Key{Meta: c.meta}
			if got := Begin(&k, c.d, &c.info, c.midstream); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A flow whose packets come in both directions, through the parser's own keys.
func TestPingPassesAndUnsolicitedRepliesDoNot(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 8}), nil)
	request := packet.Info{Outcome: packet.IP, Proto: 1, Family: 4, ICMPType: 8, ICMPID: 7,
		Src: packet.Addr{Lo: 0xffff<<32 | 9}, Dst: packet.Addr{Lo: 0xffff<<32 | 4}}
	reply := request
	reply.Src, reply.Dst, reply.ICMPType = request.Dst, request.Src, 0
	k, d := reply.Key(1)
	if got := Begin(&k, d, &reply, false); got != NoState {
		t.Errorf("a reply to nothing begins a flow: %s", got)
	}
	k, d = request.Key(1)
	ref, _ := h.Insert(&k, h.Hash(&k), &Start{State: Begin(&k, d, &request, false), Dir: d})
	k, d = reply.Key(1)
	found, ok := h.Lookup(&k, h.Hash(&k))
	if !ok || found != ref || h.Advance(ref, d, &reply) != Pass || h.View(ref).State() != ICMPReplied {
		t.Errorf("the reply is not part of the flow: %v %+v", ok, h.View(ref))
	}
	back := request // the other host asks, with the same identifier
	back.Src, back.Dst = request.Dst, request.Src
	k, _ = back.Key(1)
	if _, ok := h.Lookup(&k, h.Hash(&k)); ok {
		t.Error("a request in the other direction takes the flow for its own")
	}
}

func TestNobodyAnswersFromAGroup(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 8}), nil)
	k := crowdKey(1)
	ref, _ := h.Insert(&k, h.Hash(&k), &Start{State: OneWay, Dir: packet.BtoA})
	info := packet.Info{Proto: protoUDP}
	if h.Advance(ref, packet.BtoA, &info) != Pass || h.Advance(ref, packet.AtoB, &info) != Invalid {
		t.Error("the wrong side was let through")
	}
}

// The transition table is whole: each state of TCP has moves for both sides,
// no state leads to one of another protocol, and nobody gets out of a state
// with flags that no TCP sends.
func TestTransitionTableIsWhole(t *testing.T) {
	for s, sides := range Transitions() {
		s := State(s)
		isTCP := isTCPState(s)
		for side, moves := range sides {
			for class, m := range moves {
				where := [...]any{s, side, class}
				switch {
				case Class(class) == Bad && m != Move{}, isTCP && class == 0 && m != Move{}, s == NoState && m != Move{}:
					t.Errorf("%v: %+v, want nothing", where, m)
				case m.Next != NoState && isTCPState(m.Next) != isTCP:
					t.Errorf("%v leads to %s", where, m.Next)
				case m.Next != NoState && m.Step != Pass, m.Step == Reopen && !s.Finished():
					t.Errorf("%v: %+v makes no sense", where, m)
				}
			}
			if isTCP && moves[Syn] == (Move{}) {
				t.Errorf("%s side %d has no moves", s, side)
			}
		}
	}
}

func isTCPState(s State) bool { return s >= SynSent && s <= Midstream || s == MidstreamResponder }

func TestClassComesFromFlagsAndPayload(t *testing.T) {
	want := map[uint8]Class{2: Syn, 18: SynAck, 16: Ack, 24: Ack, 17: Fin, 25: Fin, 4: Rst, 20: Rst, 5: Rst, 21: Rst,
		0: Bad, 1: Bad, 8: Bad, 3: Bad, 6: Bad, 19: Bad, 22: Bad, 7: Bad, 10: Syn}
	for f, c := range want {
		for _, more := range []uint8{0, 32, 64, 128, 224} {
			info := packet.Info{Proto: protoTCP, TCPFlags: f | more}
			if got := ClassOf(&info); got != c {
				t.Errorf("flags %#x: class %d, want %d", f|more, got, c)
			}
		}
	}
	if got := ClassOf(&packet.Info{Proto: protoTCP, TCPFlags: 16, Payload: 1}); got != Data {
		t.Errorf("ACK with payload: class %d", got)
	}
	if got := ClassOf(&packet.Info{Proto: protoUDP, TCPFlags: 16}); got != Datagram {
		t.Errorf("UDP: class %d", got)
	}
}

func TestInsertRefusesAStartWithoutState(t *testing.T) {
	table := newTable(t, Options{Capacity: 8})
	h := join(t, table, nil)
	k := crowdKey(1)
	for _, s := range []State{NoState, NumStates, 255} {
		if ref, r := h.Insert(&k, h.Hash(&k), &Start{State: s}); r != Full || ref != 0 {
			t.Errorf("state %d: %d %d", s, ref, r)
		}
	}
	if table.Len() != 0 {
		t.Error("something was inserted")
	}
}

func TestJoinGivesOutAsManyHandlesAsAgreed(t *testing.T) {
	for _, workers := range []int{1, 3, MaxWorkers} {
		table := newTable(t, Options{Capacity: 100, Workers: workers})
		for range workers {
			join(t, table, nil)
		}
		if _, err := table.Join(nil); !errors.Is(err, ErrTooManyHandles) {
			t.Errorf("%d workers: one more gives %v", workers, err)
		}
	}
}

// What is done for each packet takes nothing from the heap.
func TestPacketsAllocateNothing(t *testing.T) {
	table := newTable(t, Options{Capacity: 100})
	ended := 0
	h := join(t, table, func(*Record) { ended++ })
	var keys [4]packet.Key
	var hashes [4]uint64
	var refs [4]Ref
	info := packet.Info{Proto: protoTCP, TCPFlags: flagSyn}
	start := Start{Info: &info, State: SynSent, Decision: Decision{Verdict: 1}, Now: second}
	n := uint32(0)
	got := testing.AllocsPerRun(2000, func() {
		for i := range keys {
			n++
			keys[i] = crowdKey(n)
		}
		h.LookupBatch(keys[:], hashes[:], refs[:])
		for i := range keys {
			ref, _ := h.Insert(&keys[i], hashes[i], &start)
			if ref == 0 {
				continue
			}
			h.Advance(ref, packet.AtoB, &info)
			h.Account(ref, packet.AtoB, 60, start.Now)
			h.Judge(ref, h.View(ref).Decision(), Decision{Verdict: 2})
			if i == 0 {
				h.End(ref)
			}
		}
		start.Now += 50_000_000
		h.Pass()
		h.Sweep(start.Now, 64)
	})
	if got != 0 || ended == 0 {
		t.Errorf("%v allocations, %d flows ended", got, ended)
	}
}

func TestWalkStopsWhenTold(t *testing.T) {
	table := newTable(t, Options{Capacity: 100})
	fillUp(t, join(t, table, nil), 0, Start{State: Established, Decision: Decision{Verdict: 1}})
	n := 0
	table.Walk(0, func(*Record) bool { n++; return n < 7 })
	if n != 7 {
		t.Errorf("%d flows were listed", n)
	}
}
