// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// TestCountersAgreeWithWhatTheHostsSaw sends a mix of allowed, denied, rejected,
// broken and link control frames both ways, and compares the gateway's counters
// with what an oracle saw, and with each other.
func TestCountersAgreeWithWhatTheHostsSaw(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, ba := g.paths("a", "b")
	ab.cross()
	ba.cross()
	before := g.wire()

	o := testenv.NewOracle(2 * time.Second)
	stop := o.Receive(g.end("b"))
	const each = 400
	made := func(name string, want testenv.Expectation, layers ...testenv.Layer) testenv.Stream {
		return testenv.Stream{Class: o.Class(name, want), Size: 100, Frame: func(payload []byte) []byte {
			return fromA(append(layers[:len(layers):len(layers)], testenv.Bytes(payload))...)
		}}
	}
	streams := []testenv.Stream{
		made("allowed", testenv.MustPass, toB4, testenv.UDP{Src: 9, Dst: 53}),
		made("denied by default", testenv.MustDrop, toB4, testenv.UDP{Src: 9, Dst: 54}),
		made("denied by a rule", testenv.MustDrop, toB4, testenv.TCP{Src: 9, Dst: 22, Flags: testenv.SYN}),
		made("rejected", testenv.MustDrop, toB4, testenv.UDP{Src: 9, Dst: 514}),
		made("broken", testenv.MustDrop, testenv.IPv4{BadChecksum: true}, testenv.UDP{Src: 9, Dst: 53}),
		made("of no flow", testenv.MustDrop, toB4, testenv.TCP{Src: 9, Dst: 80, Flags: testenv.ACK}),
		made("too deep", testenv.MustDrop, testenv.Tag(1), testenv.Tag(2), testenv.Tag(3)),
	}
	must(t, o.Send(soon(t), g.end("a"), 5000, each*len(streams), streams...))
	o.Settle(soon(t))
	must(t, stop())
	must(t, o.Verdict())
	_, ba = g.paths("a", "b") // without the rejections
	for range 10 {
		ba.passes(fromB(toA4, testenv.UDP{Src: 53, Dst: 9}))
	}

	want := map[string]uint64{
		"a default_deny": each, "a denied": each, "a rejected": each, "a ipv4_checksum": each, "a midstream": each, "a vlan_depth": each,
	}
	g.counts(map[string]uint64{}, want)
	after := g.wire()
	if got := after.A.Received.Frames - before.A.Received.Frames; got != each*uint64(len(streams)) {
		t.Errorf("%d frames received by port a, %d were sent", got, each*len(streams))
	}
	if got := after.A.Forwarded.Frames - before.A.Forwarded.Frames; got != each {
		t.Errorf("%d frames forwarded, %d arrived", got, each)
	}
	if got := after.B.Forwarded.Frames - before.B.Forwarded.Frames; got != 20 { // and a marker for each
		t.Errorf("%d frames forwarded by port b, 20 were sent", got)
	}
	addsUp(t, after.A)
	addsUp(t, after.B)
}

// addsUp holds what every port promises: each frame is either forwarded or
// dropped.
func addsUp(t testing.TB, p api.Port) {
	t.Helper()
	sum := p.Forwarded.Frames
	for _, n := range p.Dropped {
		sum += n
	}
	if sum != p.Received.Frames {
		t.Errorf("port %s received %d frames; forwarded and dropped are %d: %+v", p.Interface, p.Received.Frames, sum, p)
	}
}

