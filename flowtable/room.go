// SPDX-License-Identifier: Apache-2.0

package flowtable

import "sync/atomic"

// rank is how readily a flow gives way to a new one when the table is full.
type rank uint8

// From never to first.
const (
	keep   rank = iota // open, or too young
	yield              // unconfirmed, or denied, and idle for Timeouts.Pressure
	over               // finished, and idle for as long
	expire             // idle for longer than its timeout
)

// handReach is how many entries are looked at, wherever they are in the pool,
// when no flow in the buckets of the new one gives way.
const handReach = 16

// victim is the readiest flow so far.
type victim struct {
	ref     Ref
	control control
	rank    rank
	idle    uint64
}

// makeRoom ends the flow that gives way to a new one with that hash: one in its
// buckets, or else, if anywhere will do, one of the next few in the pool. It
// returns false if none does. At most 16+handReach entries are looked at.
func (h *Handle) makeRoom(hash uint64, now int64, anywhere bool) bool {
	if h.limboFull() {
		h.reap(now)
	}
	var v victim
	first, second := h.buckets(hash)
	for i := range bucketWords {
		h.weigh(&v, Ref(atomic.LoadUint64(&first[i])), now)
		h.weigh(&v, Ref(atomic.LoadUint64(&second[i])), now)
	}
	for i := 0; i < handReach && anywhere && v.rank == keep; i++ {
		h.hand = (h.hand + 1) % uint64(h.table.size.Entries)
		h.weigh(&v, Ref(h.hand+1), now)
	}
	if v.rank == keep || !h.retire(v.ref, v.control, Evicted) {
		return false
	}
	h.evicted[v.rank].Add(1)
	return true
}

// weigh compares a flow with the readiest so far.
func (h *Handle) weigh(v *victim, ref Ref, now int64) {
	if ref == 0 {
		return
	}
	e := h.entry(ref)
	c := control(atomic.LoadUint64(&e[wordControl]))
	if c.phase() != phaseLive {
		return
	}
	age := idle(atomic.LoadUint64(&e[wordTimes]), now)
	r := h.table.limits.rank(c.state(), e, age)
	if r > v.rank || r == v.rank && r != keep && age > v.idle {
		*v = victim{ref, c, r, age}
	}
}

func (l *limits) rank(s State, e *entry, age uint64) rank {
	switch {
	case age > l.idle[s%stateSpace]:
		return expire
	case age <= l.pressure:
		return keep
	case s.Finished():
		return over
	case s.Unconfirmed() || unpack(atomic.LoadUint64(&e[wordDecision])).Verdict == 0:
		return yield
	}
	return keep
}
