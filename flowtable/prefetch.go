// SPDX-License-Identifier: Apache-2.0

//go:build (amd64 || arm64) && !purego

package flowtable

// A load that misses the cache keeps its place in the processor's queue until
// the data are there, and the queue holds few lookups; a prefetch does not.
// In a table of a million flows that makes a lookup four times as fast. Go has
// no prefetch, hence the assembly. It only hints: it reads nothing, never
// faults, and may be left out (prefetch_generic.go).

// prefetchFirst asks for the first bucket of n hashes; n is not 0.
//
//go:noescape
func prefetchFirst(tags *uint64, mask uint64, hashes *uint64, n int)

// prefetchEntries asks for both lines of n entries; n is not 0. A Ref of 0
// asks for what is before the pool, which does no harm.
//
//go:noescape
func prefetchEntries(pool *uint64, refs *Ref, n int)

// prefetch asks for a bucket.
//
//go:noescape
func prefetch(p *bucket)
