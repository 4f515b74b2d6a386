// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"sync/atomic"
	"time"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/dataplane/xdp"
	"bulkhead/dataplane/xsk"
	"bulkhead/flowtable"
)

// batchSize is how many frames a worker takes through the steps together: the
// misses of one step overlap, and the frames of a batch stay in the first
// caches.
const batchSize = 64

// clearBatches is more batches than a ring can hold.
const clearBatches = 64

// spareSlot is the place of a key that no frame of the batch has.
const spareSlot = batchSize

// What worker.seen says when it is not the generation in use.
const (
	seenIdle = 1 << 63 // the worker waits and holds no policy
	seenNone = 0       // it has just woken and has not yet taken the policy
)

// worker serves queue i of all interfaces of a cell. All of it belongs to the
// one goroutine that runs it, but for what is marked as shared.
//
// A packet goes through the functions below in this order:
//
//	receive.go   receive  a batch of descriptors from an interface's ring
//	             parse    frames to what a decision needs; the port of each
//	judge.go     find     its flow, for the whole batch
//	             judge    a verdict and a reason for each
//	transmit.go  transmit out of the peer port, or give the frame back
//	worker.go    housekeep, wait
type worker struct {
	cell      *cell
	queue     int
	edges     []edge        // by interface of the cell
	sockets   []*xsk.Socket // the same, where they are sockets
	umem      *xsk.Umem     // shared by all edges
	poll      waiter
	frameSize uint64 // bytes of a frame of packet memory

	flows *flowtable.Handle // of the table that all workers of the gateway share
	frags *fragments
	limit *rejectLimit
	tally *tally

	policy   *policy // taken at the start of a turn
	now      int64   // monotonic nanoseconds at the start of a turn
	batch    [batchSize]frame
	keys     [batchSize + 1]packet.Key // of the frames that have one, without gaps; last: the spare
	hashes   [batchSize]uint64
	refs     [batchSize]flowtable.Ref
	descs    [batchSize]xsk.Desc // scratch for Receive
	out      [][]xsk.Desc        // by interface: what transmit collects
	outIn    [][]passage         // what to count of each
	answers  []xsk.Desc          // scratch for reject
	record   event.Record        // scratch for emit
	chores   int64               // when housekeeping is due next
	restless int                 // turns without a frame since the last one

	seen   atomic.Uint64 // shared: generation in use, or seenIdle; see publish.go
	stop   atomic.Bool   // shared: set to end the loop
	over   atomic.Bool   // shared: the loop has ended
	events *event.Ring   // shared with the gateway's reader
}

// edge is where a worker meets an interface: an AF_XDP socket, or a fake.
type edge interface {
	Refill()                    // frames to the kernel
	Receive(out []xsk.Desc) int // frames from the kernel
	Send(descs []xsk.Desc) int  // frames on their way out; how many there was room for
	Wake()                      // lets the kernel receive, where it must be told
	Kick()                      // lets the kernel send, where it must be told
	Complete()                  // frames that were sent are free again
}

// waiter waits until an edge has something to do.
type waiter interface {
	Wait(timeout time.Duration) (ready int, err error)
	Idle(timeout time.Duration) (ready int, err error) // for long silences: cheaper, slower to wake
	Interrupt()
}

// frame is one frame of a batch with all that becomes known of it on its way.
type frame struct {
	bytes   []byte
	desc    xsk.Desc
	in      *port // nil: of no port
	verdict Verdict
	reason  event.Reason  // of a drop, or of a pass that no rule decided
	flow    flowtable.Ref // 0: none
	dir     packet.Dir    // in the flow of its key; of the quoted packet for an ICMP error
	slot    int           // where its key is
	info    packet.Info
}

// run is the worker's loop. The caller has locked the goroutine to its thread.
func (w *worker) run() {
	for !w.stop.Load() {
		if w.turn() == 0 {
			w.rest()
		} else {
			w.restless = 0
		}
	}
	w.tally.publish()
	w.flows.Idle()
}

// turn takes what has arrived on every interface through all steps and gives
// how many frames that was.
func (w *worker) turn() int {
	last := w.now
	w.now = xdp.Now()
	if last != 0 && w.now-last > int64(w.cell.gateway.conf.BeatLimit) {
		w.clear()
	}
	w.cell.beats.Beat(w.queue, w.now)
	w.policy = w.cell.gateway.policy.Load()
	w.seen.Store(uint64(w.policy.generation)) // pairs with the load in gateway.settle
	w.flows.Pass()
	total := 0
	for i := range w.edges {
		n := w.receive(i)
		if n > 0 {
			w.parse(i, n)
			w.find(n)
			w.judge(n)
			w.transmit(n)
		}
		total += n
	}
	w.flush()
	w.housekeep()
	return total
}

// clear drops what waits in the rings. A worker that was hung for longer than
// the beat limit calls it before it beats again: until then no new frames come,
// since the kernel's program has taken over, and those that are here are old.
func (w *worker) clear() {
	for i := range w.edges {
		for range clearBatches {
			n := w.receive(i)
			if n == 0 {
				break
			}
			w.parse(i, n)
			for k := range n {
				w.batch[k].verdict, w.batch[k].reason = Drop, event.Stale
			}
			w.transmit(n)
		}
	}
}
