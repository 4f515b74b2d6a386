// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Beats is the memory in which workers show the program that they live. One
// Beats serves all interfaces that the same workers serve. Beat may be called
// by any number of goroutines.
type Beats struct {
	array  *ebpf.Map
	region []byte
	words  []uint64 // [0] any worker, [1+queue] the queue's worker
}

// NewBeats makes the array and maps it. No beat has been written in it.
func NewBeats() (*Beats, error) {
	array, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "beats", Type: ebpf.Array, Flags: unix.BPF_F_MMAPABLE,
		KeySize: 4, ValueSize: 8, MaxEntries: 1 + MaxQueues,
	})
	if err != nil {
		return nil, fmt.Errorf("create the array of beats: %w", err)
	}
	size := (8*(1+MaxQueues) + unix.Getpagesize() - 1) &^ (unix.Getpagesize() - 1)
	region, err := unix.Mmap(array.FD(), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		array.Close()
		return nil, fmt.Errorf("map the array of beats: %w", err)
	}
	return &Beats{array: array, region: region, words: words(region)}, nil
}

// DetachedBeats is memory that no program reads, for tests of who writes it.
func DetachedBeats() *Beats { return &Beats{words: make([]uint64, 1+MaxQueues)} }

// Beat writes that the worker of a queue lives at a monotonic time in
// nanoseconds. The program reads each word with one load; nothing else is
// ordered by it.
func (b *Beats) Beat(queue int, now int64) {
	atomic.StoreUint64(&b.words[1+queue], uint64(now))
	atomic.StoreUint64(&b.words[0], uint64(now))
}

// BeatGateway writes that the gateway lives, though none of its workers may.
func (b *Beats) BeatGateway(now int64) { atomic.StoreUint64(&b.words[0], uint64(now)) }

// Last gives the time of a queue's last beat.
func (b *Beats) Last(queue int) int64 { return int64(atomic.LoadUint64(&b.words[1+queue])) }

// Close unmaps and closes the array. Programs that use it keep it alive.
func (b *Beats) Close() error {
	b.words = nil
	if b.array == nil {
		return nil
	}
	return joinNamed("beats", unix.Munmap(b.region), b.array.Close())
}

// The clock below counts from here. time.Since reads CLOCK_MONOTONIC without a
// system call, which unix.ClockGettime is.
var (
	startTime = time.Now()
	startMono = monotonic()
)

// Now is the clock that beats are written in: CLOCK_MONOTONIC in nanoseconds,
// the one of bpf_ktime_get_coarse_ns.
func Now() int64 { return startMono + int64(time.Since(startTime)) }

func monotonic() int64 {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) // cannot fail with this clock
	return ts.Nano()
}
