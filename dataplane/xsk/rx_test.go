// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestReceiveReturnsDescriptorsAsGiven(t *testing.T) {
	u, ks := newFake(t, Config{}, 1, 0)
	s := u.Sockets()[0]
	s.Refill()
	a := ks[0].takeFill(4)
	want := []Desc{
		{Addr: a[0] + Headroom, Len: 60},
		{Addr: a[1], Len: 2048},      // from the first byte of the frame to the last
		{Addr: a[2] + 2047, Len: 1},  // the last byte
		{Addr: a[3] + 77, Len: 1500}, // wherever the driver put it
	}
	ks[0].deliver(want...)
	got := make([]Desc, 8)
	got = got[:s.Receive(got)]
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for _, d := range got {
		if f := u.Frame(d.Addr, d.Len); len(f) != int(d.Len) || cap(f) != int(2048-d.Addr%2048) {
			t.Errorf("frame of %+v has length %d and capacity %d", d, len(f), cap(f))
		}
		u.Give(d.Addr)
	}
	checkFrames(t, u)
}

// What the kernel hands over is looked at before it is used. A frame that can be
// told is given back; a descriptor that names none costs nothing.
func TestReceiveCountsInvalidDescriptorsAndDoesNotUseThem(t *testing.T) {
	const frames = 256
	for _, row := range []struct {
		name string
		desc func(a uint64) Desc // made from an address of the fill ring
		free int                 // frames that come back to the free list
	}{
		{"address just beyond the UMEM", func(uint64) Desc { return Desc{frames * 2048, 60, 0} }, 0},
		{"address far beyond the UMEM", func(uint64) Desc { return Desc{1 << 63, 60, 0} }, 0},
		{"address that wraps with its length", func(uint64) Desc { return Desc{^uint64(0), 60, 0} }, 0},
		{"one byte over the end of the frame", func(a uint64) Desc { return Desc{a + Headroom, 2048 - Headroom + 1, 0} }, 1},
		{"longest length", func(a uint64) Desc { return Desc{a, ^uint32(0), 0} }, 1},
		{"no bytes", func(a uint64) Desc { return Desc{a, 0, 0} }, 1},
		{"unknown option", func(a uint64) Desc { return Desc{a, 60, 1 << 7} }, 1},
		{"frame that is free", func(uint64) Desc { return Desc{0, 60, 0} }, 0},
	} {
		u, ks := newFake(t, Config{Frames: frames, FillSize: 64}, 1, 0)
		s := u.Sockets()[0]
		// The frames go out in the order of their addresses, so frame 0 becomes free again here.
		first, _ := u.Take()
		s.Refill()
		u.Give(first)
		before := u.Frames()
		a := ks[0].takeFill(2)
		ks[0].deliver(row.desc(a[0]), Desc{Addr: a[1] + Headroom, Len: 60})
		got := make([]Desc, 4)
		n := s.Receive(got)
		if n != 1 || got[0].Addr != a[1]+Headroom {
			t.Errorf("%s: received %v, want the good packet alone", row.name, got[:n])
		}
		if c := s.Counters(); c.RXInvalid != 1 || c.RX != 1 || c.RXMulti != 0 {
			t.Errorf("%s: counters %+v, want 1 invalid and 1 received", row.name, c)
		}
		if f := u.Frames(); f.Free != before.Free+row.free || f.Held != 1 {
			t.Errorf("%s: frames %+v, before %+v, want %d more free", row.name, f, before, row.free)
		}
		checkFrames(t, u)
	}
}

// Two descriptors of one frame would let a packet be overwritten after it was judged.
func TestReceiveRefusesFrameThatItAlreadyHas(t *testing.T) {
	u, ks := newFake(t, Config{}, 2, 0)
	a, b := u.Sockets()[0], u.Sockets()[1]
	a.Refill()
	b.Refill()
	addr := ks[0].takeFill(1)[0]
	ks[0].deliver(Desc{Addr: addr, Len: 60}, Desc{Addr: addr, Len: 60})
	ks[1].deliver(Desc{Addr: addr, Len: 60}) // and the other socket never had it
	batch := make([]Desc, 4)
	if n := a.Receive(batch); n != 1 {
		t.Errorf("received %d, want 1", n)
	}
	if n := b.Receive(batch[1:]); n != 0 {
		t.Errorf("received %d from a socket that had not the frame", n)
	}
	if a.Counters().RXInvalid != 1 || b.Counters().RXInvalid != 1 {
		t.Errorf("invalid: %d and %d, want 1 and 1", a.Counters().RXInvalid, b.Counters().RXInvalid)
	}
	checkFrames(t, u)
}

func TestReceiveGivesBackPacketsOfSeveralFramesWhole(t *testing.T) {
	const more = unix.XDP_PKT_CONTD
	for _, row := range []struct {
		name    string
		options []uint32 // of the descriptors, in order
		keep    []int    // those that must be returned
		multi   uint64
	}{
		{"two frames", []uint32{more, 0}, nil, 1},
		{"three frames between whole packets", []uint32{0, more, more, 0, 0}, []int{0, 4}, 1},
		{"one after the other", []uint32{more, 0, more, 0, 0}, []int{4}, 2},
		{"the end is still to come", []uint32{0, more, more}, []int{0}, 1},
	} {
		for _, step := range []int{1, 2, 64} { // packets may be cut between two calls
			u, ks := newFake(t, Config{}, 1, 0)
			s := u.Sockets()[0]
			s.Refill()
			free := u.Frames().Free
			a := ks[0].takeFill(len(row.options))
			var want, got []Desc
			for i, o := range row.options {
				ks[0].deliver(Desc{Addr: a[i] + Headroom, Len: 1792, Options: o})
			}
			for _, i := range row.keep {
				want = append(want, Desc{Addr: a[i] + Headroom, Len: 1792})
			}
			for range row.options {
				batch := make([]Desc, step)
				got = append(got, batch[:s.Receive(batch)]...)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s, %d at a time: %s", row.name, step, d)
			}
			if c := s.Counters(); c.RXMulti != row.multi || c.RXInvalid != 0 {
				t.Errorf("%s, %d at a time: counters %+v, want %d multi", row.name, step, c, row.multi)
			}
			if f := u.Frames(); f.Free != free+len(row.options)-len(row.keep) {
				t.Errorf("%s, %d at a time: frames %+v, %d were free", row.name, step, f, free)
			}
			checkFrames(t, u)
		}
	}
}
