// SPDX-License-Identifier: Apache-2.0

package dataplane

import "bulkhead/dataplane/packet"

// How often a source is told that its packets are rejected, by one worker.
const (
	answerRate  = 10 // a second, sustained
	answerBurst = 20
	answerSlots = 1024
)

// bucket is a token bucket. Its zero value is full.
type bucket struct {
	spent float64 // answers that have not yet been made up for
	last  int64   // monotonic nanoseconds
}

// rejectLimit limits the answers to each source. Sources share buckets by
// hash, so that its room is fixed: who shares is told less often, never more.
type rejectLimit struct {
	seed    uint64
	buckets [answerSlots]bucket
}

// allow says whether a source may be told once more.
func (l *rejectLimit) allow(src packet.Addr, now int64) bool {
	h := (src.Hi ^ l.seed) * 0x9e3779b97f4a7c15
	h = (h ^ h>>31 ^ src.Lo) * 0x9e3779b97f4a7c15
	b := &l.buckets[(h^h>>32)%answerSlots]
	b.spent = max(0, b.spent-float64(now-b.last)*answerRate/1e9)
	b.last = now
	if b.spent+1 > answerBurst {
		return false
	}
	b.spent++
	return true
}
