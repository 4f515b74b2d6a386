// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"testing"
	"time"
)

func TestIdleReturnsWithPacketsTheBellOrTheTimeout(t *testing.T) {
	a, _, wa := pipeSocket(t)
	p := newPoller(t, a)
	for _, timeout := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		if n, err := p.Idle(timeout); n != 0 || err != nil {
			t.Errorf("nothing there, timeout %v: %d, %v", timeout, n, err)
		}
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		p.Interrupt()
	}()
	if n, err := p.Idle(time.Minute); n != 0 || err != nil {
		t.Errorf("rung: %d, %v", n, err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		_, _ = wa.Write([]byte{1})
	}()
	for range 2 { // the byte is still there
		if n, err := p.Idle(time.Minute); n != 1 || err != nil {
			t.Errorf("one socket ready: %d, %v", n, err)
		}
	}
}

func TestIdleDoesNotSpinOnASocketWithAnError(t *testing.T) {
	a, _, wa := pipeSocket(t)
	wa.Close() // poll reports POLLHUP from now on
	p := newPoller(t, a)
	calls := 0
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); calls++ {
		if _, err := p.Idle(20 * time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if calls > 20 {
		t.Errorf("%d calls in 100 ms with a timeout of 20 ms each", calls)
	}
}

func TestIdleAllocatesNothing(t *testing.T) {
	a, _, _ := pipeSocket(t)
	p := newPoller(t, a)
	if n := testing.AllocsPerRun(20, func() { _, _ = p.Idle(time.Millisecond) }); n > 1 {
		t.Errorf("%v allocations a call, want none but the runtime's timer", n)
	}
}
