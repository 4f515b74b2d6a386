// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bytes"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xdp"
	"bulkhead/dataplane/xsk"
)

// rig is a gateway without a kernel: its workers meet fakes where the sockets
// would be. The interfaces of wire i are named aI and bI.
type rig struct {
	t testing.TB
	*Gateway
	cell  *cell
	edges [][]*fakeEdge // by worker and interface
	start int64         // of the clock that turns are given
}

// fakeEdge is an interface whose cable is two slices.
type fakeEdge struct {
	umem *xsk.Umem
	in   [][]byte // to be received
	out  [][]byte // that were sent
	room int      // how many more Send takes; below 0: any number
	blob bool     // out counts but does not copy
	sent int
}

func (e *fakeEdge) Refill()   {}
func (e *fakeEdge) Wake()     {}
func (e *fakeEdge) Kick()     {}
func (e *fakeEdge) Complete() {}

func (e *fakeEdge) Receive(out []xsk.Desc) int {
	n := 0
	for n < len(out) && len(e.in) > 0 {
		addr, ok := e.umem.Take()
		if !ok {
			break
		}
		b := e.in[0]
		e.in = e.in[1:]
		copy(e.umem.Frame(addr, uint32(len(b))), b)
		out[n] = xsk.Desc{Addr: addr, Len: uint32(len(b))}
		n++
	}
	return n
}

func (e *fakeEdge) Send(descs []xsk.Desc) int {
	n := len(descs)
	if e.room >= 0 {
		n = min(n, e.room)
		e.room -= n
	}
	for _, d := range descs[:n] {
		if !e.blob {
			e.out = append(e.out, bytes.Clone(e.umem.Frame(d.Addr, d.Len)))
		}
		e.umem.Give(d.Addr)
	}
	e.sent += n
	return n
}

// noWait is a waiter for workers whose turns a test takes.
type noWait struct{}

func (noWait) Wait(time.Duration) (int, error) { time.Sleep(50 * time.Microsecond); return 0, nil }
func (noWait) Idle(time.Duration) (int, error) { return noWait{}.Wait(0) }
func (noWait) Interrupt()                      {}

// newRig makes a gateway of wires, all in one cell for simplicity, and so many
// workers.
func newRig(t testing.TB, workers int, conf Config, wires ...Wire) *rig {
	t.Helper()
	g := &Gateway{conf: conf, log: slog.New(slog.DiscardHandler), groups: map[string]uint16{}, failed: make(chan error, 1)}
	g.conf.Wires = wires
	g.conf.BeatLimit = time.Hour // a test may take its time between two turns
	g.conf.BeatLimit = time.Hour // the rig takes its turns when it likes
	g.policy.Store(noPolicy)
	if g.conf.Flows.Capacity == 0 {
		g.conf.Flows.Capacity = 1 << 16
	}
	ifaces := map[string]*iface{}
	for i, conf := range wires {
		w := &wire{conf: conf, number: uint16(i), group: g.groupOf(conf)}
		for side, p := range []Port{conf.A, conf.B} {
			f := ifaces[p.Interface]
			if f == nil {
				f = &iface{name: p.Interface, queues: workers, mtu: 1500}
				ifaces[p.Interface] = f
			}
			w.ports[side] = &port{conf: p, wire: w, side: uint8(side), iface: f, slot: len(f.ports)}
			if err := f.claim(w.ports[side]); err != nil {
				t.Fatal(err)
			}
		}
		w.ports[0].peer, w.ports[1].peer = w.ports[1], w.ports[0]
		g.wires = append(g.wires, w)
	}
	g.partition()
	if len(g.cells) != 1 {
		t.Fatalf("the rig's wires make %d cells, want 1: let them share an interface", len(g.cells))
	}
	r := &rig{t: t, Gateway: g, cell: g.cells[0], start: xdp.Now()}
	r.cell.queues, r.cell.frameSize, r.cell.maxFrame = workers, 2048, xdp.SmallFrame
	r.cell.beats = xdp.DetachedBeats()
	if err := g.makeTable(); err != nil {
		t.Fatal(err)
	}
	for q := range workers {
		r.addWorker(q)
	}
	t.Cleanup(r.close)
	return r
}

