// SPDX-License-Identifier: Apache-2.0

package flowtable

import "sync/atomic"

// The free list is a stack that is linked through the free entries themselves
// (Treiber's). The head carries a count of changes, so that a head that was
// taken away and put back is not mistaken for an unchanged one. Each link says
// how long the list is from there on, so that the length comes for nothing.

// linkAll puts all entries into the free list, the first on top. Only New may
// call it.
func (t *Table) linkAll() {
	for ref := Ref(t.size.Entries); ref > 0; ref-- {
		t.push(ref)
	}
}

// push puts an entry into the free list.
//
// The link is stored before the head that leads to it (the compare-and-swap),
// which pairs with the load of the head in pop.
func (t *Table) push(ref Ref) {
	e := t.entry(ref)
	for {
		head := t.free.Load()
		next, length := Ref(head), uint64(1)
		if next != 0 {
			length += atomic.LoadUint64(&t.entry(next)[wordLink]) >> 32
		}
		atomic.StoreUint64(&e[wordLink], length<<32|uint64(next))
		if t.free.CompareAndSwap(head, head>>32<<32+1<<32|uint64(ref)) {
			return
		}
	}
}

// pop takes an entry out of the free list, or gives 0, and says how long the
// list was. If the link that it reads is no longer one, the head has changed and
// the compare-and-swap fails.
func (t *Table) pop() (ref Ref, length uint32) {
	for {
		head := t.free.Load()
		ref = Ref(head)
		if ref == 0 {
			return 0, 0
		}
		link := atomic.LoadUint64(&t.entry(ref)[wordLink])
		if t.free.CompareAndSwap(head, head>>32<<32+1<<32|link&maskRef) {
			return ref, uint32(link >> 32)
		}
	}
}

// freeLength is how long the free list is.
func (t *Table) freeLength() uint32 {
	for range maxTries {
		head := t.free.Load()
		if Ref(head) == 0 {
			return 0
		}
		link := atomic.LoadUint64(&t.entry(Ref(head))[wordLink])
		if t.free.Load() == head {
			return uint32(link >> 32)
		}
	}
	return 0 // it goes on changing: be careful
}

// take gives an unused entry, or 0. It refills the handle's own stock from the
// free list, and notes whether that is short.
func (h *Handle) take() Ref {
	if h.nkept == 0 {
		h.refill()
	}
	if h.nkept == 0 {
		return 0
	}
	h.nkept--
	return h.kept[h.nkept]
}

// short says whether the table is full: what is left in the free list is kept
// for flows that take the place of others. The list is looked at anew only if
// it was short when the handle last took from it, which it does every few
// flows.
func (h *Handle) short() bool {
	if h.pressed {
		h.pressed = h.table.freeLength() < h.table.slack
	}
	return h.pressed
}

func (h *Handle) refill() {
	h.pressed = true
	for h.nkept < keptMax/2 {
		ref, length := h.table.pop()
		if ref == 0 {
			return
		}
		h.kept[h.nkept] = ref
		h.nkept++
		h.pressed = length <= h.table.slack
	}
}

// give takes an entry back. Its phase must be free or aborted: nobody counts
// on it, and whoever still looks at it compares the sequence.
func (h *Handle) give(ref Ref) {
	if h.nkept == keptMax {
		for h.nkept > keptMax/2 {
			h.nkept--
			h.table.push(h.kept[h.nkept])
		}
	}
	h.kept[h.nkept] = ref
	h.nkept++
}
