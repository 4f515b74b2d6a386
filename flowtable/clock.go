// SPDX-License-Identifier: Apache-2.0

package flowtable

import "sync/atomic"

// Times are nanoseconds of a monotonic clock that the caller hands in. In the
// table they are ticks of 1.05 ms, cut to as many bits as there is room for:
// the last-seen time to 30 (13 days), the first-seen time to 34 (208 days).

func tick(now int64) uint64 { return uint64(now) >> tickShift }

func newTimes(now int64) uint64 {
	t := tick(now)
	return t<<lastBits | t&maskLast
}

// idle is how many ticks ago a flow with these times was last seen. A time that
// lies ahead (the clock of another worker was read a moment later) is now.
func idle(times uint64, now int64) uint64 {
	d := (tick(now) - times) & maskLast
	if d >= 1<<(lastBits-1) {
		return 0
	}
	return d
}

// span is the first and last time in nanoseconds, no later than now. A flow
// that lives for more than 208 days loses multiples of that.
func span(times uint64, now int64) (first, last int64) {
	t := tick(now)
	age := (t - times>>lastBits) & (1<<firstBits - 1)
	if age > 1<<firstBits-1<<10 {
		age = 0 // a moment ahead, as in idle
	}
	last = now - int64(idle(times, now)<<tickShift)
	return min(now-int64(age<<tickShift), last), last
}

// touch sets the last-seen time, unless it is that already or later.
//
// The load needs no pair. The store replaces the whole word; its other half is
// the first-seen time, which is constant while the entry is live, so that two
// workers may do this at the same time.
func (e *entry) touch(now int64) {
	w := atomic.LoadUint64(&e[wordTimes])
	if ahead := (tick(now) - w) & maskLast; ahead != 0 && ahead < 1<<(lastBits-1) {
		atomic.StoreUint64(&e[wordTimes], w&^maskLast|tick(now)&maskLast)
	}
}
