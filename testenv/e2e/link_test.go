// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/testenv"
)

// TestWireComesBackAfterItsLinks takes each interface of the cables down and up:
// the ports themselves, and the far ends, of which the ports only lose the
// carrier. What was sent meanwhile is lost, and does not come later.
func TestWireComesBackAfterItsLinks(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	ends := map[string]struct {
		ns  *testenv.NS
		dev string
	}{
		"port a": {g.lab.Gateway, "w0"}, "port b": {g.lab.Gateway, "w1"},
		"carrier of a": {g.lab.Host("a").NS, "eth0"}, "carrier of b": {g.lab.Host("b").NS, "eth0"},
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			for range quickOr(2, 25) {
				must(t, end.ns.SetUp(end.dev, false))
				g.awaitState("DOWN")
				if why := g.wire().Why; !strings.Contains(why, "no carrier") && !strings.Contains(why, "down") {
					t.Errorf("DOWN because: %s", why)
				}
				must(t, end.ns.SetUp(end.dev, true))
				g.awaitState("UP")
				ab, ba := g.paths("a", "b")
				ab.passes(probe(1, 53))
				ba.passes(fromB(toA4, testenv.UDP{Src: 53, Dst: 1}))
			}
		})
	}
}

// TestFramesForADeadPortAreDroppedNotKept: they are counted as dropped, and
// nothing old comes out when the port is back.
func TestFramesForADeadPortAreDroppedNotKept(t *testing.T) {
	for name, dead := range map[string]func(g *gate, up bool) error{
		"it is down":        func(g *gate, up bool) error { return g.lab.Gateway.SetUp("w1", up) },
		"it has no carrier": func(g *gate, up bool) error { return g.lab.Host("b").SetUp("eth0", up) },
	} {
		t.Run(name, func(t *testing.T) {
			g := quiet(t, setup{policy: allowAll})
			ab, _ := g.paths("a", "b")
			ab.passes(probe(1, 53))
			must(t, dead(g, false))
			g.awaitState("DOWN")
			before := g.wire().A
			const sent = 200
			for i := range uint16(sent) {
				must(t, ab.from.Send(probe(2, i)))
			}
			eventually(t, "all are counted as dropped", func() bool {
				return g.wire().A.Dropped["tx_down"] == before.Dropped["tx_down"]+sent
			}, func() any { return g.wire().A })
			must(t, dead(g, true))
			g.awaitState("UP")
			ab, _ = g.paths("a", "b")
			ab.passes(probe(3, 53)) // and nothing before it
		})
	}
}

// TestDeletedPortIsReportedAndTheGatewayLives with its other wire.
func TestDeletedPortIsReportedAndTheGatewayLives(t *testing.T) {
	lab := twoHosts()
	lab.Ports = append(lab.Ports,
		testenv.PortConfig{Hosts: []testenv.HostConfig{{Name: "c"}}},
		testenv.PortConfig{Hosts: []testenv.HostConfig{{Name: "d"}}})
	g := start(t, setup{lab: lab, wires: []string{"w0:w1", "w2:w3"}, policy: allowAll})
	must(t, g.lab.Gateway.DeleteLink("w0"))
	g.awaitState("DOWN")
	s := g.status()
	if !strings.Contains(s.Wires[0].Why, "w0") {
		t.Errorf("DOWN because: %s", s.Wires[0].Why)
	}
	if s.Wires[1].State != "UP" {
		t.Errorf("the other wire is %s: %s", s.Wires[1].State, s.Wires[1].Why)
	}
	_, err := g.lab.Host("c").Ping(soon(t), g.lab.Host("d").IPv4, testenv.PingConfig{Count: 3})
	must(t, err)
	g.stop()
}

// TestDetachedProgramIsReported: root can take it off through its pin, and then
// the wire says so.
func TestDetachedProgramIsReported(t *testing.T) {
	g := start(t, setup{policy: allowAll, bpffs: testenv.BPFFSForTest(t)})
	pins := get(filepath.Glob(g.bpffs + "/bulkhead/*/link:w1"))(t)
	if len(pins) != 1 {
		t.Fatalf("pinned are %v, want the link of w1", pins)
	}
	l := get(link.LoadPinnedLink(pins[0], nil))(t)
	defer l.Close()
	must(t, l.Detach())
	g.awaitState("DOWN")
	if why := g.wire().Why; !strings.Contains(why, "w1") || !strings.Contains(why, "program") {
		t.Errorf("DOWN because: %s", why)
	}
	g.stop()
}

// TestProgramStaysWhenAnotherToolWantsItGone, as in "ip link set dev w0 xdp off".
func TestProgramStaysWhenAnotherToolWantsItGone(t *testing.T) {
	g := start(t, setup{policy: allowAll})
	err := g.lab.Gateway.Do(func() error {
		l, err := netlink.LinkByName("w0")
		must(t, err)
		return netlink.LinkSetXdpFd(l, -1)
	})
	if err == nil {
		t.Error("the program could be taken off by netlink")
	}
	ordinaryPing(t, g)
}

// TestLargerMTUThanAtTheStartIsReported: longer frames than a frame of packet
// memory would be dropped.
func TestLargerMTUThanAtTheStartIsReported(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	must(t, g.lab.Gateway.SetMTU("w1", 2500))
	g.awaitState("DEGRADED")
	if why := g.wire().Why; !strings.Contains(why, "MTU of w1") || !strings.Contains(why, "2500") {
		t.Errorf("DEGRADED because: %s", why)
	}
	must(t, g.lab.Gateway.SetMTU("w1", 1500))
	g.awaitState("UP")
}

// TestFramesLongerThanPacketMemoryAreCounted when the MTU has grown meanwhile.
func TestFramesLongerThanPacketMemoryAreCounted(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	for _, end := range g.cableEnds() {
		must(t, end.ns.SetMTU(end.dev, 3000))
	}
	const longest = 2048 - 256 // less the headroom
	ab, _ := g.paths("a", "b")
	frame := func(size int) []byte {
		return fromA(toB4, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes(random(t, size-14-20-8)))
	}
	before := g.dropped()
	ab.passes(frame(longest))
	ab.drops(frame(longest+1), frame(3000))
	g.counts(before, map[string]uint64{"a oversize": 2})
}

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
		for cpu := range queues {
			frame := fromA(toB4, testenv.UDP{Src: uint16(cpu), Dst: 53}, testenv.Bytes(random(g.t, 20)))
			eventually(g.t, fmt.Sprintf("queue %d carries frames from %s", cpu, ends[0]), func() bool {
				onCPU(g.t, cpu, func() { must(g.t, from.Send(frame)) })
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
		onCPU(t, 1, func() { must(t, ab.from.Send(probe(1, 53))) })
		lost++
		return g.wire().State == "DEGRADED"
	}, func() any { return g.wire() })
	eventually(t, "all are counted", func() bool { return g.wire().A.Dropped["queue_unbound"] >= lost }, func() any { return []any{lost, g.wire()} })
	onCPU(t, 0, func() { ab.passes(probe(2, 53)) }) // the other queue works, and nothing else has passed
	g.awaitState("UP")                              // no more of them
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

// onCPU runs fn on a processor: a raw socket sends by the queue with its number,
// and a veth receives by the queue that was sent by.
func onCPU(t testing.TB, cpu int, fn func()) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, only unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &before))
	only.Set(cpu % runtime.NumCPU())
	must(t, unix.SchedSetaffinity(0, &only))
	defer func() { must(t, unix.SchedSetaffinity(0, &before)) }()
	fn()
}
