// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xdp"
	"bulkhead/dataplane/xsk"
)

// cell is the wires that share interfaces, and the workers that serve them.
// Wires with interfaces of their own are cells of their own: cells share the
// flow table and nothing else.
type cell struct {
	gateway *Gateway
	wires   []*wire
	ifaces  []*iface
	ports   []*port

	mode      Mode
	queues    int // of each interface, and so workers
	frameSize int
	maxFrame  int // longest frame that fits, bytes
	busyPoll  int

	pollFor time.Duration // longest sleep of a worker, so that it goes on beating
	beats   *xdp.Beats
	workers []*worker
	running sync.WaitGroup
}

const (
	eventRing = 4096 // records that a worker may be ahead of the reader
	txBudget  = 256  // frames that one kick sends, where the kernel can be told
	busyMicro = 20   // how long one busy poll may take, microseconds
)

// open brings the cell's interfaces and workers up. Not a frame passes before
// a policy is published: until then the program has no sockets and drops, then
// the workers have no policy and drop.
func (c *cell) open() error {
	var err error
	if c.beats, err = xdp.NewBeats(); err != nil {
		return err
	}
	c.pollFor = c.gateway.conf.BeatLimit / 4
	defer c.beatMeanwhile()()
	for _, f := range c.ifaces {
		if err := f.prepare(c.gateway.log); err != nil {
			return err
		}
	}
	for _, f := range c.ifaces {
		if err := c.attach(f); err != nil {
			return err
		}
	}
	if err := c.grow(c.queues); err != nil {
		return err
	}
	return c.noteEarly()
}

// beatMeanwhile shows that the gateway lives while there are no workers yet to
// show it: else a wire would be in its fail mode, and pass everything if that
// is open.
func (c *cell) beatMeanwhile() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	c.beats.BeatGateway(xdp.Now())
	go func() {
		defer close(done)
		tick := time.NewTicker(c.pollFor)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				c.beats.BeatGateway(xdp.Now())
			}
		}
	}()
	return func() { close(quit); <-done }
}

// noteEarly notes what came before all queues had their sockets: that is the
// start, and no fault.
func (c *cell) noteEarly() (err error) {
	for _, f := range c.ifaces {
		if f.early, err = f.program.Counts(); err != nil {
			return err
		}
	}
	return nil
}

// attach puts the kernel program on an interface.
func (c *cell) attach(f *iface) error {
	opts := xdp.Options{
		Interface: f.name, Index: f.index, Generic: c.mode == Generic,
		MaxFrame: c.maxFrame, BeatLimit: c.gateway.conf.BeatLimit, Pins: c.gateway.pins(),
	}
	for _, p := range f.ports {
		opts.Lanes = append(opts.Lanes, p.lane())
	}
	if opts.Generic {
		c.gateway.log.Warn("generic XDP: slow, every frame is copied into a socket buffer first; use it only where the driver has no native XDP", "port", f.name)
	}
	var err error
	f.program, err = xdp.Attach(c.beats, opts)
	return err
}

// grow makes and starts workers until there is one for each queue, and hands
// them the frames of their queues. It may be called again after an error.
func (c *cell) grow(queues int) error {
	if queues > xdp.MaxQueues {
		return fmt.Errorf("%s has %d queues: %d at most are served: 'ethtool -L %s combined %d'", c.ifaces[0].name, queues, xdp.MaxQueues, c.ifaces[0].name, xdp.MaxQueues)
	}
	for queue := len(c.workers); queue < queues; queue++ {
		w, err := c.newWorker(queue)
		if err != nil {
			return err
		}
		c.gateway.mu.Lock()
		c.workers = append(c.workers, w)
		c.gateway.mu.Unlock()
		c.running.Add(1)
		go c.work(w)
	}
	for _, w := range c.workers {
		if err := c.bind(w); err != nil {
			return err
		}
	}
	c.gateway.mu.Lock()
	defer c.gateway.mu.Unlock()
	if c.queues < queues { // there was a program before there were these queues
		for _, f := range c.ifaces {
			if err := f.program.Renew(); err != nil {
				return err
			}
		}
	}
	c.queues = queues
	return nil
}

// bind hands a worker the frames of its queue, once it beats: bound before, the
// queue would be in its fail mode.
func (c *cell) bind(w *worker) error {
	for c.beats.Last(w.queue) == 0 {
		if w.over.Load() {
			return fmt.Errorf("the worker of queue %d ended before it began", w.queue)
		}
		time.Sleep(100 * time.Microsecond)
	}
	for i, s := range w.umem.Sockets() {
		if err := c.ifaces[i].program.Bind(w.queue, s.FD()); err != nil {
			return err
		}
	}
	return nil
}

