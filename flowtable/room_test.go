// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"testing"
	"time"

	"bulkhead/dataplane/packet"
)

const second = int64(time.Second)

// fill inserts flows until none fits, all in one state and at one time, and
// says how many.
func fillUp(t *testing.T, h *Handle, from uint32, s Start) (n int) {
	t.Helper()
	for {
		k := crowdKey(from + uint32(n))
		if _, r := h.Insert(&k, h.Hash(&k), &s); r != Inserted {
			return n
		}
		if n++; n%16 == 0 {
			h.Pass()
		}
		if n > 1<<22 {
			t.Fatal("the table never fills")
		}
	}
}

func TestCapacityFlowsFit(t *testing.T) {
	sizes := []int{1, 7, 64, 1000, 1 << 16, 100_000}
	if !testing.Short() && !raceEnabled {
		sizes = append(sizes, 1<<20)
	}
	for _, n := range sizes {
		table := newTable(t, Options{Capacity: n, Workers: 2})
		h := join(t, table, nil)
		got := fillUp(t, h, 0, Start{State: Established, Decision: Decision{Verdict: 1}, Now: second})
		if most := table.size.Entries; got < n || got > most {
			t.Errorf("capacity %d: %d flows fit, the pool has %d entries", n, got, most)
		}
		for i := range uint32(got) {
			k := crowdKey(i)
			if _, ok := h.Lookup(&k, h.Hash(&k)); !ok {
				t.Fatalf("capacity %d: flow %d is not there", n, i)
			}
		}
	}
}

// Who gives way when the table is full, and who never does.
func TestOrderOfGivingWay(t *testing.T) {
	const pressure = 100 * time.Millisecond
	for _, c := range []struct {
		name    string
		state   State
		verdict uint8
		idle    time.Duration
		gives   bool
	}{
		{"unconfirmed", SynSent, 1, time.Second, true},
		{"unconfirmed, young", SynSent, 1, pressure / 2, false},
		{"half open", SynReceived, 1, time.Second, true},
		{"picked up", Midstream, 1, time.Second, true},
		{"UDP without an answer", UDPUnreplied, 1, time.Second, true},
		{"to a group", OneWay, 1, time.Second, true},
		{"finished", TimeWait, 1, time.Second, true},
		{"finished, young", TimeWait, 1, pressure / 2, false},
		{"reset", ResetInitiator, 1, time.Second, true},
		{"open", Established, 1, time.Hour, false},
		{"open, denied since", Established, 0, time.Second, true},
		{"open, its time is up", Established, 1, 125 * time.Minute, true},
		{"closing", FinInitiator, 1, time.Minute, false},
		{"UDP with an answer", UDPReplied, 1, time.Minute, false},
		{"ICMP with an answer", ICMPReplied, 1, 30 * time.Second, false},
		{"other with an answer", OtherReplied, 1, time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(t, Options{Capacity: 500, Timeouts: Timeouts{Pressure: pressure}})
			h := join(t, table, nil)
			s := Start{State: c.state, Decision: Decision{Verdict: c.verdict}, Now: second, Info: &packet.Info{}}
			fillUp(t, h, 0, s)
			s.Now += int64(c.idle)
			h.Pass()
			k := crowdKey(1 << 20)
			_, r := h.Insert(&k, h.Hash(&k), &s)
			if (r == Inserted) != c.gives {
				t.Errorf("insert says %d, %+v", r, table.Stats())
			}
		})
	}
}

// Among flows in the same two buckets: expired before finished before
// unconfirmed, and the one that was idle longest.
func TestReadiestFlowGivesWay(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 4}), nil) // two buckets: all flows are neighbours
	add := func(id uint32, s State, now int64) Ref {
		k := crowdKey(id)
		ref, r := h.Insert(&k, h.Hash(&k), &Start{State: s, Decision: Decision{Verdict: 1}, Now: now, Info: &packet.Info{}})
		if r != Inserted {
			t.Fatalf("insert %d says %d", id, r)
		}
		return ref
	}
	now := 10000 * second
	expired := add(1, SynSent, now-40*second)
	finished := add(2, TimeWait, now-20*second)
	older := add(3, SynSent, now-10*second)
	younger := add(4, UDPUnreplied, now-5*second)
	add(5, Established, now-3600*second)
	for _, want := range []Ref{expired, finished, older, younger} {
		if !h.makeRoom(0, now, false) {
			t.Fatal("nothing gives way")
		}
		if got := h.limbo[h.in-1].ref; got != want {
			t.Errorf("flow %d gave way, want %d", got, want)
		}
	}
	if h.makeRoom(0, now, true) {
		t.Error("an open flow gave way")
	}
	if s := h.table.Stats(); s.EvictedExpired != 1 || s.EvictedFinished != 1 || s.EvictedUnconfirmed != 2 {
		t.Errorf("%+v", s)
	}
}

