// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"testing"
	"time"

	"bulkhead/dataplane/packet"
)

// Every timeout ends flows within a second after it, and none before.
func TestTimeoutsAreKept(t *testing.T) {
	defaults := DefaultTimeouts()
	for _, f := range defaults.named() {
		for _, s := range f.states {
			t.Run(s.String(), func(t *testing.T) {
				ended := int64(0)
				table := newTable(t, Options{Capacity: 100})
				var now int64
				h := join(t, table, func(*Record) { ended = now })
				begin := 5*second + 123_456_789
				now = begin
				h.Sweep(now, 0)
				k := crowdKey(1)
				h.Insert(&k, h.Hash(&k), &Start{State: s, Now: begin, Info: &packet.Info{}, Decision: Decision{Verdict: 1}})
				step := second / 50
				now += int64(*f.value) - 3*second
				h.Sweep(now, 1000)
				for ended == 0 && now < begin+int64(*f.value)+2*second {
					now += step
					h.Pass()
					h.Sweep(now, 1000)
				}
				if late := ended - begin - int64(*f.value); ended == 0 || late < 0 || late > second+4*step {
					t.Errorf("timeout %v: ended %v late", *f.value, time.Duration(late))
				}
			})
		}
	}
}

func TestEveryStateHasATimeoutAndAName(t *testing.T) {
	l, err := Timeouts{}.limits()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for s := SynSent; s < NumStates; s++ {
		if l.idle[s] == 0 {
			t.Errorf("%s has no timeout", s)
		}
		names[s.String()] = true
	}
	if len(names) != int(NumStates)-1 || names[""] || NumStates.String() != "invalid" || Cause(9).String() != "invalid" {
		t.Errorf("names: %v", names)
	}
}

func TestPacketsKeepAFlowAlive(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 100}), nil)
	now := second
	h.Sweep(now, 0)
	k := crowdKey(1)
	ref, _ := h.Insert(&k, h.Hash(&k), &Start{State: UDPUnreplied, Now: now})
	for range 20 {
		now += 29 * second
		h.Account(ref, packet.AtoB, 1, now)
		h.Sweep(now, 1000)
	}
	if _, ok := h.Lookup(&k, h.Hash(&k)); !ok {
		t.Error("the flow has ended")
	}
}

// A machine that slept: what is too old goes, one sweep's worth at a time, and
// nothing is swept twice to catch up.
func TestGapIsNotMadeUpFor(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000})
	h := join(t, table, nil)
	h.Sweep(second, 0)
	if n := h.Sweep(second+second/2, 1<<30); n != table.size.Entries/2 {
		t.Errorf("half a second: %d entries, want %d", n, table.size.Entries/2)
	}
	if n := h.Sweep(second+second/2, 1<<30); n != 0 {
		t.Errorf("no time: %d entries", n)
	}
	if n := h.Sweep(1_000_000*second, 1<<30); n != table.size.Entries {
		t.Errorf("long gap: %d entries, want %d", n, table.size.Entries)
	}
	if n := h.Sweep(1_000_000*second+second/10, 7); n != 7 {
		t.Errorf("limit 7: %d entries", n)
	}
	if n := h.Sweep(second, 1<<30); n != 0 {
		t.Errorf("clock backwards: %d entries", n)
	}
}

// Two handles share one sweep: each entry is looked at once.
func TestHandlesShareTheSweep(t *testing.T) {
	table := newTable(t, Options{Capacity: 1000, Workers: 2})
	a, b := join(t, table, nil), join(t, table, nil)
	a.Sweep(second, 0)
	if n := a.Sweep(2*second, 100) + b.Sweep(2*second, 1<<30); n != table.size.Entries {
		t.Errorf("%d entries, want %d", n, table.size.Entries)
	}
}

// Workers read their clocks at slightly different times.
func TestTimeThatGoesBackALittleEndsNothing(t *testing.T) {
	for _, now := range []int64{0, 1 << 20, 1<<50 - 5, 1 << 50, 1 << 62} {
		w := newTimes(now)
		for _, back := range []int64{0, 1, 1 << 20, 1 << 25} {
			if back > now {
				continue
			}
			if got := idle(w, now-back); got != 0 {
				t.Errorf("at %d, %d earlier: idle %d", now, back, got)
			}
			first, last := span(w, now-back)
			if first > now-back || last > now-back || now-back-first > 3<<tickShift {
				t.Errorf("at %d, %d earlier: first %d, last %d", now, back, first, last)
			}
		}
		e := entry{wordTimes: w}
		e.touch(now - 1<<21)
		if now >= 1<<21 && e[wordTimes] != w {
			t.Errorf("at %d: an earlier time was taken", now)
		}
	}
}

func TestTimesSurviveAHundredDays(t *testing.T) {
	const day = 86400 * second
	begin := 77 * day
	e := entry{wordTimes: newTimes(begin)}
	for d := int64(1); d < 200; d++ {
		now := begin + d*day
		e.touch(now)
		first, last := span(e[wordTimes], now+5*day)
		if max(first-begin, begin-first) > 1<<tickShift || max(last-now, now-last) > 1<<tickShift {
			t.Fatalf("day %d: first %d, want %d; last %d, want %d", d, first, begin, last, now)
		}
		if got := idle(e[wordTimes], now+6*day); got>>1 != uint64(6*day>>tickShift)>>1 && got != uint64(6*day>>tickShift)+1 {
			t.Fatalf("day %d: idle for %d ticks", d, got)
		}
	}
}

// When the table fills up, handshakes that nobody completes go earlier.
func TestUnconfirmedFlowsAgeFasterUnderPressure(t *testing.T) {
	for _, c := range []struct {
		fill float64
		age  time.Duration // the flow is older than that, and has ended
		live time.Duration // older than that, and has not
	}{
		{0.50, 31 * time.Second, 29 * time.Second},
		{0.875, 16 * time.Second, 14 * time.Second},
		{1.0, 200 * time.Millisecond, 50 * time.Millisecond},
	} {
		for _, age := range []time.Duration{c.age, c.live} {
			table := newTable(t, Options{Capacity: 10_000})
			h := join(t, table, nil)
			begin := 1000 * second
			h.Sweep(begin-second, 0)
			for i := range uint32(c.fill*10_000) - 1 {
				k := crowdKey(100 + i)
				h.Insert(&k, h.Hash(&k), &Start{State: Established, Now: begin, Decision: Decision{Verdict: 1}})
			}
			k := crowdKey(1)
			h.Insert(&k, h.Hash(&k), &Start{State: SynSent, Info: &packet.Info{}, Now: begin + 2*second - int64(age)})
			h.Sweep(begin+2*second, 1<<30)
			if _, ok := h.Lookup(&k, h.Hash(&k)); ok != (age == c.live) {
				t.Errorf("filled %v: after %v the flow is there: %v", c.fill, age, ok)
			}
		}
	}
}
