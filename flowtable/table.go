// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// Options is what a table is made from.
type Options struct {
	Capacity int      // flows that fit; 1 to MaxCapacity
	Workers  int      // handles, 1 to MaxWorkers; 0 means 1
	Timeouts Timeouts // zero fields mean the defaults
	Secret   *Secret  // of the hash; nil means a new random one
	Memory   *Memory  // of SizeOf(Capacity, Workers) at least; nil means Make
}

// region is the table's memory and what is needed to look into it. Table and
// every Handle have a copy, so that a lookup has no more pointers to follow.
type region struct {
	tags []uint64
	pool []uint64
	mask uint64 // buckets - 1
	pads pads
}

// Table is a flow table. It is made by New, must not be copied, and is safe
// for concurrent use. Flows are put in and changed through a Handle.
type Table struct {
	_ noCopy
	region
	capacity int
	size     Size
	slack    uint32 // a free list shorter than this means that the table is full
	limits   limits

	mu      sync.Mutex // guards Join
	members [MaxWorkers]atomic.Pointer[Handle]

	_      [cacheLine]byte
	free   atomic.Uint64 // head of the free list: bits 0-31 Ref, 32-63 changes
	_      [cacheLine]byte
	epoch  atomic.Uint64 // flows ended so far; see Handle.Pass
	_      [cacheLine]byte
	swept  atomic.Uint64 // entries that the sweep has visited since begun
	begun  atomic.Int64  // when the first sweep was; 0: not yet
	joined atomic.Int32  // how many of members are set
	_      [cacheLine]byte
}

// cacheLine is two lines of 64 bytes, since processors fetch them in pairs.
const cacheLine = 128

// New makes an empty table. Whatever the memory held is overwritten; all of it
// is touched, so that no page is missing later.
func New(o Options) (*Table, error) {
	if o.Workers == 0 {
		o.Workers = 1
	}
	size, err := SizeOf(o.Capacity, o.Workers)
	if err != nil {
		return nil, err
	}
	limits, err := o.Timeouts.limits()
	if err != nil {
		return nil, err
	}
	if o.Memory == nil {
		o.Memory = Make(size)
	}
	if err := o.Memory.fits(size); err != nil {
		return nil, err
	}
	secret, err := o.secret()
	if err != nil {
		return nil, err
	}
	t := &Table{
		region:   newRegion(o.Memory, size, secret),
		capacity: o.Capacity,
		size:     size,
		slack:    uint32(o.Workers * limboOf(o.Capacity)),
		limits:   limits,
	}
	o.Memory.format(o.Capacity, size, secret)
	t.linkAll()
	return t, nil
}

func (o *Options) secret() (s Secret, err error) {
	if o.Secret != nil {
		return *o.Secret, nil
	}
	if _, err := rand.Read(s[:]); err != nil {
		return s, fmt.Errorf("flow table: secret: %w", err)
	}
	return s, nil
}

func newRegion(m *Memory, size Size, secret Secret) region {
	return region{
		tags: m.Tags[:size.Buckets*bucketWords],
		pool: m.Pool[:size.Entries*entryWords],
		mask: uint64(size.Buckets - 1),
		pads: secret.expand(),
	}
}

// ErrTooManyHandles is returned by Join when Options.Workers handles exist.
var ErrTooManyHandles = errors.New("flow table: all handles are taken")

// Join gives a new handle, idle, to the goroutine that will use it. ended is
// called by that goroutine, within Sweep or Insert, for each flow whose end the
// handle has noticed; the record is valid during the call. ended may be nil.
func (t *Table) Join(ended func(*Record)) (*Handle, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := int(t.joined.Load())
	if uint32(n*limboOf(t.capacity)) >= t.slack {
		return nil, ErrTooManyHandles
	}
	if ended == nil {
		ended = func(*Record) {}
	}
	h := &Handle{
		region: t.region,
		table:  t,
		ended:  ended,
		limbo:  make([]limbo, limboOf(t.capacity)),
	}
	h.seen.Store(idleEpoch)
	t.members[n].Store(h)
	t.joined.Store(int32(n + 1))
	return h, nil
}

// Capacity is how many flows are sure to fit.
func (t *Table) Capacity() int { return t.capacity }

// Bytes is the size of the table's memory.
func (t *Table) Bytes() int { return t.size.Bytes() }

// Len is how many flows there are, as far as the handles have said. It may
// exceed Capacity by the flows that the handles keep room for.
func (t *Table) Len() int {
	n := int64(0)
	for h := range t.handles {
		n += h.live.Load()
	}
	return max(int(n), 0)
}

// handles iterates over the handles that have joined.
func (t *Table) handles(yield func(*Handle) bool) {
	for i := range int(t.joined.Load()) {
		if !yield(t.members[i].Load()) {
			return
		}
	}
}

// entry is the entry of a Ref. It panics on one that no table has given out.
func (r *region) entry(ref Ref) *entry {
	return (*entry)(r.pool[uint64(ref-1)*entryWords:])
}

// buckets are the two candidates for a hash. The second follows from the first
// and the high half, and is never the same.
func (r *region) buckets(h uint64) (first, second *bucket) {
	i := h & r.mask
	j := (i ^ (h>>32*0x9e3779b1>>7 | 1)) & r.mask
	return (*bucket)(r.tags[i*bucketWords:]), (*bucket)(r.tags[j*bucketWords:])
}

// noCopy makes go vet complain about copies.
type noCopy struct{}

func (*noCopy) Lock()   {}
func (*noCopy) Unlock() {}