// A flood of forged SYNs: every open flow stays, real connections get in, and
// afterwards the table is as empty as before.
func TestFloodLeavesOpenFlowsAlone(t *testing.T) {
	capacity, open, flood := fewer(20_000), fewer(2000), fewer(400_000)
	rate := capacity * 5 / 2 // a second
	table := newTable(t, Options{Capacity: capacity})
	h := join(t, table, nil)
	h.Sweep(second, 0)
	for i := range uint32(open) {
		k := crowdKey(i)
		h.Insert(&k, h.Hash(&k), &Start{State: Established, Decision: Decision{Verdict: 1}, Now: second})
	}
	rng, now := newRand(1), second
	real, refused := 0, 0
	for i := range uint32(flood) {
		now += second / int64(rate)
		k := crowdKey(1<<24 + rng.Uint32N(1<<24))
		s := Start{State: SynSent, Decision: Decision{Verdict: 1}, Now: now, Info: &packet.Info{TCPFlags: flagSyn}}
		if _, r := h.Insert(&k, h.Hash(&k), &s); r == Full {
			refused++
		}
		if i%1000 == 0 && int(i) > flood/2 { // an honest host, which is answered 5 ms later
			k := crowdKey(1<<23 + i)
			ref, _ := h.Insert(&k, h.Hash(&k), &s)
			if ref != 0 && h.Advance(ref, packet.BtoA, &packet.Info{Proto: protoTCP, TCPFlags: 18, TCPAck: 1}) == Pass {
				h.Advance(ref, packet.AtoB, &packet.Info{Proto: protoTCP, TCPFlags: 16, TCPSeq: 1, TCPAck: 1})
				real++
			}
		}
		if i%32 == 0 {
			h.Pass()
			h.Sweep(now, 256)
		}
		if table.Len() > table.size.Entries {
			t.Fatal("more flows than there is room for")
		}
	}
	t.Logf("refused %d, %+v", refused, table.Stats())
	for i := range uint32(open) {
		k := crowdKey(i)
		if _, ok := h.Lookup(&k, h.Hash(&k)); !ok {
			t.Fatalf("open flow %d is gone", i)
		}
	}
	if want := flood/2/1000 - 1; real < want || refused > 0 {
		t.Errorf("%d real connections, want %d; %d inserts were refused", real, want, refused)
	}
	now += 61 * second
	for range 3 * capacity / len(h.limbo) { // as many at a time as may wait
		now += second
		h.Pass()
		h.Sweep(now, 1<<30)
	}
	if got := table.Len(); got != open+real {
		t.Errorf("%d flows are left, want %d", got, open+real)
	}
}

// A worker that stands still keeps ended flows from going: new ones find no
// room then, but nothing is reused too early, and all is well when it passes.
func TestStalledWorkerCostsRoomOnly(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000, Workers: 2})
	records := 0
	a, stalled := join(t, table, func(*Record) { records++ }), join(t, table, nil)
	now := second
	insert := func(id uint32) Result {
		now += second
		k := crowdKey(id)
		_, r := a.Insert(&k, a.Hash(&k), &Start{State: UDPUnreplied, Now: now})
		a.Pass()
		a.Sweep(now, 0)
		return r
	}
	id := uint32(0)
	for ; insert(id) == Inserted; id++ {
		if int(id) > table.size.Entries {
			t.Fatal("more flows than entries")
		}
	}
	if id < 1000 || records != 0 {
		t.Errorf("%d flows fitted, %d entries were taken back", id, records)
	}
	stalled.Pass()
	a.Sweep(now, 0)
	if r := insert(1 << 20); r != Inserted || records == 0 {
		t.Errorf("afterwards: %d, %d entries were taken back", r, records)
	}
}

// Many short conversations leave nothing behind.
func TestShortConversationsLeaveNothing(t *testing.T) {
	conversations := fewer(50_000)
	var packets, records uint64
	table := newTable(t, Options{Capacity: 4000})
	h := join(t, table, func(r *Record) {
		records++
		packets += r.Packets[0] + r.Packets[1]
	})
	whole := []packet.Info{
		{TCPFlags: 2, TCPSeq: 0}, {TCPFlags: 18, TCPSeq: 100, TCPAck: 1}, {TCPFlags: 16, TCPSeq: 1, TCPAck: 101},
		{TCPFlags: 24, TCPSeq: 1, TCPAck: 101, Payload: 9}, {TCPFlags: 17, TCPSeq: 101, TCPAck: 10},
		{TCPFlags: 17, TCPSeq: 10, TCPAck: 102}, {TCPFlags: 16, TCPSeq: 102, TCPAck: 11},
	}
	sides := []packet.Dir{0, 1, 0, 0, 1, 0, 1}
	now, refused := second, 0
	for i := range uint32(conversations) {
		now += second / 20_000
		k := crowdKey(i)
		for n := range whole {
			whole[n].Proto = protoTCP
			ref, ok := h.Lookup(&k, h.Hash(&k))
			if !ok {
				if ref, _ = h.Insert(&k, h.Hash(&k), &Start{Info: &whole[n], State: SynSent, Now: now, Decision: Decision{Verdict: 1}}); ref == 0 {
					refused++
					break
				}
			} else if h.Advance(ref, sides[n], &whole[n]) != Pass {
				t.Fatalf("conversation %d: packet %d does not pass", i, n)
			}
			h.Account(ref, sides[n], 60, now)
		}
		if i%16 == 0 {
			h.Pass()
			h.Sweep(now, 256)
		}
	}
	for range 200 {
		now += 300 * second
		h.Pass()
		h.Sweep(now, 1<<30)
	}
	if table.Len() != 0 || int(table.freeLength())+h.nkept != table.size.Entries {
		t.Errorf("%d flows are left, %d entries are free of %d", table.Len(), int(table.freeLength())+h.nkept, table.size.Entries)
	}
	if refused != 0 || records != uint64(conversations) || packets != records*uint64(len(whole)) {
		t.Errorf("%d refused, %d records of %d packets", refused, records, packets)
	}
}
