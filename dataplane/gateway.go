// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/dataplane/xdp"
	"bulkhead/flowtable"
)

// Defaults of what a Config leaves at zero.
const (
	DefaultBeatLimit = 250 * time.Millisecond
	DefaultCapacity  = 262144 // flows
)

// Gateway is one running gateway: it holds wires and judges what crosses them.
// All its methods may be called by any goroutine.
type Gateway struct {
	conf   Config
	log    *slog.Logger
	wires  []*wire
	cells  []*cell
	groups map[string]uint16
	flows  *flowtable.Memory // of the table; huge pages where there are any
	table  *flowtable.Table
	lock   *os.File // on the pins; nil when nothing is pinned
	failed chan error

	policy     atomic.Pointer[policy] // in force; never nil
	publishing sync.Mutex             // guards what follows, and the order of publications
	generation uint32
	publisher  *flowtable.Handle
	closed     bool

	closing sync.Once

	// mu guards cells, wires, the cells' workers and the wires' health for those
	// who read them. Only Open, then the monitor, then Close change them, in turn.
	mu   sync.Mutex
	quit chan struct{}
	done sync.WaitGroup // monitor and events
}

// DefaultExceptions is the verdict of each reason unless configured otherwise:
// link control passes, all else drops.
func DefaultExceptions() [event.NumReasons]Verdict {
	var v [event.NumReasons]Verdict
	for o := packet.Outcome(0); o < packet.NumOutcomes; o++ {
		if o.PassesByDefault() {
			v[o] = Forward
		}
	}
	return v
}

// Open brings up a gateway: when it returns, both ports of every wire are
// attached and all their queues bound, and nothing passes until a policy is
// published. It needs the capabilities that DropPrivileges keeps. On an error
// everything is as it was before.
func Open(conf Config, log *slog.Logger) (*Gateway, error) {
	g := &Gateway{
		conf: conf, log: log, groups: map[string]uint16{},
		failed: make(chan error, 1), quit: make(chan struct{}),
	}
	g.policy.Store(noPolicy)
	if g.conf.BeatLimit == 0 {
		g.conf.BeatLimit = DefaultBeatLimit
	}
	if g.conf.Flows.Capacity == 0 {
		g.conf.Flows.Capacity = DefaultCapacity
	}
	if err := g.plan(); err != nil {
		return nil, err
	}
	if err := g.makeTable(); err != nil {
		return nil, err
	}
	g.makeRoom()
	if err := g.open(); err != nil {
		return nil, errors.Join(err, g.closeCells())
	}
	g.look() // so that the first picture is not of wires that nobody has looked at
	g.done.Add(2)
	go g.monitor()
	go g.drain()
	return g, nil
}

// makeTable makes the flow table, with handles for the workers, for as many
// that queues added later may bring, and for publications.
func (g *Gateway) makeTable() error {
	o := flowtable.Options{
		Capacity: g.conf.Flows.Capacity, Timeouts: g.conf.Flows.Timeouts,
		Workers: min(2*g.queues()+1, flowtable.MaxWorkers),
	}
	size, err := flowtable.SizeOf(o.Capacity, o.Workers)
	if err != nil {
		return err
	}
	if g.flows, err = flowtable.Map(size); err != nil {
		return err
	}
	o.Memory = g.flows
	if g.table, err = flowtable.New(o); err != nil {
		return errors.Join(err, g.flows.Unmap())
	}
	g.publisher, err = g.table.Join(nil)
	return err
}

// makeRoom sees to it that workers that never rest leave something for the
// rest of the process: with as few processors as workers, Go would let the
// monitor and publications wait for tens of milliseconds.
func (g *Gateway) makeRoom() {
	if want := g.queues() + 2; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

// queues is how many workers there will be.
func (g *Gateway) queues() (n int) {
	for _, c := range g.cells {
		n += c.queues
	}
	return n
}

// open clears what a dead predecessor left pinned and opens the cells.
func (g *Gateway) open() error {
	if dir := g.pins(); dir != "" {
		var err error
		if g.lock, err = xdp.LockPins(dir); err != nil {
			return err
		}
		n, err := xdp.Sweep(dir)
		if err != nil {
			return fmt.Errorf("clear the pins of a predecessor: %w", err)
		}
		if n > 0 {
			g.log.Warn("a gateway of this name died and left its programs attached; they have been replaced", "pins", n)
		}
	}
	for _, c := range g.cells {
		if err := c.open(); err != nil {
			return err
		}
	}
	return nil
}

// Close detaches the gateway from its interfaces and puts them back as they
// were. Frames that are inside are lost. Publish fails afterwards, Status shows
// no wires; a second Close does nothing.
func (g *Gateway) Close() error {
	var err error
	g.closing.Do(func() {
		close(g.quit)
		g.done.Wait()
		g.publishing.Lock()
		defer g.publishing.Unlock()
		g.closed = true
		err = g.closeCells()
	})
	return err
}

// closeCells closes what was opened, as far as that went.
func (g *Gateway) closeCells() error {
	g.mu.Lock()
	cells := g.cells
	g.cells, g.wires = nil, nil
	g.mu.Unlock()
	var errs []error
	for _, c := range cells {
		errs = append(errs, c.close())
	}
	if g.lock != nil {
		errs = append(errs, xdp.UnlockPins(g.lock))
	}
	if g.flows != nil {
		errs = append(errs, g.flows.Unmap())
	}
	return errors.Join(errs...)
}

// fail reports the first fault that the gateway cannot live with.
func (g *Gateway) fail(err error) {
	select {
	case g.failed <- err:
	default:
	}
}

// Failed tells of a fault after which the gateway no longer does its work: it
// must be closed, and the process end with an error.
func (g *Gateway) Failed() <-chan error { return g.failed }

// eventEvery is how often the workers' rings are emptied.
const eventEvery = 100 * time.Millisecond

// drain empties the workers' event rings into the configured sink.
func (g *Gateway) drain() {
	defer g.done.Done()
	tick := time.NewTicker(eventEvery)
	defer tick.Stop()
	records := make([]event.Record, 0, eventRing)
	for {
		select {
		case <-g.quit:
			return
		case <-tick.C:
		}
		for _, w := range g.workers() {
			records = w.events.Drain(records[:0])
			if len(records) > 0 && g.conf.Events != nil {
				g.conf.Events(records)
			}
		}
	}
}

// workers lists the workers of all cells as they are now.
func (g *Gateway) workers() []*worker {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*worker
	for _, c := range g.cells {
		all = append(all, c.workers...)
	}
	return all
}
