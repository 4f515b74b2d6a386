// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A pipe stands in for a socket: poll treats it alike.

// pipeSocket is a fake socket whose descriptor is the reading end of a pipe.
func pipeSocket(t *testing.T) (*Socket, *fakeKernel, *os.File) {
	t.Helper()
	u, ks := newFake(t, Config{}, 1, 0)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	s := u.Sockets()[0]
	s.fd = int(r.Fd())
	return s, ks[0], w
}

func newPoller(t *testing.T, s ...*Socket) *Poller {
	t.Helper()
	p, err := NewPoller(s...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// [POLL_RXQ_TMOUT, POLL_RXQ_FULL]
func TestWaitTimesOutWithoutPacketsAndReturnsWithThem(t *testing.T) {
	a, _, wa := pipeSocket(t)
	b, _, _ := pipeSocket(t)
	p := newPoller(t, a, b)
	for _, timeout := range []time.Duration{0, time.Millisecond} {
		if n, err := p.Wait(timeout); n != 0 || err != nil {
			t.Errorf("nothing there, timeout %v: %d, %v", timeout, n, err)
		}
	}
	if _, err := wa.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Wait(-1); n != 1 || err != nil {
		t.Errorf("one socket ready: %d, %v", n, err)
	}
}

func TestInterruptEndsThePresentWaitOrTheNext(t *testing.T) {
	s, _, _ := pipeSocket(t)
	p := newPoller(t, s)
	p.Interrupt()
	p.Interrupt()
	if n, err := p.Wait(-1); n != 0 || err != nil {
		t.Errorf("interrupted before: %d, %v", n, err)
	}
	if n, err := p.Wait(0); n != 0 || err != nil { // the bell was answered; this is a timeout
		t.Errorf("not interrupted: %d, %v", n, err)
	}
	returned := make(chan error)
	go func() { _, err := p.Wait(-1); returned <- err }()
	p.Interrupt()
	if err := <-returned; err != nil {
		t.Error(err)
	}
}

// A pipe whose writer is gone reports POLLHUP for ever, as a socket whose device
// is gone may report POLLERR. Wait must sleep all the same.
func TestWaitDoesNotSpinOnASocketWithAnError(t *testing.T) {
	s, k, w := pipeSocket(t)
	good, _, wgood := pipeSocket(t)
	p := newPoller(t, s, good)
	w.Close()
	k.onReceive = func() syscall.Errno { return unix.ENXIO }
	if n, err := p.Wait(5 * time.Millisecond); n != 0 || err != nil {
		t.Errorf("wait: %d, %v", n, err)
	}
	if s.State() != Gone || k.receives != 2 { // once for the error, once after the timeout
		t.Errorf("state %v after %d looks, want gone after 2", s.State(), k.receives)
	}
	if _, err := wgood.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := p.Wait(-1); n != 1 || err != nil { // the other socket still counts
		t.Errorf("wait: %d, %v", n, err)
	}
}

// In copy mode being polled is being kicked: with packets pending, Wait may not
// sleep long. (No clock here: with no timeout at all it would never return.)
func TestWaitReturnsSoonWhilePacketsArePending(t *testing.T) {
	u, ks := newFake(t, Config{}, 1, 0)
	s := u.Sockets()[0]
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s.fd = int(r.Fd())
	p := newPoller(t, s)
	s.Send(takeFrames(t, u, 1))
	if n, err := p.Wait(-1); n != 0 || err != nil {
		t.Errorf("wait: %d, %v", n, err)
	}
	s.state = Down // a port that is down would keep the worker awake for ever
	if p.pending() {
		t.Error("packets for a port that is down count as pending")
	}
	s.state = Up
	ks[0].takeTX(1)
	if p.pending() {
		t.Error("pending although the kernel has taken everything")
	}
}

func TestWaitSaysWhenPollingIsBroken(t *testing.T) {
	s, _, _ := pipeSocket(t)
	p := newPoller(t, s)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	// ppoll refuses more descriptors than the process may have open.
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 1, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := p.Wait(0)
	if rerr := unix.Setrlimit(unix.RLIMIT_NOFILE, &before); rerr != nil {
		t.Fatal(rerr)
	}
	if err == nil {
		t.Error("no error from a ppoll that was refused")
	}
}
