// SPDX-License-Identifier: Apache-2.0

package event_test

import (
	"encoding/binary"
	"net/netip"
	"regexp"
	"sync"
	"testing"

	"bulkhead/dataplane/event"
)

func TestRecordFitsTwoCacheLines(t *testing.T) {
	if n := binary.Size(event.Record{}); n < 0 || n > 128 {
		t.Errorf("a record has %d bytes, want at most 128 of fixed size", n)
	}
}

func TestAddressesOfARecordAreThoseOfItsFamily(t *testing.T) {
	r := event.Record{Src: [2]uint64{0, 0xffff_0a00_0102}, Dst: [2]uint64{0x2001_0db8 << 32, 1}, Family: 4}
	if got := r.Source(); got != netip.MustParseAddr("10.0.1.2") {
		t.Errorf("Source = %v", got)
	}
	r.Family = 6
	if got := r.Destination(); got != netip.MustParseAddr("2001:db8::1") {
		t.Errorf("Destination = %v", got)
	}
	r.Family = 0
	if r.Source().IsValid() {
		t.Error("a record without a family has an address")
	}
}

func TestReasonsHaveNamesOfTheirOwn(t *testing.T) {
	form, seen := regexp.MustCompile(`^[a-z][a-z_]*[a-z]$`), map[string]bool{}
	for r := event.Denied; r < event.NumReasons; r++ {
		if !form.MatchString(r.Name()) || r.What() == "" || seen[r.Name()] {
			t.Errorf("reason %d: name %q, meaning %q", r, r.Name(), r.What())
		}
		seen[r.Name()] = true
	}
	if event.NumReasons.Name() != "" || event.Reason(255).What() != "" {
		t.Error("a number that is no reason has a name")
	}
}

func TestRingGivesRecordsInOrderAndCountsWhatItLoses(t *testing.T) {
	r, err := event.NewRing(4)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]event.Record, 0, 3)
	next := int64(0)
	for round := range int64(10) {
		for i := range int64(6) {
			r.Emit(&event.Record{Time: round*4 + i}) // the last two of each round find the ring full
		}
		for got := 0; got < 4; {
			out = r.Drain(out[:0])
			for _, rec := range out {
				if rec.Time != next {
					t.Fatalf("got record %d, want %d", rec.Time, next)
				}
				next++
			}
			got += len(out)
		}
	}
	if r.Lost() != 20 {
		t.Errorf("%d lost, want 20", r.Lost())
	}
}

func TestRingRefusesSizesThatAreNoPowerOfTwo(t *testing.T) {
	for _, n := range []int{-1, 0, 3, 100} {
		if _, err := event.NewRing(n); err == nil {
			t.Errorf("a ring of %d was made", n)
		}
	}
}

func TestRingBetweenTwoGoroutinesLosesNothingUncounted(t *testing.T) {
	const n = 200_000
	r, err := event.NewRing(64)
	if err != nil {
		t.Fatal(err)
	}
	var writer sync.WaitGroup
	done := make(chan struct{})
	writer.Go(func() {
		for i := range int64(n) {
			r.Emit(&event.Record{Time: i, Duration: ^i})
		}
		close(done)
	})
	got, last, ended := 0, int64(-1), false
	for out := make([]event.Record, 0, 16); ; {
		select {
		case <-done:
			ended = true
		default:
		}
		out = r.Drain(out[:0])
		for _, rec := range out {
			if rec.Time <= last || rec.Duration != ^rec.Time {
				t.Fatalf("record %d after %d, with %d", rec.Time, last, rec.Duration)
			}
			last = rec.Time
		}
		got += len(out)
		if ended && len(out) == 0 {
			break
		}
	}
	writer.Wait()
	if got+int(r.Lost()) != n {
		t.Errorf("%d read and %d lost of %d", got, r.Lost(), n)
	}
}

func BenchmarkEmit(b *testing.B) {
	r, _ := event.NewRing(1024)
	out := make([]event.Record, 0, 1024)
	rec := event.Record{}
	b.ReportAllocs()
	for b.Loop() {
		r.Emit(&rec)
		if rec.Time++; rec.Time%512 == 0 {
			out = r.Drain(out[:0])
		}
	}
}
