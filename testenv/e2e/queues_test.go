// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"bulkhead/testenv"
)

// TestQueuesAddedWhileItRunsAreServed gives veths a second queue. (The kernel lets
// nobody take away one that has a socket.)
func TestQueuesAddedWhileItRunsAreServed(t *testing.T) {
	g := prepare(t, setup{lab: withQueues(2), policy: allowAll})
	g.silence()
	g.setAllChannels(1)
	g.run()
	ab, _ := g.paths("a", "b")
	ab.passes(probe(1, 53))
	g.setAllChannels(2)
	g.awaitQueues(2)
	if w := g.wire(); w.A.Queues != 2 || w.B.Queues != 2 || w.State != "UP" {
		t.Errorf("the wire is %s with %d and %d queues: %s", w.State, w.A.Queues, w.B.Queues, w.Why)
	}
}

// awaitQueues waits until each of so many queues carries frames both ways.
func (g *gate) awaitQueues(queues int) {
	g.t.Helper()
	for _, ends := range [][2]string{{"a", "b"}, {"b", "a"}} {
		from, to := g.end(ends[0]), g.end(ends[1])
		for queue := range queues {
			frame := fromA(toB4, testenv.UDP{Src: uint16(queue), Dst: 53}, testenv.Bytes(random(g.t, 20)))
			eventually(g.t, fmt.Sprintf("queue %d carries frames from %s", queue, ends[0]), func() bool {
				onQueue(g.t, queue, func() { must(g.t, from.Send(frame)) })
				return to.RecvFrame(frame, 50*time.Millisecond) == nil
			}, func() any { return g.wire() }, func() any { return g.proc.Log() })
		}
	}
}

// TestUnequalQueuesAreReported: what cannot be served is said, until it is
// mended.
func TestUnequalQueuesAreReported(t *testing.T) {
	g := prepare(t, setup{lab: withQueues(2), policy: allowAll})
	g.setAllChannels(1)
	g.run()
	setChannels(t, g.lab.Gateway, "w0", 2)
	g.awaitState("DEGRADED")
	if why := g.wire().Why; !strings.Contains(why, "w0 has 2") || !strings.Contains(why, "ethtool -L") {
		t.Errorf("DEGRADED because: %s", why)
	}
	setChannels(t, g.lab.Gateway, "w0", 1)
	g.awaitState("UP")
	ordinaryPing(t, g)
}

// TestFramesOfAQueueWithoutASocketAreDroppedAndReported: a socket is taken out of
// the program's map, as by a fault. The wire fails open, but this is no failure
// of the gateway: nothing passes.
func TestFramesOfAQueueWithoutASocketAreDroppedAndReported(t *testing.T) {
	g := quiet(t, setup{lab: withQueues(2), policy: allowAll, fail: "open", bpffs: testenv.BPFFSForTest(t)})
	sockets := mapOf(t, ebpf.ProgramID(attributes(t, g.lab.Gateway, "w0").Xdp.ProgId), "sockets")
	defer sockets.Close()
	must(t, sockets.Delete(uint32(1)))
	ab, _ := g.paths("a", "b")
	lost := uint64(0)
	eventually(t, "the wire is DEGRADED", func() bool {
		onQueue(t, 1, func() { must(t, ab.from.Send(probe(1, 53))) })
		lost++
		return g.wire().State == "DEGRADED"
	}, func() any { return g.wire() })
	eventually(t, "all are counted", func() bool { return g.wire().A.Dropped["queue_unbound"] >= lost }, func() any { return []any{lost, g.wire()} })
	onQueue(t, 0, func() { ab.passes(probe(2, 53)) }) // the other queue works, and nothing else has passed
	g.awaitState("UP")                                // no more of them
}

type cableEnd struct {
	ns  *testenv.NS
	dev string
}

// cableEnds are the four interfaces of the first wire's cables.
func (g *gate) cableEnds() []cableEnd {
	return []cableEnd{{g.lab.Gateway, "w0"}, {g.lab.Gateway, "w1"}, {g.lab.Host("a").NS, "eth0"}, {g.lab.Host("b").NS, "eth0"}}
}

// setAllChannels gives all of them so many queues; with XDP on it, a veth must
// have no fewer than its far end.
func (g *gate) setAllChannels(queues uint32) {
	g.t.Helper()
	for _, end := range g.cableEnds() {
		setChannels(g.t, end.ns, end.dev, queues)
	}
}

// onQueue runs fn on a processor with an even number, for queue 0, or an odd one:
// a raw socket sends by the queue that its processor has, modulo two, and a veth
// receives by the queue that was sent by.
func onQueue(t testing.TB, queue int, fn func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var mine, only unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &mine))
	cpu := queue
	for ; !mine.IsSet(cpu); cpu += 2 {
		if cpu > 1024 {
			t.Skipf("this process may use no processor with a number that is %d modulo 2: a raw socket cannot choose that queue", queue)
		}
	}
	only.Set(cpu)
	must(t, unix.SchedSetaffinity(0, &only))
	defer func() { must(t, unix.SchedSetaffinity(0, &mine)) }()
	fn()
}
