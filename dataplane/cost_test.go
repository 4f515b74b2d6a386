// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"net/netip"
	"testing"

	"bulkhead/dataplane/xsk"
)

// memoryEdge brings the frames that a UMEM holds already, batch after batch,
// and takes what is sent: the cost of a turn is then the worker's own.
type memoryEdge struct {
	fakeEdge
	descs []xsk.Desc
	next  int
}

func (e *memoryEdge) Receive(out []xsk.Desc) int {
	n := copy(out, e.descs[e.next:min(e.next+len(out), len(e.descs))])
	e.next = (e.next + n) % len(e.descs)
	return n
}

func (e *memoryEdge) Send(descs []xsk.Desc) int { e.sent += len(descs); return len(descs) }

// newCostRig makes a worker that meets frames of so many flows again and again.
func newCostRig(t testing.TB, flows int) *worker {
	conf := defaults()
	conf.Flows.Capacity = 2 * flows
	r := newRig(t, 1, conf, plainWire)
	r.publish(Drop, tierSets, webToDB)
	w := r.cell.workers[0]
	const slots = 2048 / 64 // frames of a UMEM that lie together as on a busy wire, not 2 KiB apart
	umem, err := xsk.Detached(xsk.Config{Frames: uint32(max(flows/slots, 64))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { umem.Close() })
	w.umem = umem
	in := &memoryEdge{}
	for i := range flows {
		src := netip.AddrFrom4([4]byte{10, 0, 1, byte(i >> 16)})
		frame := udp(src, db4, uint16(i), 53)
		addr := uint64(64 * i)
		copy(umem.Frame(addr, uint32(len(frame))), frame)
		in.descs = append(in.descs, xsk.Desc{Addr: addr, Len: uint32(len(frame))})
	}
	idle := &memoryEdge{descs: []xsk.Desc{}}
	w.edges = []edge{in, &emptyEdge{idle}}
	for range flows/batchSize + 1 { // all flows are known afterwards
		w.turn()
	}
	return w
}

// emptyEdge sends and receives nothing.
type emptyEdge struct{ *memoryEdge }

func (e *emptyEdge) Receive([]xsk.Desc) int { return 0 }

func TestTurnAllocatesNothing(t *testing.T) {
	w := newCostRig(t, 4096)
	if n := testing.AllocsPerRun(200, func() { w.turn() }); n != 0 {
		t.Errorf("a turn over known flows allocates %v times", n)
	}
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	in := r.edge(0, 0, a)
	r.edge(0, 0, b).blob = true
	port := uint16(0)
	frames := [][]byte{nil, tcp(web4, db4, 9, 5432, ack), {1, 2, 3}, unreachable(db4, web4, udp(web4, db4, 1, 1))}
	n := testing.AllocsPerRun(200, func() {
		port++
		frames[0] = frames[0][:0]
		in.in = frames[1:]
		r.cell.workers[0].turn()
	})
	if n != 0 {
		t.Errorf("a turn over packets that drop allocates %v times", n)
	}
}

// BenchmarkTurn is parse, flow hit and verdict, a batch of 64 at a time.
func BenchmarkTurn(b *testing.B) {
	for _, flows := range []int{1, 1000, 65536} {
		b.Run(fmt.Sprintf("flows=%d", flows), func(b *testing.B) {
			w := newCostRig(b, max(flows, 64)/64*64)
			if flows == 1 {
				in := w.edges[0].(*memoryEdge)
				for i := range in.descs {
					in.descs[i] = in.descs[0]
				}
			}
			b.ReportAllocs()
			frames := 0
			for b.Loop() {
				frames += w.turn()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames), "ns/frame")
		})
	}
}
