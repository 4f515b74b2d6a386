// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"math"
	"sync/atomic"
	"testing"
)

// The indices start where they soon wrap; each frame goes around several times.
func TestAllRingsGoOnAcrossWrapAt2To32(t *testing.T) {
	for _, start := range []uint32{0, 1<<31 - 3, math.MaxUint32 - 700, math.MaxUint32} {
		u, ks := newFake(t, Config{Frames: 128, RXSize: 16, TXSize: 16}, 2, start)
		in, out := u.Sockets()[0], u.Sockets()[1]
		batch := make([]Desc, 8)
		total := 0
		for i := range 500 {
			in.Refill()
			sent := ks[0].receiveInto(5, uint32(60+i))
			n := in.Receive(batch)
			if n != sent {
				t.Fatalf("start %d, turn %d: received %d, want %d", start, i, n, sent)
			}
			for _, d := range batch[:n] {
				if d.Len != uint32(60+i) {
					t.Fatalf("start %d, turn %d: length %d, want %d", start, i, d.Len, 60+i)
				}
			}
			if m := out.Send(batch[:n]); m != n {
				t.Fatalf("start %d, turn %d: sent %d of %d", start, i, m, n)
			}
			if m := len(ks[1].transmit(8)); m != n {
				t.Fatalf("start %d, turn %d: kernel took %d, want %d", start, i, m, n)
			}
			out.Complete()
			total += n
		}
		if total != 2500 {
			t.Errorf("start %d: forwarded %d, want 2500", start, total)
		}
		checkFrames(t, u)
	}
}

func TestProducerLooksAtTheKernelOnlyWhenItMust(t *testing.T) {
	_, ks := newFake(t, Config{TXSize: 8}, 1, 0)
	p := producer{producer: ks[0].tx.producer, consumer: ks[0].tx.consumer, flags: ks[0].tx.flags, size: 8, mask: 7}
	if got := p.room(5); got != 5 {
		t.Fatalf("room(5) of an empty ring = %d", got)
	}
	p.submit(5)
	atomic.StoreUint32(ks[0].tx.consumer, 4)
	if got := p.room(3); got != 3 || p.seen != 0 {
		t.Errorf("room(3) = %d, seen = %d: three were known to be free", got, p.seen)
	}
	if got := p.room(4); got != 4 || p.seen != 4 {
		t.Errorf("room(4) = %d, seen = %d: had to look", got, p.seen)
	}
	if got := p.room(100); got != 7 {
		t.Errorf("room(100) = %d, want 7", got)
	}
	if !p.pending() {
		t.Error("one entry is not taken, but pending is false")
	}
	atomic.StoreUint32(ks[0].tx.consumer, 5)
	if p.pending() {
		t.Error("all entries are taken, but pending is true")
	}
}

func TestProducerFullHasNoRoom(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 256, FillSize: 16}, 1, math.MaxUint32-3)
	s := u.Sockets()[0]
	s.Refill()
	if got := s.fill.room(1); got != 0 {
		t.Errorf("room of a full ring = %d", got)
	}
	ks[0].takeFill(1)
	if got := s.fill.room(5); got != 1 {
		t.Errorf("room after the kernel took one = %d, want 1", got)
	}
}

func TestConsumerEmptyHasNothing(t *testing.T) {
	u, ks := newFake(t, Config{}, 1, math.MaxUint32)
	s := u.Sockets()[0]
	batch := make([]Desc, 4)
	if n := s.Receive(batch); n != 0 {
		t.Errorf("received %d from an empty ring", n)
	}
	s.Refill()
	ks[0].receiveInto(1, 60)
	if n := s.Receive(batch); n != 1 {
		t.Errorf("received %d, want 1", n)
	}
	if n := s.Receive(batch); n != 0 {
		t.Errorf("received %d from a ring that was emptied", n)
	}
	if n := s.Receive(nil); n != 0 {
		t.Errorf("received %d into nothing", n)
	}
}

// A broken kernel may write any index; we must neither run over the ring nor
// believe in more than it holds.
func TestNonsenseIndicesMoveNothing(t *testing.T) {
	for _, bad := range []uint32{1 << 31, math.MaxUint32, 513, 1025} {
		u, ks := newFake(t, Config{Frames: 2048, TXSize: 512}, 1, 0)
		s := u.Sockets()[0]
		s.Refill()
		s.Send(takeFrames(t, u, 512))
		before := u.Frames()
		atomic.StoreUint32(ks[0].rx.producer, bad)
		atomic.StoreUint32(ks[0].completion.producer, bad)
		atomic.StoreUint32(ks[0].tx.consumer, bad)
		if n := s.Receive(make([]Desc, 8)); n != 0 {
			t.Errorf("RX producer %d: received %d", bad, n)
		}
		s.Complete()
		if s.Room() != 0 {
			t.Errorf("TX consumer %d: room for %d in a full ring", bad, s.Room())
		}
		got := u.Frames()
		if got.Sum() != got.Total || got.Fill+got.RX != before.Fill || got.TX+got.Completion != before.TX {
			t.Errorf("index %d: frames %+v, before %+v", bad, got, before)
		}
	}
}
