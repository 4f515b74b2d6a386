// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// settle makes one of the entries that are there for the key live, and returns
// it. The caller's own is among them, and its tag is visible.
//
// Of several tentative entries the one with the lowest number stays, and whoever
// sees two aborts the other. An entry becomes live only after someone has seen,
// in a scan of both buckets that began when its tag was visible, no other that
// could. So two never do: each of the two scans would have had to come before
// the other one's tag. Whoever wins the entry may have been made live by anybody,
// which is why nobody waits for anybody.
func (h *Handle) settle(k *packet.Key, hash uint64, mine Ref) Ref {
	visible := mine // had its tag before the scan that follows
	for range maxTries {
		c := h.survey(k, hash)
		switch {
		case c.live != 0:
			return c.live
		case c.lowest == 0: // the winner has come and gone
			return 0
		case c.contested || c.lowest != visible:
			visible = c.lowest
		case h.entry(c.lowest).changePhase(c.control, phaseLive):
			return c.lowest
		}
	}
	return 0
}

// contest is what a scan for the entries of one key finds.
type contest struct {
	live      Ref
	lowest    Ref     // tentative
	control   control // of lowest
	contested bool    // there were others; they have been aborted
}

// survey scans both buckets for entries of the key, and aborts all tentative
// ones but the lowest.
func (h *Handle) survey(k *packet.Key, hash uint64) (c contest) {
	first, second := h.buckets(hash)
	for i := range 2 * bucketWords {
		b := first
		if i >= bucketWords {
			b = second
		}
		ref := b.at(i%bucketWords, hash)
		if ref == 0 {
			continue
		}
		if w, same := h.entry(ref).compare(k); same {
			h.meet(&c, ref, w)
		}
		if c.live != 0 {
			return c
		}
	}
	return c
}

// meet adds an entry of the key to what the scan has found.
func (h *Handle) meet(c *contest, ref Ref, w control) {
	switch {
	case w.phase() == phaseLive:
		c.live = ref
	case w.phase() != phaseTentative || ref == c.lowest:
	case c.lowest == 0:
		c.lowest, c.control = ref, w
	case ref < c.lowest:
		h.entry(c.lowest).changePhase(c.control, phaseAborted)
		c.lowest, c.control, c.contested = ref, w, true
	default:
		h.entry(ref).changePhase(w, phaseAborted)
		c.contested = true
	}
}

// changePhase moves an entry on, unless its control word is no longer c.
func (e *entry) changePhase(c control, phase uint64) bool {
	return atomic.CompareAndSwapUint64(&e[wordControl], uint64(c), uint64(c.withPhase(phase)))
}

// withdraw takes an entry back that did not become live. It returns false if it
// did after all, by someone else's doing (and may even have ended since).
func (h *Handle) withdraw(mine Ref, place *uint64) bool {
	e := h.entry(mine)
	c := control(atomic.LoadUint64(&e[wordControl]))
	if c.phase() == phaseTentative && e.changePhase(c, phaseAborted) {
		c = c.withPhase(phaseAborted)
	} else {
		c = control(atomic.LoadUint64(&e[wordControl]))
	}
	if c.phase() != phaseAborted {
		return false
	}
	if place != nil {
		atomic.StoreUint64(place, 0)
	}
	h.give(mine)
	return true
}
