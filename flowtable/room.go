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

// elsewhere is how many entries anywhere in the pool are looked at when no flow
// in the buckets of the new one gives way. If one flow in ten of a full table
// may, then one new flow in seventy is still refused.
const elsewhere = 32

// victim is the readiest flow so far.
type victim struct {
	ref     Ref
	control control
	rank    rank
	idle    uint64
}

// makeRoom ends the flow that gives way to a new one with that hash: one in its
// buckets, or else, if anywhere will do, the readiest of a few that the hash
// picks. It returns false if none does.
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
	if v.rank == keep && anywhere {
		h.weighElsewhere(&v, hash, now)
	}
	if v.rank == keep || !h.retire(v.ref, v.control, Evicted) {
		return false
	}
	h.evicted[v.rank].Add(1)
	return true
}

// weighElsewhere looks at entries that nobody can foresee without the secret.
// Neighbours in the pool are of one age and often of one kind, so that the next
// few in a row would not do.
func (h *Handle) weighElsewhere(v *victim, hash uint64, now int64) {
	for range elsewhere {
		hash = mix(hash + 1)
		h.weigh(v, Ref(hash>>32*uint64(h.table.size.Entries)>>32+1), now)
	}
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
