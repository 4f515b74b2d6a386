// SPDX-License-Identifier: Apache-2.0

package flowtable

import "sync/atomic"

// counters is what one handle has done. Only it writes, anyone may read.
type counters struct {
	inserted atomic.Uint64
	existed  atomic.Uint64
	refused  atomic.Uint64
	expired  atomic.Uint64
	evicted  [expire + 1]atomic.Uint64 // by rank
}

// Stats counts what became of flows since the table was made.
type Stats struct {
	Inserted           uint64 // new flows
	Exists             uint64 // inserts that found another worker's flow
	Full               uint64 // inserts that found no room
	Expired            uint64 // flows that the sweep has ended
	EvictedExpired     uint64 // flows that gave way to new ones: their time was up,
	EvictedFinished    uint64 // they were finished,
	EvictedUnconfirmed uint64 // they were unconfirmed or denied
}

// Stats adds up what all handles have counted.
func (t *Table) Stats() (s Stats) {
	for h := range t.handles {
		s.Inserted += h.inserted.Load()
		s.Exists += h.existed.Load()
		s.Full += h.refused.Load()
		s.Expired += h.expired.Load()
		s.EvictedExpired += h.evicted[expire].Load()
		s.EvictedFinished += h.evicted[over].Load()
		s.EvictedUnconfirmed += h.evicted[yield].Load()
	}
	return s
}
