// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// takeFrames gives n packets of 60 bytes to send.
func takeFrames(t testing.TB, u *Umem, n int) []Desc {
	t.Helper()
	out := make([]Desc, n)
	for i := range out {
		addr, ok := u.Take()
		if !ok {
			t.Fatalf("no frame left after %d", i)
		}
		out[i] = Desc{Addr: addr, Len: 60}
	}
	return out
}

func TestSendQueuesWhatFitsWhenTXRingIsFull(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 256, TXSize: 16}, 1, ^uint32(0)-5)
	s := u.Sockets()[0]
	d := takeFrames(t, u, 20)
	d[3].Options = 77 // not ours to pass on
	if s.Room() != 16 {
		t.Errorf("room = %d, want 16", s.Room())
	}
	if n := s.Send(d); n != 16 {
		t.Fatalf("sent %d of 20 into a ring of 16", n)
	}
	if n := s.Send(d[16:]); n != 0 || s.Room() != 0 {
		t.Errorf("sent %d into a full ring, room %d", n, s.Room())
	}
	d[3].Options = 0
	if diff := cmp.Diff(d[:16], ks[0].transmit(64)); diff != "" {
		t.Error(diff)
	}
	s.Complete()
	if n := s.Send(d[16:]); n != 4 {
		t.Errorf("sent %d of the rest, want 4", n)
	}
	checkFrames(t, u)
}

func TestSendRefusesWhatTheKernelWouldNeverComplete(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 256}, 1, 0)
	s := u.Sockets()[0]
	d := takeFrames(t, u, 4)
	bad := []Desc{
		{Addr: d[0].Addr, Len: 0},
		{Addr: d[1].Addr, Len: 2048},
		d[2],
		d[2],                           // sent twice
		{Addr: 256 * 2048, Len: 60},    // outside
		{Addr: 200 * 2048, Len: 60},    // free
		{Addr: d[3].Addr - 4, Len: 64}, // four bytes more at the front: fine
	}
	if n := s.Send(bad); n != len(bad) {
		t.Errorf("dealt with %d of %d", n, len(bad))
	}
	want := []Desc{d[2], {Addr: d[3].Addr - 4, Len: 64}}
	if diff := cmp.Diff(want, ks[0].takeTX(64)); diff != "" {
		t.Error(diff)
	}
	if c := s.Counters(); c.TXInvalid != 5 || c.TX != 2 {
		t.Errorf("counters %+v, want 5 invalid and 2 sent", c)
	}
	if f := u.Frames(); f.Held != 0 || f.TX != 2 || f.Free != 254 {
		t.Errorf("frames %+v", f)
	}
	checkFrames(t, u)
}

func TestTXBacklogLeavesHalfOfTheFramesToRX(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 512, RXSize: 256, TXSize: 512}, 2, 0)
	a, b := u.Sockets()[0], u.Sockets()[1]
	batch := make([]Desc, 64)
	dropped := 0
	for range 100 { // completions never come, on either side
		for i, s := range u.Sockets() {
			s.Refill()
			ks[i].receiveInto(64, 60)
			n := s.Receive(batch)
			m := u.Sockets()[1-i].Send(batch[:n])
			ks[1-i].takeTX(m)
			u.Sockets()[1-i].Complete()
			for _, d := range batch[m:n] {
				u.Give(d.Addr)
				dropped++
			}
		}
	}
	if f := u.Frames(); f.TX != 256 || f.Fill < 128 {
		t.Errorf("frames %+v: want 256 at TX and the rest at work for RX", f)
	}
	if dropped < 10000 {
		t.Errorf("only %d dropped: RX did not go on", dropped)
	}
	if a.atTX != 128 || b.atTX != 128 {
		t.Errorf("TX sides have %d and %d, want 128 each", a.atTX, b.atTX)
	}
	checkFrames(t, u)
}

func TestCompleteGivesBackOnlyWhatWasBeingSent(t *testing.T) {
	u, ks := newFake(t, Config{Frames: 256}, 2, 0)
	s, other := u.Sockets()[0], u.Sockets()[1]
	d := takeFrames(t, u, 3)
	s.Send(d[:2])
	other.Send(d[2:])
	ks[0].takeTX(2)
	ks[0].complete(d[0].Addr+5, d[0].Addr, 1<<40, d[2].Addr) // in the frame, again, nowhere, another socket's
	if f := u.Frames(); f.Completion != 2 || f.TX != 1 {
		t.Errorf("frames before Complete %+v", f)
	}
	s.Complete()
	if c := s.Counters(); c.CompletionInvalid != 3 {
		t.Errorf("invalid completions = %d, want 3", c.CompletionInvalid)
	}
	if f := u.Frames(); f.TX != 2 || f.Free != 254 {
		t.Errorf("frames %+v: want one back and two at TX", f)
	}
	checkFrames(t, u)
}

