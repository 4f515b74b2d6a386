// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// Cause is why a flow ended.
type Cause uint8

// The causes.
const (
	NotEnded Cause = iota // it has not: a record of Walk or Visit
	Expired               // idle for longer than its timeout
	Evicted               // gave way to a new flow
	Ended                 // by End: its addresses and ports began a new conversation
)

var causeNames = [...]string{"not_ended", "expired", "evicted", "ended"}

// String is the cause's name, lower case with underscores; it never changes.
func (c Cause) String() string {
	if int(c) < len(causeNames) {
		return causeNames[c]
	}
	return "invalid"
}

// Record is what there is to say of a flow. At its end the counters are exact:
// every packet that was accounted to the flow is in them, and no other.
type Record struct {
	Key       packet.Key
	Packets   [2]uint64 // by direction
	Bytes     [2]uint64
	First     int64 // monotonic nanoseconds, to 1.05 ms, as handed in
	Last      int64
	Decision  Decision
	State     State
	Initiator packet.Dir
	Cause     Cause
}

// End ends a flow, so that its key can be inserted anew. It returns false if
// someone else has ended it, or if too many ended flows wait for the other
// handles; then Insert says Exists, and the old flow goes on.
func (h *Handle) End(ref Ref) bool {
	e := h.entry(ref)
	for range maxTries {
		c := control(atomic.LoadUint64(&e[wordControl]))
		if c.phase() != phaseLive {
			return false
		}
		if h.retire(ref, c, Ended) {
			return true
		}
	}
	return false
}

// retire takes the first of the two steps of a flow's end, if its control word
// is still c: nobody finds the flow any more, but those who hold its Ref may
// still count.
//
// The dead mark and the removal of the tag come before the epoch is raised;
// that pairs with the load in Pass.
func (h *Handle) retire(ref Ref, c control, why Cause) bool {
	e := h.entry(ref)
	if h.limboFull() || !e.changePhase(c, phaseDead) {
		return false
	}
	k := e.key()
	h.remove(h.Hash(&k), ref)
	h.live.Add(-1)
	h.limbo[h.in%uint(len(h.limbo))] = limbo{h.table.epoch.Add(1), ref, why}
	h.in++
	return true
}

func (h *Handle) limboFull() bool { return h.in-h.out == uint(len(h.limbo)) }

// remove takes the tag of a dead entry out of its bucket. Nobody else does.
func (h *Handle) remove(hash uint64, ref Ref) {
	tag := hash>>32<<32 | uint64(ref)
	first, second := h.buckets(hash)
	for i := range bucketWords {
		if atomic.LoadUint64(&first[i]) == tag {
			atomic.StoreUint64(&first[i], 0)
			return
		}
		if atomic.LoadUint64(&second[i]) == tag {
			atomic.StoreUint64(&second[i], 0)
			return
		}
	}
}

// reap takes the second step for the flows that no handle can hold any more:
// the record goes out, the entry is free.
//
// The loads in grace pair with the stores in Pass and Idle: what the other
// handles have counted is seen here.
func (h *Handle) reap(now int64) {
	if h.in == h.out {
		return
	}
	grace := h.table.grace()
	for h.in != h.out {
		l := h.limbo[h.out%uint(len(h.limbo))]
		if l.epoch > grace {
			return
		}
		h.out++
		e := h.entry(l.ref)
		c := control(atomic.LoadUint64(&e[wordControl]))
		e.read(&h.record, c, now)
		h.record.Cause = l.cause
		h.ended(&h.record)
		atomic.StoreUint64(&e[wordControl], uint64(c.withPhase(phaseFree).withState(NoState)))
		h.give(l.ref)
	}
}

// read copies what there is to say of an entry, whose control word is c.
func (e *entry) read(r *Record, c control, now int64) {
	*r = Record{
		Key:       e.key(),
		Decision:  unpack(atomic.LoadUint64(&e[wordDecision])),
		State:     c.state(),
		Initiator: packet.Dir(c.side()),
	}
	for d := range r.Packets {
		r.Packets[d] = atomic.LoadUint64(&e[wordPackets+dirStride*d])
		r.Bytes[d] = atomic.LoadUint64(&e[wordBytes+dirStride*d])
	}
	r.First, r.Last = span(atomic.LoadUint64(&e[wordTimes]), now)
}
