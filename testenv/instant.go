// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"time"

	"golang.org/x/sys/unix"
)

// Instant is a time of CLOCK_MONOTONIC, in nanoseconds: comparable over all processes of the machine.
type Instant int64

// Now is the present.
func Now() Instant { return clock(unix.CLOCK_MONOTONIC) }

// Sub is the time from earlier to i.
func (i Instant) Sub(earlier Instant) time.Duration { return time.Duration(i - earlier) }

func clock(id int32) Instant {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic("testenv: clock_gettime: " + err.Error()) // both clocks are always there
	}
	return Instant(ts.Nano())
}

// instantOf turns the time stamp of a control message (struct timespec, CLOCK_REALTIME) into an Instant.
// The two clocks are read one after the other, so it may be a few microseconds late.
func instantOf(timespec []byte) Instant {
	if len(timespec) < 16 { // 32-bit time: not on the platforms that this builds for
		return Now()
	}
	stamp := Instant(binary.NativeEndian.Uint64(timespec)*1e9 + binary.NativeEndian.Uint64(timespec[8:]))
	return Now() - (clock(unix.CLOCK_REALTIME) - stamp)
}
