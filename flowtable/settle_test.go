// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"
	"testing"
)

// plant puts an entry of the key into the table, as far as an insert that was
// interrupted has come.
func plant(t *testing.T, h *Handle, id uint32, phase uint64) Ref {
	t.Helper()
	k := crowdKey(id)
	ref := h.take()
	e := h.entry(ref)
	e.fill(&k, &Start{State: UDPUnreplied, Now: 1})
	if h.place(ref, h.Hash(&k), 1) == nil {
		t.Fatal("no place")
	}
	c := control(atomic.LoadUint64(&e[wordControl]))
	atomic.StoreUint64(&e[wordControl], uint64(c.withPhase(phase)))
	return ref
}

func phaseOf(h *Handle, ref Ref) uint64 {
	return control(atomic.LoadUint64(&h.entry(ref)[wordControl])).phase()
}

// A worker was interrupted in the middle of an insert. Others neither wait for
// it nor make a second flow.
func TestSettleFinishesWhatOthersHaveBegun(t *testing.T) {
	for _, c := range []struct {
		name   string
		phase  uint64
		mine   string // where my entry's number is, compared with the other's
		winner string
		other  uint64 // phase of the other entry afterwards
	}{
		{"tentative, lower than mine", phaseTentative, "higher", "other", phaseLive},
		{"tentative, higher than mine", phaseTentative, "lower", "mine", phaseAborted},
		{"live, lower", phaseLive, "higher", "other", phaseLive},
		{"live, higher", phaseLive, "lower", "other", phaseLive},
		{"dead", phaseDead, "higher", "mine", phaseDead},
		{"aborted", phaseAborted, "higher", "mine", phaseAborted},
		{"being filled", phaseClaimed, "higher", "mine", phaseClaimed},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := newTable(t, Options{Capacity: 8, Workers: 2})
			a, b := join(t, table, nil), join(t, table, nil)
			first, second := a.take(), b.take() // a's are the higher numbers
			a.give(first)
			b.give(second)
			if first > second {
				a, b = b, a
			}
			if c.mine == "lower" {
				a, b = b, a
			}
			k := crowdKey(5)
			other := plant(t, a, 5, c.phase)
			ref, r := b.Insert(&k, b.Hash(&k), &Start{State: UDPUnreplied, Now: 1})
			if (c.mine == "lower") == (ref > other) && ref != other {
				t.Fatalf("my number %d, the other's %d: not what was meant", ref, other)
			}
			if (c.winner == "mine") != (r == Inserted) || (c.winner == "other") != (ref == other) {
				t.Errorf("result %d, flow %d, the other is %d", r, ref, other)
			}
			if got := phaseOf(a, other); got != c.other {
				t.Errorf("the other's phase is %d, want %d", got, c.other)
			}
			if found, ok := b.Lookup(&k, b.Hash(&k)); !ok || found != ref {
				t.Errorf("lookup finds %d %v, want %d", found, ok, ref)
			}
		})
	}
}

// The owner comes back after others have decided about its entry.
func TestOwnerLearnsWhatBecameOfItsEntry(t *testing.T) {
	for _, c := range []struct {
		name  string
		phase uint64
		gone  bool // taken back, and free for the next flow
	}{
		{"nobody has", phaseTentative, true},
		{"aborted", phaseAborted, true},
		{"live", phaseLive, false},
		{"live and already dead", phaseDead, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := join(t, newTable(t, Options{Capacity: 8}), nil)
			ref := plant(t, h, 5, c.phase)
			k := crowdKey(5)
			first, second := h.buckets(h.Hash(&k))
			place := &first[0]
			if *place == 0 {
				place = &second[0]
			}
			if got := h.withdraw(ref, place); got != c.gone {
				t.Errorf("withdrawn: %v, want %v", got, c.gone)
			}
			if (*place == 0) != c.gone || (h.take() == ref) != c.gone {
				t.Error("tag and entry are not where they should be")
			}
		})
	}
}

// Three entries of one key: one lives, whoever looks.
func TestSettleLeavesOneOfThree(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 8}), nil)
	refs := []Ref{plant(t, h, 5, phaseTentative), plant(t, h, 5, phaseTentative), plant(t, h, 5, phaseTentative)}
	k := crowdKey(5)
	lowest := min(refs[0], refs[1], refs[2])
	for _, mine := range refs {
		if got := h.settle(&k, h.Hash(&k), mine); got != lowest {
			t.Errorf("settle for %d gives %d, want %d", mine, got, lowest)
		}
	}
	for _, ref := range refs {
		if got, want := phaseOf(h, ref), phaseAborted; got != want && ref != lowest || ref == lowest && got != phaseLive {
			t.Errorf("entry %d is in phase %d", ref, got)
		}
	}
}
