// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

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
