// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// How many datagrams in fragments a worker remembers, and for how long:
// RFC 8200 gives a receiver 60 seconds, Linux takes 30.
const (
	fragmentSets     = 512
	fragmentWays     = 4
	fragmentLifetime = 30e9 // nanoseconds
)

// fragmentKey names a datagram in fragments, as a receiver puts it together
// (RFC 791, RFC 8200), within what the gateway keeps apart.
type fragmentKey struct {
	src, dst packet.Addr
	id       uint32
	vlan     [2]uint16
	group    uint16
	proto    uint8
	family   uint8
}

// fragmented is a datagram whose first fragment was seen.
type fragmented struct {
	key        fragmentKey
	flow       packet.Key // of the first fragment
	expires    int64      // monotonic nanoseconds; 0: free
	end        uint32     // of the first fragment in the datagram, bytes
	generation uint32     // of the policy that the verdict was made under
	verdict    Verdict
}

// fragments ties later fragments, which have no ports, to the first fragment
// of their datagram. Its room is fixed: the oldest of a set makes way. Later
// fragments that overtake the first are orphans. It belongs to one worker.
type fragments struct {
	sets [fragmentSets][fragmentWays]fragmented
	seed uint64
}

func keyOf(p *frame) fragmentKey {
	i := &p.info
	k := fragmentKey{
		src: i.Src, dst: i.Dst, id: i.FragmentID, vlan: i.VLAN,
		group: p.in.wire.group, family: i.Family,
	}
	if i.Family == 4 { // IPv6 has no protocol in what names a datagram
		k.proto = i.Proto
	}
	return k
}

// set is where a datagram is remembered, if it is.
func (t *fragments) set(k *fragmentKey) *[fragmentWays]fragmented {
	h := t.seed ^ uint64(k.id)
	for _, word := range [...]uint64{k.src.Hi, k.src.Lo, k.dst.Hi, k.dst.Lo, uint64(k.proto)} {
		h = (h ^ word) * 0x9e3779b97f4a7c15
		h ^= h >> 29
	}
	return &t.sets[h%fragmentSets]
}

// remember notes the verdict of a first fragment. Seen again, the datagram
// keeps the stricter verdict and the longer beginning.
func (w *worker) remember(p *frame) {
	k := keyOf(p)
	set := w.frags.set(&k)
	slot := &set[0]
	end := p.info.FragmentEnd
	for i := range set {
		s := &set[i]
		if s.expires > w.now && s.key == k {
			s.end = max(s.end, end)
			if p.verdict != Forward {
				s.verdict = p.verdict
			}
			return
		}
		if s.expires < slot.expires {
			slot = s
		}
	}
	*slot = fragmented{
		key: k, flow: w.keys[p.slot], expires: w.now + fragmentLifetime,
		end: end, generation: w.policy.generation, verdict: p.verdict,
	}
}

// recall finds the datagram of a later fragment.
func (t *fragments) recall(p *frame, now int64) *fragmented {
	k := keyOf(p)
	set := t.set(&k)
	for i := range set {
		if s := &set[i]; s.expires > now && s.key == k {
			return s
		}
	}
	return nil
}

// judgeFragment judges a later fragment by its first. One that reaches back
// into the first could rewrite the ports that the verdict rests on (RFC 1858,
// RFC 5722): it drops, and with it what is still to come of the datagram.
func (w *worker) judgeFragment(p *frame) {
	first := w.frags.recall(p, w.now)
	if first == nil {
		p.verdict, p.reason = w.except(event.FragmentOrphan)
		return
	}
	if first.generation != w.policy.generation {
		w.rejudgeFirst(p, first)
	}
	switch {
	case first.verdict != Forward:
		p.verdict, p.reason = Drop, event.FragmentOrphan
	case p.info.FragmentOffset < first.end:
		first.verdict = Drop
		p.verdict, p.reason = Drop, event.FragmentOverlap
	default:
		p.verdict, p.reason = Forward, 0
	}
}

// rejudgeFirst judges a datagram whose first fragment passed under an older
// policy: as its flow is judged now.
func (w *worker) rejudgeFirst(p *frame, first *fragmented) {
	first.generation = w.policy.generation
	if first.verdict != Forward {
		return
	}
	p.slot = spareSlot
	w.keys[p.slot] = first.flow
	var known bool
	if p.flow, known = w.flows.Lookup(&first.flow, w.flows.Hash(&first.flow)); !known {
		first.verdict = Drop
		return
	}
	w.decision(p)
	first.verdict = p.verdict
}
