// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/testenv"
)

func prefixes(s ...string) (all []netip.Prefix) {
	for _, p := range s {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// floodFrames is how many frames a flood has: under a second's worth.
const floodFrames = 1_500_000

// BenchmarkWireFlood sends 60-byte UDP frames as fast as the kernel makes them
// and counts those that come out on the other side.
func BenchmarkWireFlood(b *testing.B) {
	for _, flows := range []uint32{1, 1000, 100_000} {
		for _, g := range gateways {
			b.Run(fmt.Sprintf("flows=%d/gateway=%s", flows, g.name), func(b *testing.B) {
				l := newLab(b)
				g.join(b, l)
				var delivered uint64
				var took time.Duration
				for b.Loop() {
					n, d := flood(b, l, flows)
					delivered, took = delivered+n, took+d
				}
				b.ReportMetric(float64(delivered)/took.Seconds(), "frames/s")
				b.ReportMetric(100-100*float64(delivered)/float64(b.N)/floodFrames, "loss%")
			})
		}
	}
}

// flood sends one flood from left to right and says what arrived, and how long
// the sending took.
func flood(b *testing.B, l *testenv.Lab, flows uint32) (delivered uint64, took time.Duration) {
	left, right := l.Host("left"), l.Host("right")
	sink, err := right.NewSink(right.Dev, 9, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	f, err := left.NewFlood(left.Dev, testenv.FloodConfig{
		Src: left.MAC, Dst: right.MAC, SrcAddr: left.IPv4, DstAddr: right.IPv4, DstPort: 9, Flows: flows,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer pinThread(b, 0)()
	began := time.Now()
	if _, err := f.Run(soon(b), floodFrames); err != nil {
		b.Fatal(err)
	}
	took = time.Since(began)
	time.Sleep(50 * time.Millisecond) // what is still in rings
	count, err := sink.Count()
	if err != nil {
		b.Fatal(err)
	}
	return count.Packets, took
}

// pinThread keeps the calling thread on a processor until undo.
func pinThread(b *testing.B, cpu int) (undo func()) {
	var old, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &old); err != nil {
		b.Fatal(err)
	}
	set.Set(cpu)
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		b.Fatal(err)
	}
	return func() { _ = unix.SchedSetaffinity(0, &old) }
}

// BenchmarkWireRoundTrip asks and answers a thousand times a second.
func BenchmarkWireRoundTrip(b *testing.B) {
	for _, g := range gateways {
		b.Run("gateway="+g.name, func(b *testing.B) {
			l := newLab(b)
			g.join(b, l)
			right := l.Host("right")
			echo, err := right.ServeUDPEcho(7777)
			if err != nil {
				b.Fatal(err)
			}
			defer echo.Close()
			conn, err := l.Host("left").Dial(soon(b), "udp", netip.AddrPortFrom(right.IPv4, 7777))
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			var trips []time.Duration
			for b.Loop() {
				trips = append(trips, probe(b, conn, 500)...)
			}
			slices.Sort(trips)
			b.ReportMetric(float64(trips[len(trips)/2].Nanoseconds())/1e3, "us-p50")
			b.ReportMetric(float64(trips[len(trips)*99/100].Nanoseconds())/1e3, "us-p99")
		})
	}
}

// probe makes round trips, one a millisecond, and says how long each took.
func probe(b *testing.B, conn net.Conn, n int) (trips []time.Duration) {
	message := make([]byte, 18)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		began := time.Now()
		if _, err := conn.Write(message); err != nil {
			b.Fatal(err)
		}
		_ = conn.SetReadDeadline(began.Add(5 * time.Second))
		if _, err := conn.Read(message); err != nil {
			b.Fatal(err)
		}
		trips = append(trips, time.Since(began))
	}
	return trips
}
