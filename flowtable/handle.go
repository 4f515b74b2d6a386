// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math"
	"sync/atomic"
)

// Ref names a flow for the goroutine whose Handle gave it out, until that
// handle's next Pass or Idle. 0 is no flow.
type Ref uint32

// Handle is how one goroutine uses a table. It must not be used by two
// goroutines at the same time. A handle is idle when it is made: call Pass
// before anything else.
type Handle struct {
	_ noCopy
	region
	table *Table
	ended func(*Record)

	kept    [keptMax]Ref // unused entries, the last nkept of them
	nkept   int
	pressed bool    // the free list was short when entries were last taken from it
	limbo   []limbo // ring of ended flows; the length is a power of two
	in, out uint    // limbo's ends, counted up
	record  Record  // handed to ended

	_    [cacheLine]byte // what follows is read by other goroutines
	seen atomic.Uint64   // epoch at the last Pass, or idleEpoch
	live atomic.Int64    // flows made live less flows made dead by this handle
	counters
	_ [cacheLine]byte
}

// limbo is an ended flow whose entry may still be in use.
type limbo struct {
	epoch uint64 // free to go when every handle has seen it
	ref   Ref
	cause Cause
}

const idleEpoch = math.MaxUint64

// Pass says that the goroutine holds no Ref, and that it will use the table
// from now on. Call it once a batch, between batches.
//
// The load pairs with epoch.Add in retire: who sees the raised epoch sees the
// dead mark too, and finds that entry no more. The store pairs with the load in
// grace: who reads it may count on what this goroutine wrote before.
func (h *Handle) Pass() { h.seen.Store(h.table.epoch.Load()) }

// Idle says that the goroutine holds no Ref and will not use the table until it
// has called Pass. Call it before waiting, else ended flows wait too.
func (h *Handle) Idle() { h.seen.Store(idleEpoch) }

// grace is the epoch that all handles have seen.
func (t *Table) grace() uint64 {
	least := uint64(idleEpoch)
	for h := range t.handles {
		least = min(least, h.seen.Load())
	}
	return least
}
