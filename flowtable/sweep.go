// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math/bits"
	"sync/atomic"
)

// sweepPeriod is how long one sweep of the whole table takes, in nanoseconds,
// and so how much later than its timeout a flow may end.
const sweepPeriod = 1_000_000_000

// Sweep hands out the records of flows whose end is complete, and looks at the
// entries that are due for flows to end, at most limit of them. It returns how
// many it has looked at. Call it once a batch, after Pass.
//
// All handles share one sweep: together they look at the whole table once a
// second, and it does not matter who does it. A gap (a machine that slept) is
// not made up for. With less than the table's size a second of all limits
// together flows end later.
func (h *Handle) Sweep(now int64, limit int) int {
	h.reap(now)
	at, n := h.table.due(now, uint64(limit))
	scale := h.table.scale()
	entries := uint64(h.table.size.Entries)
	for i := range n {
		if h.in-h.out > uint(len(h.limbo)/2) {
			break // the rest is seen in the next round; new flows need room too
		}
		h.age(Ref((at+i)%entries+1), scale, now)
	}
	return int(n)
}

// due claims the entries to look at: n of them, from at on (counted without
// end).
func (t *Table) due(now int64, limit uint64) (at, n uint64) {
	begun := t.begun.Load()
	if begun == 0 {
		t.begun.CompareAndSwap(0, max(now, 1))
		return 0, 0
	}
	entries := uint64(t.size.Entries)
	hi, lo := bits.Mul64(uint64(max(now-begun, 0)), entries)
	target, _ := bits.Div64(hi, lo, sweepPeriod)
	at = t.swept.Load()
	if at >= target {
		return 0, 0
	}
	from := at
	if target-at > entries {
		from = target - entries
	}
	n = min(target-from, limit)
	if !t.swept.CompareAndSwap(at, from+n) {
		return 0, 0 // another worker has taken them
	}
	return from, n
}

// wholeScale is a scale that changes nothing.
const wholeScale = 256

// scale is by how much the timeouts of unconfirmed and finished flows shrink,
// in 1/256: not at all until the table is three quarters full, then in
// proportion to what is left.
func (t *Table) scale() uint64 {
	quarter := max(t.capacity/4, 1)
	left := max(t.capacity-t.Len(), 0)
	if left >= quarter {
		return wholeScale
	}
	return uint64(left * wholeScale / quarter)
}

// age ends the flow of an entry if it has been idle for too long.
func (h *Handle) age(ref Ref, scale uint64, now int64) {
	e := h.entry(ref)
	c := control(atomic.LoadUint64(&e[wordControl]))
	if c.phase() != phaseLive {
		return
	}
	s := c.state()
	limit := h.table.limits.idle[s%stateSpace]
	if scale < wholeScale && (s.Unconfirmed() || s.Finished()) {
		limit = min(limit, max(limit*scale/wholeScale, h.table.limits.pressure))
	}
	if idle(atomic.LoadUint64(&e[wordTimes]), now) > limit && h.retire(ref, c, Expired) {
		h.expired.Add(1)
	}
}

// Visit calls f for the live flows among the n entries from number from on,
// and returns the number to go on with, or 0 when all entries have been
// visited. f may Judge and End the flow; the record is valid during the call. A
// flow that is there all the time is visited; one that is inserted meanwhile
// may be missed. Call Pass now and then between calls, and Idle at the end.
func (h *Handle) Visit(from, n int, now int64, f func(Ref, *Record)) int {
	end := min(from+n, h.table.size.Entries)
	for i := from; i < end; i++ {
		ref := Ref(i + 1)
		e := h.entry(ref)
		c := control(atomic.LoadUint64(&e[wordControl]))
		if c.phase() == phaseLive {
			e.read(&h.record, c, now)
			f(ref, &h.record)
		}
	}
	if end == h.table.size.Entries {
		return 0
	}
	return end
}

// Walk calls f for each flow until it returns false. It needs no handle, so that
// anyone may list flows; what the record says may be out of date, but it is all
// of one flow.
//
// The entry may end and be used again while it is read; the second load of the
// control word pairs with the stores in fill.
func (t *Table) Walk(now int64, f func(*Record) bool) {
	var r Record
	for i := range t.size.Entries {
		e := t.entry(Ref(i + 1))
		c := control(atomic.LoadUint64(&e[wordControl]))
		if c.phase() != phaseLive {
			continue
		}
		e.read(&r, c, now)
		if c.sameLife(control(atomic.LoadUint64(&e[wordControl]))) && !f(&r) {
			return
		}
	}
}