// newWorker opens packet memory and sockets for a queue of every interface.
func (c *cell) newWorker(queue int) (*worker, error) {
	conf := xsk.Config{FrameSize: uint32(c.frameSize), TXBudget: txBudget}
	if c.mode != Native {
		conf.Mode = xsk.Copy
	}
	if c.busyPoll > 0 {
		conf.BusyPoll = xsk.BusyPoll{Microseconds: busyMicro, Budget: uint32(c.busyPoll)}
	}
	var queues []xsk.Queue
	for _, f := range c.ifaces {
		queues = append(queues, xsk.Queue{Interface: f.name, Index: f.index, ID: uint32(queue)})
	}
	umem, err := xsk.Open(conf, queues...)
	if err != nil {
		return nil, err
	}
	poller, err := xsk.NewPoller(umem.Sockets()...)
	if err != nil {
		return nil, errors.Join(err, umem.Close())
	}
	w, err := assemble(c, queue, umem, poller)
	if err != nil {
		return nil, errors.Join(err, poller.Close(), umem.Close())
	}
	w.sockets = umem.Sockets()
	for _, s := range w.sockets {
		w.edges = append(w.edges, s)
	}
	return w, nil
}

// assemble makes a worker without edges.
func assemble(c *cell, queue int, umem *xsk.Umem, poll waiter) (*worker, error) {
	events, err := event.NewRing(eventRing)
	if err != nil {
		return nil, err
	}
	w := &worker{
		cell: c, queue: queue, umem: umem, poll: poll, events: events,
		frameSize: uint64(c.frameSize),
		frags:     &fragments{seed: rand.Uint64()},
		limit:     &rejectLimit{seed: rand.Uint64()},
		tally:     newTally(len(c.ports)),
		out:       make([][]xsk.Desc, len(c.ifaces)),
		outIn:     make([][]passage, len(c.ifaces)),
		answers:   make([]xsk.Desc, 0, 1),
	}
	if w.flows, err = c.gateway.table.Join(w.ended); err != nil {
		return nil, err
	}
	for i := range c.ifaces {
		w.out[i] = make([]xsk.Desc, 0, batchSize)
		w.outIn[i] = make([]passage, 0, batchSize)
	}
	return w, nil
}

// work runs a worker on a thread of its own and without privileges. A worker
// that panics takes the gateway down, aloud: its frames are in nobody's hands.
func (c *cell) work(w *worker) {
	defer c.running.Done()
	defer func() {
		w.seen.Store(seenIdle) // nobody need wait for it any more
		w.over.Store(true)
		if p := recover(); p != nil {
			c.gateway.fail(fmt.Errorf("worker of queue %d: %v\n%s", w.queue, p, debug.Stack()))
		}
	}()
	runtime.LockOSThread()                                 // and never unlocked: the thread ends with the goroutine
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, workerNice) // of this thread; a wish, see DropPrivileges
	if err := dropThreadPrivileges(); err != nil {
		c.gateway.log.Warn("a worker keeps its privileges", "error", err)
	}
	w.run()
}

// close takes the cell's interfaces back to what they were. The programs go
// first: a socket that is closed under traffic has crashed kernels.
func (c *cell) close() error {
	var errs []error
	for _, f := range c.ifaces {
		if f.program != nil {
			errs = append(errs, f.program.Close())
		}
	}
	for _, w := range c.workers {
		w.stop.Store(true)
		w.poll.Interrupt()
	}
	c.running.Wait()
	for _, w := range c.workers {
		errs = append(errs, w.audit(), w.poll.(*xsk.Poller).Close(), w.umem.Close())
	}
	if c.beats != nil {
		errs = append(errs, c.beats.Close())
	}
	for _, f := range c.ifaces {
		f.restore(c.gateway.log)
	}
	return errors.Join(errs...)
}

// audit accounts for the frames of a worker that has ended: those that it still
// holds were forgotten on the way.
func (w *worker) audit() error {
	if f := w.umem.Frames(); f.Held != 0 {
		return fmt.Errorf("the worker of queue %d has lost %d of its %d frames", w.queue, f.Held, f.Total)
	}
	return w.umem.Audit()
}

// pins is the directory in which the gateway's links are pinned, if they are.
func (g *Gateway) pins() string {
	if g.conf.BPFFS == "" {
		return ""
	}
	return filepath.Join(g.conf.BPFFS, "bulkhead", strings.ReplaceAll(g.conf.Name, ".", ":")) // a bpffs refuses dots
}
