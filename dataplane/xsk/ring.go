// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// The index arithmetic that the four rings share.
//
// A ring has a producer and a consumer index in memory shared with the kernel.
// Both only ever grow and wrap at 2^32; the entry of an index is index&mask.
// So "add freely, mask on access", and the difference of two indices is right
// across the wrap. We write one of the two and the kernel writes the other.
//
// Go's atomic loads acquire and its stores release, on every architecture. The
// letters are those of the drawing in net/xdp/xsk_queue.h:
//
//	producer                          consumer
//
//	if LOAD  consumer      (A)        LOAD.acquire producer  (C)
//	   STORE entries                  LOAD entries
//	   STORE.release producer (B)     STORE.release consumer (D)

// producer is our end of a ring that we write and the kernel reads: fill and TX.
type producer struct {
	producer *uint32 // shared; written by us
	consumer *uint32 // shared; written by the kernel
	flags    *uint32 // shared; written by the kernel: need_wakeup
	next     uint32  // index that we write next; equals *producer after submit
	seen     uint32  // *consumer when we last looked: behind the truth, so we err towards full
	size     uint32
	mask     uint32
}

// producerAt is a producer over the mapped ring mem, from where the ring stands.
func producerAt(mem []byte, o unix.XDPRingOffset, size uint32) producer {
	p := producer{producer: wordAt(mem, o.Producer), consumer: wordAt(mem, o.Consumer), flags: wordAt(mem, o.Flags)}
	p.next, p.seen = atomic.LoadUint32(p.producer), atomic.LoadUint32(p.consumer)
	p.size, p.mask = size, size-1
	return p
}

// room says how many of want entries can be written now, with one look at the
// kernel's index only if what is known is not enough.
func (p *producer) room(want uint32) uint32 {
	if n := p.size - (p.next - p.seen); n >= want {
		return want
	}
	// (A), pairs with the store (D) in __xskq_cons_release. Were it not ordered
	// before our stores of entries, we could overwrite one that is being read.
	seen := atomic.LoadUint32(p.consumer)
	used := p.next - seen
	if used > p.size {
		return 0 // nonsense: an honest consumer is never ahead of us
	}
	p.seen = seen
	return min(want, p.size-used)
}

// submit shows the kernel the n entries that were written from next on.
func (p *producer) submit(n uint32) {
	p.next += n
	// (B), pairs with smp_load_acquire (C) in __xskq_cons_peek. Without it the
	// kernel could see the index before the entries and read old ones.
	atomic.StoreUint32(p.producer, p.next)
}

// pending reports whether the kernel has not taken all entries yet.
func (p *producer) pending() bool {
	// Pairs with (D) in __xskq_cons_release; no entry is read or written on its word.
	return atomic.LoadUint32(p.consumer) != p.next
}

// needWakeup reports whether the kernel sleeps and wants a system call.
func (p *producer) needWakeup() bool {
	// Pairs with the plain store in xsk_set_tx_need_wakeup and xsk_set_rx_need_wakeup.
	// Go's atomics are sequentially consistent: this load cannot move before the
	// store in submit, so either we see the flag or the kernel sees our entries.
	return atomic.LoadUint32(p.flags)&unix.XDP_RING_NEED_WAKEUP != 0
}

// consumer is our end of a ring that the kernel writes and we read: RX and completion.
type consumer struct {
	producer *uint32 // shared; written by the kernel
	consumer *uint32 // shared; written by us
	next     uint32  // index that we read next; equals *consumer after release
	seen     uint32  // *producer when we last looked: behind the truth, so we err towards empty
	size     uint32
	mask     uint32
}

// consumerAt is a consumer over the mapped ring mem, from where the ring stands.
func consumerAt(mem []byte, o unix.XDPRingOffset, size uint32) consumer {
	c := consumer{producer: wordAt(mem, o.Producer), consumer: wordAt(mem, o.Consumer)}
	c.next = atomic.LoadUint32(c.consumer)
	c.seen = c.next
	c.size, c.mask = size, size-1
	return c
}

// ready says how many entries can be read now, at most limit, with one look at
// the kernel's index only if fewer than limit are known.
func (c *consumer) ready(limit uint32) uint32 {
	if c.seen-c.next >= limit {
		return limit
	}
	// (C), pairs with smp_store_release (B) in __xskq_prod_submit. Without it we
	// could read an entry before the kernel's store to it, that is, an old one.
	seen := atomic.LoadUint32(c.producer)
	if seen-c.next > c.size {
		return 0 // nonsense: an honest producer is never more than a ring ahead
	}
	c.seen = seen
	return min(limit, seen-c.next)
}

// release returns the n entries that were read from next on to the kernel.
func (c *consumer) release(n uint32) {
	c.next += n
	// (D), pairs with the load (A) in xskq_prod_nb_free. Without it the kernel
	// could overwrite an entry that we are still reading.
	atomic.StoreUint32(c.consumer, c.next)
}

// waiting counts the entries that the kernel has written and we have not read.
// It is for accounting only: no entry is read on its word.
func (c *consumer) waiting() uint32 {
	return min(atomic.LoadUint32(c.producer)-c.next, c.size) // pairs with (B) as in ready
}