// kick queues n packets and kicks once; the kernel does as told.
func kick(t *testing.T, n int, zeroCopy bool, send func(k *fakeKernel) syscall.Errno) (*Socket, *fakeKernel) {
	t.Helper()
	u, ks := newFake(t, Config{}, 1, ^uint32(0)-50)
	s, k := u.Sockets()[0], ks[0]
	s.copies = !zeroCopy
	s.Send(takeFrames(t, u, n))
	k.onSend = func() syscall.Errno { return send(k) }
	s.Kick()
	return s, k
}

func TestKickGoesOnWhileTheKernelTakes32AtATime(t *testing.T) {
	s, k := kick(t, 100, false, func(k *fakeKernel) syscall.Errno {
		k.transmit(32)
		if k.txLeft() > 0 {
			return unix.EAGAIN
		}
		return 0
	})
	if k.sends != 4 || s.Pending() {
		t.Errorf("%d calls for 100 packets, pending %v: want 4 and nothing left", k.sends, s.Pending())
	}
	if c := s.Counters(); c.Kicks != 4 || c.KicksAgain != 3 || c.KicksFailed != 0 {
		t.Errorf("counters %+v", c)
	}
	s.Kick()
	if k.sends != 4 {
		t.Error("kicked although the kernel had taken everything")
	}
}

// EBUSY is one packet that the driver dropped; the next may go.
func TestKickGoesOnAfterAPacketThatTheDriverDropped(t *testing.T) {
	s, k := kick(t, 100, false, func(k *fakeKernel) syscall.Errno {
		k.transmit(10)
		if k.sends == 3 {
			return unix.EBUSY
		}
		return unix.EAGAIN
	})
	if k.sends != 10 || s.Pending() || s.Counters().KicksBusy != 1 {
		t.Errorf("%d calls, pending %v, counters %+v: want 10, one of them busy", k.sends, s.Pending(), s.Counters())
	}
}

// Completions that are missing are no reason to call the kernel, or to wait.
func TestKickIsForDescriptorsNotForCompletions(t *testing.T) {
	s, k := kick(t, 10, false, func(k *fakeKernel) syscall.Errno { k.takeTX(64); return 0 })
	for range 1000 {
		s.Kick()
		s.Complete()
	}
	if k.sends != 1 {
		t.Errorf("%d calls, want 1", k.sends)
	}
}

func TestKickStopsWhenTheKernelTakesNothing(t *testing.T) {
	for _, row := range []struct {
		err  syscall.Errno
		want Counters
		then State
	}{
		{unix.EAGAIN, Counters{TX: 100, Kicks: 1, KicksAgain: 1}, Up},
		{unix.EBUSY, Counters{TX: 100, Kicks: 1, KicksBusy: 1}, Up},
		{unix.ENOBUFS, Counters{TX: 100, Kicks: 1, KicksNoMemory: 1}, Up},
		{unix.ENOMEM, Counters{TX: 100, Kicks: 1, KicksNoMemory: 1}, Up},
		{unix.EIO, Counters{TX: 100, Kicks: 1, KicksFailed: 1}, Up},
		{unix.ENETDOWN, Counters{TX: 100, Kicks: 1, KicksFailed: 1}, Down},
		{unix.ENXIO, Counters{TX: 100, Kicks: 1, KicksFailed: 1}, Gone},
		{0, Counters{TX: 100, Kicks: 1}, Up},
	} {
		s, k := kick(t, 100, false, func(*fakeKernel) syscall.Errno { return row.err })
		if diff := cmp.Diff(row.want, s.Counters()); diff != "" || s.State() != row.then || !s.Pending() {
			t.Errorf("%v: state %v, pending %v %s", row.err, s.State(), s.Pending(), diff)
		}
		k.onSend = func() syscall.Errno { k.transmit(512); return 0 }
		s.Kick() // the next turn tries again
		if s.Pending() || s.State() != Up {
			t.Errorf("%v: after the next kick pending %v, state %v", row.err, s.Pending(), s.State())
		}
	}
}

func TestKickWakesAZeroCopyDriverOnceAndOnlyIfItSleeps(t *testing.T) {
	s, k := kick(t, 100, true, func(*fakeKernel) syscall.Errno { return 0 })
	if k.sends != 1 {
		t.Errorf("%d calls, want 1: the driver works on its own time", k.sends)
	}
	*k.tx.flags = 0
	s.Kick()
	if k.sends != 1 {
		t.Error("called a driver that is awake")
	}
}

// txLeft is how many entries are in the TX ring.
func (k *fakeKernel) txLeft() int { return int(*k.tx.producer - *k.tx.consumer) }
