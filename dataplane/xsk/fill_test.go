// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRefillWaitsForABatchButNeverStarves(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 512, FillSize: 256, RXSize: 256}, 1, ^uint32(0)-99)
	s, k := u.Sockets()[0], ks[0]
	batch := make([]Desc, 512)
	s.Refill()
	if f := u.Frames(); f.Fill != 256 {
		t.Fatalf("frames %+v: the first refill fills the ring", f)
	}
	held := takeFrames(t, u, u.Frames().Free)
	k.receiveInto(10, 60)
	for _, d := range batch[:s.Receive(batch)] {
		u.Give(d.Addr)
	}
	s.Refill()
	if f := u.Frames(); f.Free != 10 {
		t.Errorf("frames %+v: 10 frames are not worth it while the kernel has 246", f)
	}
	for range 3 { // the kernel uses up what it has, and its frames stay with the caller
		held = append(held, batch[:receiveAll(s, k, batch)]...)
	}
	if f := u.Frames(); f.Fill != 0 || f.Free != 10 {
		t.Fatalf("frames %+v: the fill ring must be empty now", f)
	}
	s.Refill()
	if f := u.Frames(); f.Fill != 10 || f.Free != 0 {
		t.Errorf("frames %+v: now 10 frames must go to the kernel", f)
	}
	s.Refill() // nothing left, nothing happens
	for _, d := range held {
		u.Give(d.Addr)
	}
	s.Refill()
	if f := u.Frames(); f.Fill != 256 {
		t.Errorf("frames %+v: the ring must be full again", f)
	}
	checkFrames(t, u)
}

// receiveAll lets the kernel receive as much as it has frames for.
func receiveAll(s *Socket, k *fakeKernel, batch []Desc) int {
	k.receiveInto(512, 60)
	return s.Receive(batch)
}

// Fill ring and RX ring both empty, no frame free: the state that has hung
// others. It must end as soon as one frame comes back.
func TestStarvedFillRingRecoversWithOneFrame(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 64, FillSize: 64, RXSize: 64}, 1, 0)
	s, k := u.Sockets()[0], ks[0]
	batch := make([]Desc, 64)
	s.Refill()
	held := append([]Desc(nil), batch[:receiveAll(s, k, batch)]...)
	held = append(held, takeFrames(t, u, u.Frames().Free)...)
	s.Refill()
	if f := u.Frames(); f.Held != 64 || f.Fill != 0 {
		t.Fatalf("frames %+v: the caller must have all", f)
	}
	u.Give(held[0].Addr)
	s.Refill()
	if n := receiveAll(s, k, batch); n != 1 {
		t.Errorf("received %d, want 1", n)
	}
}

// A device whose ring swallows frames (zero-copy) must leave some for the others.
func TestOneSocketCannotTakeAllFrames(t *testing.T) {
	for _, sockets := range []int{2, 3, 5} {
		frames := 256 * sockets
		u, ks := newFake(t, Config{Frames: uint32(frames), FillSize: 2048, TXSize: 512}, sockets, 0)
		all, last := u.Sockets(), u.Sockets()[sockets-1]
		for range 50 { // all but the last take and take, and their TX sides are clogged too
			for i, s := range all {
				if n := min(s.Room(), u.nfree); n > 0 {
					s.Send(takeFrames(t, u, n))
				}
				if s != last {
					s.Refill()
					ks[i].takeFill(4096)
				}
			}
		}
		last.Refill()
		if want := frames / (4 * sockets); last.atRX < want {
			t.Errorf("%d sockets: the last got %d frames, want %d or more", sockets, last.atRX, want)
		}
		checkFrames(t, u)
	}
}

func TestWakeCallsTheKernelOnlyWhereItIsAsked(t *testing.T) {
	u, ks := newFake(t, Config{}, 1, 0)
	s, k := u.Sockets()[0], ks[0]
	s.Wake()
	if k.receives != 0 {
		t.Error("called a kernel that is awake")
	}
	*k.fill.flags = unix.XDP_RING_NEED_WAKEUP
	s.Wake()
	*k.fill.flags = 0
	s.busyPoll = true
	s.Wake()
	if k.receives != 2 || s.Counters().Wakes != 2 {
		t.Errorf("%d calls, %d counted, want 2: one for the flag, one for busy polling", k.receives, s.Counters().Wakes)
	}
	k.onReceive = func() syscall.Errno { return unix.ENETDOWN }
	if s.Wake(); s.State() != Down {
		t.Errorf("state %v, want down", s.State())
	}
	k.onReceive = nil
	if got := s.Check(); got != Up {
		t.Errorf("state %v, want up", got)
	}
}