// TestRulesCountTheFlowsThatTheyJudged: by name, and since their policy came into
// force.
func TestRulesCountTheFlowsThatTheyJudged(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, ba := g.paths("a", "b")
	for port := range uint16(5) {
		ab.passes(probe(port, 53), probe(port, 53), probe(port, 53)) // one flow
		ba.passes(fromB(toA4, testenv.UDP{Src: 53, Dst: port}))
	}
	ba.passes(fromB(toA4, testenv.UDP{Src: 9, Dst: 123}))
	ab.drops(probe(1, 514), probe(2, 514), probe(3, 99))
	hits := func() map[string]uint64 {
		l := get(g.client.Rules(soon(t)))(t)
		all := map[string]uint64{"default " + l.Default.Action: l.Default.Hits}
		for _, r := range l.Rules {
			all[r.Name+" "+r.Action] = r.Hits
		}
		return all
	}
	want := map[string]uint64{"a-to-b allow": 5, "time allow": 1, "no-ssh deny": 0, "no-more reject": 2, "default deny": 1}
	if diff := cmp.Diff(want, hits()); diff != "" {
		t.Errorf("flows by rule (-want +got):\n%s", diff)
	}
	if s := g.status(); s.Flows.Used != 9 {
		t.Errorf("%d flows in the table, want 9", s.Flows.Used)
	}
	// A new policy judges all of them at once, and says what became of them.
	if done := g.apply(threeWays); done.Kept != 6 || done.Cut != 0 {
		t.Errorf("the same policy kept %d flows and cut %d, want 6 and 0", done.Kept, done.Cut)
	}
	if diff := cmp.Diff(want, hits()); diff != "" {
		t.Errorf("flows by rule of the same policy again (-want +got):\n%s", diff)
	}
	if done := g.apply(denyAll); done.Kept != 0 || done.Cut != 6 {
		t.Errorf("a policy without rules kept %d flows and cut %d, want 0 and 6", done.Kept, done.Cut)
	}
	if diff := cmp.Diff(map[string]uint64{"default deny": 9}, hits()); diff != "" {
		t.Errorf("flows by rule of the last policy (-want +got):\n%s", diff)
	}
}

// TestOverloadIsCountedAndLosesNoFrameOfMemory floods a wire with more than it
// can carry: what did not pass is counted, and at the end (Close audits it) every
// frame of packet memory is accounted for.
func TestOverloadIsCountedAndLosesNoFrameOfMemory(t *testing.T) {
	lab := testenv.TwoHosts()
	lab.StaticNeighbours = true
	g := quiet(t, setup{lab: lab, policy: allowAll})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	sink := get(b.NewSink(b.Dev, 53, 0))(t)
	flood := get(a.NewFlood(a.Dev, testenv.FloodConfig{Src: macA, Dst: macB, DstPort: 53, Flows: 1000}))(t)
	sent := get(flood.Run(soon(t), 200_000))(t)
	last := uint64(0)
	eventually(t, "the rings are empty", func() bool {
		before := last
		time.Sleep(50 * time.Millisecond)
		last = g.wire().A.Received.Frames
		return last > 0 && last == before
	})
	ab, _ := g.paths("a", "b")
	ab.cross() // all before it is through
	seen := get(sink.Count())(t)
	eventually(t, "what was forwarded is counted", func() bool { return g.wire().A.Forwarded.Frames >= seen.Packets+1 },
		func() any { return g.wire() }, func() any { return seen })
	w := g.wire()
	addsUp(t, w.A)
	t.Logf("sent %d, %d arrived, dropped %v", sent, seen.Packets, w.A.Dropped)
	if seen.Packets == 0 || w.A.Forwarded.Frames != seen.Packets+1 {
		t.Errorf("%d frames and a marker arrived, the gateway forwarded %d", seen.Packets, w.A.Forwarded.Frames)
	}
	for reason := range w.A.Dropped {
		switch reason {
		case "rx_ring_full", "rx_no_frame", "tx_full":
		default:
			t.Errorf("of an allowed flood, %v were dropped", w.A.Dropped)
		}
	}
	g.stop()
}

// TestFullFlowTableKeepsTheFlowsThatItHas: of new ones, those without room are
// dropped and counted.
func TestFullFlowTableKeepsTheFlowsThatItHas(t *testing.T) {
	g := quiet(t, setup{policy: threeWays, extra: "[flows]\ncapacity = 1024\n"})
	client, server := connection(t, g.lab.Host("a"), g.lab.Host("b"), 80)
	must(t, errors.Join(hello(client, server), hello(server, client)))
	ab, _ := g.paths("a", "b")
	const flows = 3000
	passed := 0
	for port := 0; port < flows; port += 100 {
		var frames [][]byte
		for i := range 100 {
			frames = append(frames, probe(uint16(port+i), 53))
		}
		passed += len(ab.cross(frames...))
	}
	if passed < 1024-1 || passed == flows { // old ones that nobody answers make room before their time
		t.Errorf("%d of %d flows were let through by a table for 1024", passed, flows)
	}
	g.counts(map[string]uint64{}, map[string]uint64{"a table_full": uint64(flows - passed)})
	if f := g.status().Flows; f.Capacity != 1024 || f.Used > 2*1024 { // workers keep some beyond the capacity
		t.Errorf("%+v", f)
	}
	must(t, errors.Join(hello(client, server), hello(server, client)))
}