// close gives the rig's memory back; twice does no harm.
func (r *rig) close() {
	for _, w := range r.cell.workers {
		w.umem.Close()
	}
	r.cell.workers = nil
	if r.flows != nil {
		r.flows.Unmap()
		r.flows = nil
	}
}

func (r *rig) addWorker(queue int) {
	r.t.Helper()
	umem, err := xsk.Detached(xsk.Config{Frames: 256})
	if err != nil {
		r.t.Fatal(err)
	}
	w, err := assemble(r.cell, queue, umem, noWait{})
	if err != nil {
		r.t.Fatal(err)
	}
	var edges []*fakeEdge
	for range r.cell.ifaces {
		e := &fakeEdge{umem: umem, room: -1}
		edges = append(edges, e)
		w.edges = append(w.edges, e)
	}
	r.cell.workers = append(r.cell.workers, w)
	r.edges = append(r.edges, edges)
}

// edge is where a worker meets the interface of a wire's port.
func (r *rig) edge(worker, wire, side int) *fakeEdge {
	return r.edges[worker][r.wires[wire].ports[side].iface.number]
}

// send gives frames to a port, lets worker 0 take turns until all are judged,
// and gives what came out of the peer port.
func (r *rig) send(side int, frames ...[]byte) [][]byte {
	r.t.Helper()
	return r.sendBy(0, 0, side, frames...)
}

// sendBy is send for any worker and wire.
func (r *rig) sendBy(worker, wire, side int, frames ...[]byte) [][]byte {
	r.t.Helper()
	in, out := r.edge(worker, wire, side), r.edge(worker, wire, 1-side)
	in.in = append(in.in, frames...)
	out.out = nil
	w := r.cell.workers[worker]
	for w.turn() > 0 {
	}
	w.tally.publish()
	if f := w.umem.Frames(); f.Free != f.Total {
		r.t.Fatalf("frames leaked: %+v", f)
	}
	return out.out
}

// publish brings a policy into force while nobody else takes turns.
func (r *rig) publish(def Verdict, sets []classifier.Set, rules ...classifier.Rule) {
	r.t.Helper()
	for _, w := range r.cell.workers {
		w.seen.Store(seenIdle)
	}
	_, err := r.Publish(Policy{Program: &classifier.Program{Sets: sets, Rules: rules}, Default: def})
	if err != nil {
		r.t.Fatal(err)
	}
}

// tallyOf is what a port's workers counted.
func (r *rig) tallyOf(wire, side int) (sum portTally) {
	for _, w := range r.cell.workers {
		sum.add(w.tally.read(r.wires[wire].ports[side].number))
	}
	return sum
}

// dropped is how often a reason was counted at port a of wire 0.
func (r *rig) dropped(why event.Reason) uint64 { return r.tallyOf(0, 0).dropped[why] }

// plainWire is a wire between two whole interfaces.
var plainWire = Wire{Name: "w", A: Port{Interface: "a0"}, B: Port{Interface: "b0"}}

// The addresses and rules that most tests use: web may ask db by TCP 5432 and
// UDP 53, and ping it.
var (
	web4, db4 = netip.MustParseAddr("10.0.1.1"), netip.MustParseAddr("10.0.2.1")
	web6, db6 = netip.MustParseAddr("2001:db8:1::1"), netip.MustParseAddr("2001:db8:2::1")

	tierSets = []classifier.Set{
		{Name: "web", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("2001:db8:1::/64")}},
		{Name: "db", Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24"), netip.MustParsePrefix("2001:db8:2::/64")}},
	}
	webToDB = classifier.Rule{Src: 0, Dst: 1, Verdict: classifier.Verdict(Forward), Services: []classifier.Service{
		{Proto: 6, DstPorts: []classifier.PortRange{{Lo: 5432, Hi: 5432}}},
		{Proto: 17, DstPorts: []classifier.PortRange{{Lo: 53, Hi: 53}}},
		{Proto: 1, Type: 8, AnyCode: true}, {Proto: 58, Type: 128, AnyCode: true},
	}}
	anything = classifier.Rule{Src: classifier.AnySet, Dst: classifier.AnySet, Verdict: classifier.Verdict(Forward)}
)

// defaults is a Config with the default exceptions.
func defaults() Config { return Config{Exceptions: DefaultExceptions()} }
