// SPDX-License-Identifier: Apache-2.0

package flowtable

// The layout, version 1. Offsets are in words of 64 bits; bits count from the
// low end. A kernel program that shares the table uses these very offsets.
//
//	Header (64 bytes used, one page in shared memory)
//	  0  magic "bulkflow"
//	  1  version of the layout
//	  2  capacity in flows
//	  3  buckets, a power of two
//	  4  entries in the pool
//	  5  secret of the hash, two words: readable by the table's owner only
//
//	Bucket (64 bytes): eight tags
//	  tag: bits 0-31 number of the entry plus 1 (the Ref), 32-63 high half of
//	  the key's hash; 0 is an empty place
//
//	Entry (128 bytes, two adjacent lines)
//	  0  control: bits 0-31 sequence (counts the entry's lives), 32-39 state,
//	     40-42 phase, 43 initiator (0: endpoint A), 44-63 kept free (offload)
//	  1  key, six words
//	  7  decision: bits 0-15 generation, 16-39 rule, 40-47 verdict,
//	     48-55 reason, 56-63 mode
//	  8  packets A to B
//	  9  bytes A to B
//	 10  sequence word A to B: bits 0-15 low half of the end of the segment
//	     last sent, 16-31 window as in the header, 32-63 last acknowledged
//	 11  packets B to A
//	 12  bytes B to A
//	 13  sequence word B to A
//	 14  times: bits 0-29 last seen, 30-63 first seen, in ticks of 2^20 ns
//	 15  bits 0-31 bait: what would acknowledge a SYN inside an open flow;
//	     32-63 kept free (pending verdict and rule)
//	 In a free entry word 1 is the link of the free list: bits 0-31 next Ref,
//	 32-63 length of the list that begins here.
//
// The generation is part of the decision word, so that verdict, rule and
// generation change together in one store and no reader sees half of them.
const (
	Version = 1 // of the layout

	magic = 0x776f6c666b6c7562 // "bulkflow" in memory order

	headMagic    = 0
	headVersion  = 1
	headCapacity = 2
	headBuckets  = 3
	headEntries  = 4
	headSecret   = 5
	headerWords  = 8

	bucketWords = 8
	entryWords  = 16

	tagRefBits = 32

	wordControl  = 0
	wordKey      = 1
	wordLink     = 1
	wordDecision = 7
	wordPackets  = 8  // A to B; B to A is dirStride further
	wordBytes    = 9  // same
	wordSequence = 10 // same
	wordTimes    = 14
	wordBait     = 15
	dirStride    = 3

	seqBits        = 32
	stateShift     = 32
	phaseShift     = 40
	initiatorShift = 43

	ruleShift    = 16
	ruleBits     = 24
	verdictShift = 40
	reasonShift  = 48
	modeShift    = 56

	lastBits  = 30
	firstBits = 34
	tickShift = 20 // a tick is 2^20 ns, 1.05 ms
)

// The phases of an entry's life.
//
//	free -> claimed -> tentative -> live -> dead -> free
//	                       +-> aborted -----------> free
const (
	phaseFree      uint64 = iota // in the free list, or kept by a handle
	phaseClaimed                 // being filled by one handle
	phaseTentative               // filled; may be in a bucket; not to be used yet
	phaseLive                    // a flow
	phaseDead                    // ended; no longer in a bucket; counters not yet final
	phaseAborted                 // another entry of the same key won
)

const (
	maskSeq   = 1<<seqBits - 1
	maskPhase = uint64(7) << phaseShift
	maskState = uint64(0xff) << stateShift
	maskLast  = 1<<lastBits - 1
	maskRef   = 1<<tagRefBits - 1
)

type (
	bucket [bucketWords]uint64
	entry  [entryWords]uint64
)

// control is the first word of an entry.
type control uint64

func (c control) phase() uint64 { return uint64(c) & maskPhase >> phaseShift }
func (c control) state() State  { return State(uint64(c) >> stateShift) }
func (c control) side() uint8   { return uint8(uint64(c) >> initiatorShift & 1) }

func (c control) withPhase(p uint64) control {
	return control(uint64(c)&^maskPhase | p<<phaseShift)
}

func (c control) withState(s State) control {
	return control(uint64(c)&^maskState | uint64(s)<<stateShift)
}

// sameLife says whether both words belong to one use of an entry.
func (c control) sameLife(o control) bool { return uint32(c) == uint32(o) }
