// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// Start is what a flow begins with.
type Start struct {
	Info     *packet.Info // its first packet; for TCP its numbers are kept
	Dir      packet.Dir   // direction of that packet: of the initiator, unless Answer
	Answer   bool         // with Midstream: it was the responder who sent that packet
	State    State        // from Begin; not NoState
	Decision Decision
	Now      int64 // monotonic nanoseconds
}

// Result is what became of an Insert.
type Result uint8

// The results. The zero value means that there is no flow.
const (
	Full     Result = iota // no room, and nothing that may give way
	Inserted               // the flow is new
	Exists                 // another worker was first: the Ref is its flow
)

// Insert puts a flow into the table. The packet that began it is not counted:
// call Account, and for Exists go on as after a Lookup.
//
// Where the table is full, one flow gives way for each that is inserted: an
// expired one, else a finished one, else an unconfirmed or denied one; the last
// two only if they have been idle for Timeouts.Pressure, longest idle first.
// An open flow that is allowed never gives way.
func (h *Handle) Insert(k *packet.Key, hash uint64, s *Start) (Ref, Result) {
	if ref := h.find(k, hash); ref != 0 {
		return h.exists(ref)
	}
	if s.State == NoState || s.State >= NumStates {
		return h.full()
	}
	mine := h.takeFor(hash, s.Now)
	if mine == 0 {
		return h.full()
	}
	h.entry(mine).fill(k, s)
	place := h.place(mine, hash, s.Now)
	if place == nil {
		h.withdraw(mine, nil)
		return h.full()
	}
	winner := h.settle(k, hash, mine)
	switch {
	case winner == mine || !h.withdraw(mine, place):
		h.live.Add(1)
		h.inserted.Add(1)
		return mine, Inserted
	case winner == 0:
		return h.full()
	}
	return h.exists(winner)
}

func (h *Handle) exists(ref Ref) (Ref, Result) {
	h.existed.Add(1)
	return ref, Exists
}

func (h *Handle) full() (Ref, Result) {
	h.refused.Add(1)
	return 0, Full
}

// takeFor is take for a new flow. If the table is full another flow has to
// give way first. Its own entry is not free yet: the pool is larger than the
// capacity by what may be waiting.
func (h *Handle) takeFor(hash uint64, now int64) Ref {
	if h.nkept == 0 {
		h.reap(now)
	}
	ref := h.take()
	if ref != 0 && h.short() && !h.makeRoom(hash, now, true) {
		h.give(ref)
		return 0
	}
	return ref
}

// fill writes a flow into an unused entry and makes it tentative. The first
// store of the control word begins a new life, before any other word changes;
// the last one ends the filling. Both pair with the loads in compare.
func (e *entry) fill(k *packet.Key, s *Start) {
	c := control(uint64(uint32(atomic.LoadUint64(&e[wordControl])) + 1)).withPhase(phaseClaimed)
	atomic.StoreUint64(&e[wordControl], uint64(c))
	words := entry{
		wordKey: k.A.Hi, wordKey + 1: k.A.Lo, wordKey + 2: k.B.Hi, wordKey + 3: k.B.Lo,
		wordKey + 4: k.Ports, wordKey + 5: k.Meta,
		wordDecision: s.Decision.pack(),
		wordTimes:    newTimes(s.Now),
	}
	state, initiator := s.State, s.Dir&1
	if state == Midstream && s.Answer {
		state, initiator = MidstreamResponder, ^s.Dir&1
	}
	if state == SynSent || s.State == Midstream {
		s.begin(&words)
	}
	for i := wordKey; i < entryWords; i++ {
		if atomic.LoadUint64(&e[i]) != words[i] { // loads are cheap, stores are not
			atomic.StoreUint64(&e[i], words[i])
		}
	}
	c = c.withPhase(phaseTentative).withState(state) | control(initiator)<<initiatorShift
	atomic.StoreUint64(&e[wordControl], uint64(c))
}

// begin sets the numbers of both directions from the first segment: what the
// other side will acknowledge is known from it.
func (s *Start) begin(words *entry) {
	n := newSegment(s.Info)
	expect := n.end
	if s.State == SynSent {
		expect = n.seq + 1 // data in a SYN (RFC 7413) may be refused
	}
	words[wordSequence+dirStride*int(s.Dir&1)] = uint64(newSequence(n.ack, n.window, n.end))
	words[wordSequence+dirStride*int(^s.Dir&1)] = uint64(newSequence(expect, 0, 0))
}

// preferFirst is how many tags the first bucket holds before the second is
// looked at. At 6 of 8, with two places for each flow, one flow in eight is in
// its second bucket and none of 25 million found both full; at 7 one in 50,000
// did.
const preferFirst = 6

// place puts the entry's tag into one of its buckets and returns where. If all
// 16 places are taken, a flow there has to give way.
func (h *Handle) place(ref Ref, hash uint64, now int64) *uint64 {
	first, second := h.buckets(hash)
	tag := hash>>32<<32 | uint64(ref)
	for range maxTries {
		b := first
		if n := first.count(); n >= preferFirst && second.count() < n {
			b = second
		}
		if p := b.put(tag); p != nil {
			return p
		}
		if first.count() == bucketWords && second.count() == bucketWords && !h.makeRoom(hash, now, false) {
			return nil
		}
	}
	return nil
}

// count is how many places are taken.
func (b *bucket) count() (n int) {
	for i := range b {
		if atomic.LoadUint64(&b[i]) != 0 {
			n++
		}
	}
	return n
}

// put stores the tag in a free place. The compare-and-swap publishes the entry;
// it pairs with the loads in at.
func (b *bucket) put(tag uint64) *uint64 {
	for i := range b {
		if atomic.LoadUint64(&b[i]) == 0 && atomic.CompareAndSwapUint64(&b[i], 0, tag) {
			return &b[i]
		}
	}
	return nil
}
