// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math/bits"
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// Lookup finds the flow of a key whose hash is h.
func (h *Handle) Lookup(k *packet.Key, hash uint64) (Ref, bool) {
	ref := h.find(k, hash)
	return ref, ref != 0
}

// LookupBatch finds the flows of many keys: refs[i] is that of keys[i], or 0,
// and hashes[i] becomes the hash. The three slices have the same length, 64 at
// best. In a table that is larger than the cache it is many times quicker than
// Hash and Lookup one by one, because everything is asked for before the first
// of it is waited for: the first buckets, the second ones where the first have
// no such tag, then the entries.
func (h *Handle) LookupBatch(keys []packet.Key, hashes []uint64, refs []Ref) {
	if len(keys) == 0 {
		return
	}
	hashes, refs = hashes[:len(keys)], refs[:len(keys)]
	for i := range keys {
		hashes[i] = h.Hash(&keys[i])
	}
	prefetchFirst(&h.tags[0], h.mask, &hashes[0], len(hashes))
	h.guess(hashes, refs)
	prefetchEntries(&h.pool[0], &refs[0], len(refs))
	for i, ref := range refs {
		if ref != 0 && !h.holds(ref, &keys[i]) {
			refs[i] = h.find(&keys[i], hashes[i])
		}
	}
}

// guess finds for each hash an entry whose tag has it: nearly always the right
// one. Where there is none, there is no flow.
func (r *region) guess(hashes []uint64, refs []Ref) {
	for i, h := range hashes {
		first, second := r.buckets(h)
		if refs[i] = first.guess(h); refs[i] == 0 {
			prefetch(second)
		}
	}
	for i, h := range hashes {
		if refs[i] == 0 {
			_, second := r.buckets(h)
			refs[i] = second.guess(h)
		}
	}
}

// find is the live flow of the key, or 0. A flow's tag never moves, so that a
// flow that is live all the time is never missed.
func (r *region) find(k *packet.Key, h uint64) Ref {
	first, second := r.buckets(h)
	if ref := r.findIn(first, k, h); ref != 0 {
		return ref
	}
	return r.findIn(second, k, h)
}

func (r *region) findIn(b *bucket, k *packet.Key, h uint64) Ref {
	for m := b.matches(h); m != 0; m &= m - 1 {
		if ref := b.at(bits.TrailingZeros8(m), h); ref != 0 && r.holds(ref, k) {
			return ref
		}
	}
	return 0
}

func (b *bucket) guess(h uint64) Ref {
	m := b.matches(h)
	if m == 0 {
		return 0
	}
	return b.at(bits.TrailingZeros8(m), h)
}

// matches has a bit for each place whose tag has the high half of the hash. It
// has no branches: which place it is would be anyone's guess to the processor.
func (b *bucket) matches(h uint64) (m uint8) {
	h >>= tagRefBits
	m = b.same(0, h) | b.same(1, h)<<1 | b.same(2, h)<<2 | b.same(3, h)<<3
	return m | b.same(4, h)<<4 | b.same(5, h)<<5 | b.same(6, h)<<6 | b.same(7, h)<<7
}

// same is 1 if the tag at place i has the high half, else 0.
func (b *bucket) same(i int, high uint64) uint8 {
	return uint8(((atomic.LoadUint64(&b[i])>>tagRefBits ^ high) - 1) >> 63)
}

// at is the entry at place i, if its tag has the high half of the hash.
//
// The load pairs with the compare-and-swap in put: who sees the tag sees the
// entry as it was filled.
func (b *bucket) at(i int, h uint64) Ref {
	if d := atomic.LoadUint64(&b[i]) ^ h>>32<<32; d <= maskRef {
		return Ref(d)
	}
	return 0
}

// holds says whether the entry is a live flow of the key.
func (r *region) holds(ref Ref, k *packet.Key) bool {
	e := r.entry(ref)
	c, same := e.compare(k)
	return same && c.phase() == phaseLive
}

// compare says whether the entry had the key at the time of the control word
// that it returns.
//
// Both loads of the control word pair with its stores in fill: a key word that
// belongs to a later life is written after the sequence was changed, so that
// the second load sees the change.
func (e *entry) compare(k *packet.Key) (control, bool) {
	c := control(atomic.LoadUint64(&e[wordControl]))
	d := atomic.LoadUint64(&e[wordKey]) ^ k.A.Hi |
		atomic.LoadUint64(&e[wordKey+1]) ^ k.A.Lo |
		atomic.LoadUint64(&e[wordKey+2]) ^ k.B.Hi |
		atomic.LoadUint64(&e[wordKey+3]) ^ k.B.Lo |
		atomic.LoadUint64(&e[wordKey+4]) ^ k.Ports |
		atomic.LoadUint64(&e[wordKey+5]) ^ k.Meta
	if d != 0 {
		return c, false
	}
	return c, c.sameLife(control(atomic.LoadUint64(&e[wordControl])))
}

// key is the entry's key. It is whole if the entry's life did not change
// meanwhile, which the caller makes sure of.
func (e *entry) key() (k packet.Key) {
	k.A.Hi = atomic.LoadUint64(&e[wordKey])
	k.A.Lo = atomic.LoadUint64(&e[wordKey+1])
	k.B.Hi = atomic.LoadUint64(&e[wordKey+2])
	k.B.Lo = atomic.LoadUint64(&e[wordKey+3])
	k.Ports = atomic.LoadUint64(&e[wordKey+4])
	k.Meta = atomic.LoadUint64(&e[wordKey+5])
	return k
}
