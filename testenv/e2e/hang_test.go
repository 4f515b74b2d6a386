// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"syscall"
	"testing"
	"time"

	"bulkhead/testenv"
)

// TestHungGatewayIsReplacedByTheKernelUntilItGoesOn stops the daemon: its wire is
// in its fail mode after the beat limit. When the daemon goes on, the policy is
// in force again, and what waited in its rings is too old to be forwarded.
func TestHungGatewayIsReplacedByTheKernelUntilItGoesOn(t *testing.T) {
	for _, fail := range []string{"closed", "open"} {
		t.Run(fail, func(t *testing.T) {
			g := quiet(t, setup{policy: policyA(), fail: fail, beat: time.Second, bpffs: testenv.BPFFSForTest(t)})
			ab, _ := g.paths("a", "b")
			allowed, denied := probe(1, portAlways), probe(1, portNever)
			ab.passes(allowed)
			ab.drops(denied)

			must(t, g.proc.Signal(syscall.SIGSTOP))
			stopped(t, g.proc.Pid())
			stale := probe(2, portAlways)
			for range 5 { // to the rings of a daemon that has beaten just now
				must(t, ab.from.Send(stale))
			}
			g.awaitFailMode(fail)
			must(t, g.proc.Signal(syscall.SIGCONT))
			g.awaitJudging()
			g.awaitState("UP")

			if got := common(ab.cross(), [][]byte{stale}); got != nil {
				t.Errorf("%d frames were forwarded long after they had come", len(got))
			}
			ab, _ = g.paths("a", "b")
			ab.passes(allowed)
			ab.drops(denied)
			k, w := g.kernel("w0"), g.wire()
			if w.A.Dropped["fail_closed"] != k.failClosed || w.A.Passed["fail_open"] != k.failOpen || k.failClosed+k.failOpen == 0 {
				t.Errorf("the kernel counted %+v, the gateway says dropped %v, passed %v", k, w.A.Dropped, w.A.Passed)
			}
		})
	}
}

// stopped waits until every thread of a process is stopped.
func stopped(t testing.TB, pid int) {
	t.Helper()
	eventually(t, "the process is stopped", func() bool {
		for _, status := range threads(t, pid) {
			if status["State"][0] != 'T' {
				return false
			}
		}
		return true
	})
}

// awaitJudging waits until the worker judges frames: then an allowed one passes,
// and a denied one is counted as such.
func (g *gate) awaitJudging() {
	g.t.Helper()
	from, to := g.end("a"), g.end("b")
	before := g.dropped()["a default_deny"]
	eventually(g.t, "the worker judges", func() bool {
		must(g.t, from.Send(probe(1, portNever)))
		must(g.t, from.Send(probe(1, portAlways)))
		err := to.RecvFrame(probe(1, portAlways), time.Second)
		return err == nil && g.dropped()["a default_deny"] > before
	})
}

// TestGatewayThatLivesStaysInCharge: idle or not, no wire is in its fail mode
// while the workers beat.
func TestGatewayThatLivesStaysInCharge(t *testing.T) {
	g := quiet(t, setup{policy: policyA(), fail: "open", beat: time.Second, bpffs: testenv.BPFFSForTest(t)})
	ab, _ := g.paths("a", "b")
	time.Sleep(1500 * time.Millisecond) // longer than a beat may be old
	ab.drops(probe(1, portNever))
	ab.passes(probe(1, portAlways))
	if k := g.kernel("w0"); k.failOpen != 0 {
		t.Errorf("%d frames went by unjudged", k.failOpen)
	}
}
