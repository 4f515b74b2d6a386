// SPDX-License-Identifier: Apache-2.0

package event

import (
	"fmt"
	"sync/atomic"
)

// Ring carries records from one writer to one reader. Emit belongs to the
// writer's goroutine and never waits: a record that finds the ring full is
// counted and lost. Drain and Lost belong to the reader. A Ring must not be
// copied.
type Ring struct {
	records []Record
	mask    uint64

	_        [64]byte      // writer and reader on lines of their own
	head     atomic.Uint64 // next to write; stored by the writer after the record, loaded by the reader before it
	seenTail uint64        // the writer's copy of tail, refreshed only when the ring seems full
	lost     atomic.Uint64
	_        [64]byte
	tail     atomic.Uint64 // next to read; stored by the reader after its copy, loaded by the writer before it overwrites
}

// NewRing makes a ring for n records; n is a power of two.
func NewRing(n int) (*Ring, error) {
	if n < 1 || n&(n-1) != 0 {
		return nil, fmt.Errorf("event ring of %d records: not a power of two", n)
	}
	return &Ring{records: make([]Record, n), mask: uint64(n - 1)}, nil
}

// Emit puts a copy of the record in the ring, or counts it as lost.
func (r *Ring) Emit(rec *Record) {
	head := r.head.Load()
	if head-r.seenTail > r.mask {
		r.seenTail = r.tail.Load()
		if head-r.seenTail > r.mask {
			r.lost.Store(r.lost.Load() + 1)
			return
		}
	}
	r.records[head&r.mask] = *rec
	r.head.Store(head + 1)
}

// Drain appends what is in the ring to out, at most as many as out has room
// for, and returns it.
func (r *Ring) Drain(out []Record) []Record {
	tail, head := r.tail.Load(), r.head.Load()
	for ; tail != head && len(out) < cap(out); tail++ {
		out = append(out, r.records[tail&r.mask])
	}
	r.tail.Store(tail)
	return out
}

// Lost says how many records found the ring full.
func (r *Ring) Lost() uint64 { return r.lost.Load() }
