// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"encoding/binary"
	"fmt"
)

// Limits of a table.
const (
	MaxCapacity = 1 << 28 // flows
	MaxWorkers  = 64      // handles
)

// Each handle may keep entries back: keptMax for its own next flows, and
// ended flows that wait for the other handles. The pool has room for both on
// top of the capacity, so that capacity flows always fit.
const (
	keptMax  = 64
	limboMin = 64
	limboMax = 4096
)

// Size is the size of a table's memory.
type Size struct {
	Buckets int // of 64 bytes, a power of two
	Entries int // of 128 bytes; more than the capacity
}

// SizeOf is the memory that a table for so many flows and workers needs. The
// buckets have at least two places for each flow.
func SizeOf(capacity, workers int) (Size, error) {
	if capacity < 1 || capacity > MaxCapacity {
		return Size{}, fmt.Errorf("flow table: capacity %d is not in 1 to %d", capacity, MaxCapacity)
	}
	if workers < 1 || workers > MaxWorkers {
		return Size{}, fmt.Errorf("flow table: %d workers are not in 1 to %d", workers, MaxWorkers)
	}
	s := Size{Buckets: 2, Entries: capacity + workers*(keptMax+2*limboOf(capacity))}
	for s.Buckets*bucketWords < 2*capacity {
		s.Buckets *= 2
	}
	return s, nil
}

// limboOf is how many ended flows a handle may have waiting.
func limboOf(capacity int) int {
	n := limboMin
	for n < limboMax && n*256 < capacity {
		n *= 2
	}
	return n
}

// Bytes is the size of buckets and entries together.
func (s Size) Bytes() int { return s.Buckets*bucketWords*8 + s.Entries*entryWords*8 }

// Memory is what a table lives in. For speed Tags should begin at a multiple
// of 64 bytes and Pool at one of 128; nothing breaks if they do not. The
// slices must not be used by anything else but tables of this layout.
type Memory struct {
	Header []uint64 // 8 words at least
	Tags   []uint64 // 8 words a bucket
	Pool   []uint64 // 16 words an entry

	mapping []byte // what Unmap gives back
}

// Make takes memory of that size from Go's heap. The collector does not look
// into it, but it counts towards the size of the heap.
func Make(s Size) *Memory {
	return &Memory{
		Header: make([]uint64, headerWords),
		Tags:   make([]uint64, s.Buckets*bucketWords),
		Pool:   make([]uint64, s.Entries*entryWords),
	}
}

// fits says whether the memory has room for a table of that size.
func (m *Memory) fits(s Size) error {
	switch {
	case len(m.Header) < headerWords:
		return fmt.Errorf("flow table: header of %d words, needs %d", len(m.Header), headerWords)
	case len(m.Tags) < s.Buckets*bucketWords:
		return fmt.Errorf("flow table: tags of %d words, needs %d", len(m.Tags), s.Buckets*bucketWords)
	case len(m.Pool) < s.Entries*entryWords:
		return fmt.Errorf("flow table: pool of %d words, needs %d", len(m.Pool), s.Entries*entryWords)
	}
	return nil
}

// format writes the header and clears the rest.
func (m *Memory) format(capacity int, s Size, secret Secret) {
	clear(m.Tags)
	clear(m.Pool)
	h := m.Header
	h[headMagic] = magic
	h[headVersion] = Version
	h[headCapacity] = uint64(capacity)
	h[headBuckets] = uint64(s.Buckets)
	h[headEntries] = uint64(s.Entries)
	h[headSecret] = binary.LittleEndian.Uint64(secret[:8])
	h[headSecret+1] = binary.LittleEndian.Uint64(secret[8:])
}
