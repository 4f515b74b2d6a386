// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xsk"
)

// endlessEdge brings the same frames for ever and records how many passed.
type endlessEdge struct {
	fakeEdge
	frames [][]byte
	passed atomic.Uint64
	stop   atomic.Bool
}

func (e *endlessEdge) Receive(out []xsk.Desc) int {
	if e.stop.Load() {
		return 0
	}
	e.in = append(e.in[:0], e.frames...)
	return e.fakeEdge.Receive(out)
}

func (e *endlessEdge) Send(descs []xsk.Desc) int {
	e.passed.Add(uint64(len(descs)))
	return e.fakeEdge.Send(descs)
}

// TestAfterPublishNoPacketIsJudgedByTheOldPolicy lets two workers judge an
// endless stream while the policy goes back and forth between one that allows
// it and one that does not.
func TestAfterPublishNoPacketIsJudgedByTheOldPolicy(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4)) // the workers never rest
	r := newRig(t, 2, defaults(), plainWire)
	var outs []*endlessEdge
	for q, w := range r.cell.workers {
		in := &endlessEdge{frames: [][]byte{udp(web4, db4, uint16(q), 53), udp(web4, db4, uint16(q)+8, 53)}}
		in.fakeEdge = fakeEdge{umem: w.umem, room: -1, blob: true}
		out := &endlessEdge{fakeEdge: in.fakeEdge}
		out.stop.Store(true) // nothing comes from there
		w.edges = []edge{in, out}
		outs = append(outs, out)
	}
	passed := func() (n uint64) {
		for _, o := range outs {
			n += o.passed.Load()
		}
		return n
	}
	var running sync.WaitGroup
	for _, w := range r.cell.workers {
		running.Go(w.run)
	}
	open := &classifier.Program{Sets: tierSets, Rules: []classifier.Rule{webToDB}}
	for range 100 {
		if _, err := r.Publish(Policy{Program: &classifier.Program{Sets: tierSets}}); err != nil {
			t.Fatal(err)
		}
		before := passed()
		for range 10 { // some turns
			r.settle()
		}
		if after := passed(); after != before {
			t.Fatalf("%d packets passed after Publish of a policy that denies them had returned", after-before)
		}
		if _, err := r.Publish(Policy{Program: open}); err != nil {
			t.Fatal(err)
		}
		for before := passed(); passed() == before; {
			r.settle()
		}
	}
	for _, w := range r.cell.workers {
		w.stop.Store(true)
	}
	running.Wait()
}

func TestPolicyThatDoesNotCompileChangesNothing(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	bad := webToDB
	bad.Src = 99
	if _, err := r.Publish(Policy{Program: &classifier.Program{Sets: tierSets, Rules: []classifier.Rule{bad}}}); err == nil {
		t.Fatal("a rule with a set that does not exist was published")
	}
	if g := r.policy.Load().generation; g != 1 {
		t.Errorf("generation %d, want 1", g)
	}
	if len(r.send(a, udp(web4, db4, 1, 53))) != 1 {
		t.Error("the running policy no longer lets pass what it allows")
	}
}

func TestWorkersTellOfFlowsAndWhatTheyDropped(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	r.send(a, udp(web4, db4, 7, 53), udp(web4, db4, 7, 54), tcp(web4, db4, 1, 5432, ack))
	got := r.cell.workers[0].events.Drain(make([]event.Record, 0, 16))
	if len(got) != 3 {
		t.Fatalf("%d records, want 3", len(got))
	}
	for i, want := range []event.Record{
		{Kind: event.FlowNew, Rule: 0, Verdict: uint8(Forward)},
		{Kind: event.FlowNew, Rule: -1, Reason: event.DefaultDeny},
		{Kind: event.Violation, Rule: -1, Reason: event.Midstream},
	} {
		g := got[i]
		if g.Kind != want.Kind || g.Rule != want.Rule || g.Verdict != want.Verdict || g.Reason != want.Reason {
			t.Errorf("record %d: %+v", i, g)
		}
		if g.Source() != web4 || g.Destination() != db4 || g.Generation != 1 {
			t.Errorf("record %d is about %v -> %v of generation %d", i, g.Source(), g.Destination(), g.Generation)
		}
	}
}

func TestPublishJudgesLiveFlowsAndCountsThem(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	r.send(a, udp(web4, db4, 1, 53), udp(web4, db4, 2, 53), tcp(web4, db4, 3, 5432, syn), udp(web4, db4, 4, 99))
	onlyTCP := webToDB
	onlyTCP.Services = onlyTCP.Services[:1]
	for _, w := range r.cell.workers {
		w.seen.Store(seenIdle)
	}
	done, err := r.Publish(Policy{Program: &classifier.Program{Sets: tierSets, Rules: []classifier.Rule{onlyTCP}}})
	if err != nil || done.Kept != 1 || done.Cut != 2 {
		t.Errorf("kept %d, cut %d, %v: want the TCP flow kept and the two UDP flows cut", done.Kept, done.Cut, err)
	}
}

func TestRuleForPartOfAGroupOfWiresIsRefused(t *testing.T) {
	r := newRig(t, 1, defaults(),
		Wire{Name: "one", Group: "pair", A: Port{"a0", 1}, B: Port{"b0", 1}},
		Wire{Name: "two", Group: "pair", A: Port{"a0", 2}, B: Port{"b0", 2}},
		Wire{Name: "alone", A: Port{"a0", 3}, B: Port{"b0", 3}})
	for _, w := range r.cell.workers {
		w.seen.Store(seenIdle)
	}
	for want, wires := range map[string][]uint16{"": {0, 1}, "two": {0}, "one": {1, 2}} {
		rule := anything
		rule.Wires = wires
		_, err := r.Publish(Policy{Program: &classifier.Program{Rules: []classifier.Rule{rule}}})
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), "not "+want) {
			t.Errorf("a rule for wires %v: %v", wires, err)
		}
	}
}

func TestClosedGatewayCanStillBeAsked(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, nil)
	r.quit = make(chan struct{})
	workers := r.cell.workers
	r.cell.workers, r.cell.beats, r.cell.ifaces = nil, nil, nil // what a test has made itself, it closes itself
	defer func() { r.cell.workers = workers }()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("a second Close: %v", err)
	}
	if s := r.Status(); len(s.Wires) != 0 {
		t.Errorf("a closed gateway has %d wires", len(s.Wires))
	}
	if _, err := r.Publish(Policy{Program: &classifier.Program{}}); !errors.Is(err, ErrClosed) {
		t.Errorf("Publish on a closed gateway: %v", err)
	}
}
