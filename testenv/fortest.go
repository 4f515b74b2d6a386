// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"time"
)

// TB is what the functions for tests need of a *testing.T, *testing.B or *rapid.T.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skipf(format string, args ...any)
	TempDir() string
}

// RequireForTest skips the test, with the reason, where Privileged says no.
func RequireForTest(t TB) {
	t.Helper()
	if err := Privileged(); err != nil {
		t.Skipf("%v", err)
	}
}

// NSForTest is an anonymous namespace that ends with the test; without privileges the test is skipped.
func NSForTest(t TB, label string) *NS {
	t.Helper()
	RequireForTest(t)
	n, err := New(label)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { closeForTest(t, n) })
	return n
}

// LabForTest is a lab that ends with the test; without privileges the test is skipped.
func LabForTest(t TB, cfg LabConfig) *Lab {
	t.Helper()
	RequireForTest(t)
	l, err := NewLab(cfg)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { closeForTest(t, l) })
	return l
}

// RawForTest is a raw socket on an interface that ends with the test.
func RawForTest(t TB, n *NS, dev string) *RawConn {
	t.Helper()
	c, err := n.OpenRaw(dev)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { closeForTest(t, c) })
	return c
}

// BPFFSForTest is a private bpffs that ends with the test; without privileges the test is skipped.
func BPFFSForTest(t TB) string {
	t.Helper()
	RequireForTest(t)
	path, unmount, err := MountBPFFS(t.TempDir())
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Errorf("%v", err)
		}
	})
	return path
}

// The limits of GatewayForTest: the first build of a process, and the start.
const (
	buildLimit = 5 * time.Minute
	readyLimit = 30 * time.Second
)

// GatewayForTest builds the gateway, starts it in the namespace, waits until it is ready and stops it at the end of
// the test. The test fails if the gateway ends by itself, must be killed, or ends with another code than 0, but
// not for what the test itself did with Stop, Kill or Signal.
func GatewayForTest(t TB, n *NS, args ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	binary, err := BuildGateway(ctx)
	if err != nil {
		t.Fatalf("%v", err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), readyLimit)
	defer cancel()
	p, err := StartGateway(ctx, n, binary, args...)
	if err != nil {
		t.Fatalf("%v", err)
	}
	stopForTest(t, p)
	return p
}

// stopForTest stops the gateway at the end of the test, and fails the test if that or what came before was not in order.
func stopForTest(t TB, p *Process) {
	t.Helper()
	t.Cleanup(func() {
		if p.asked.Load() {
			return
		}
		select {
		case <-p.Done():
			t.Errorf("the gateway ended by itself with code %d; its log:\n%s", p.ExitCode(), p.Log())
			return
		default:
		}
		if code, err := p.Stop(2 * closeLimit); err != nil || code != 0 {
			t.Errorf("the gateway ended with code %d: %v; its log:\n%s", code, err, p.Log())
		}
	})
}

func closeForTest(t TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Errorf("%v", err)
	}
}
