// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/dataplane/xdp"
)

// monitorEvery is how often the wires are looked at. A fault is reported
// within two looks: DEGRADED within a second.
const monitorEvery = 400 * time.Millisecond

// health is what the monitor knows of a wire.
type health struct {
	state   State
	why     string
	carrier [2]bool
	mtu     [2]int
	unbound uint64 // frames on queues without a socket, at the last look
	seen    bool   // the fields above are of an earlier look
}

// monitor looks at the wires until the gateway closes, and says what changes.
func (g *Gateway) monitor() {
	defer g.done.Done()
	tick := time.NewTicker(monitorEvery)
	defer tick.Stop()
	for {
		select {
		case <-g.quit:
			return
		case <-tick.C:
			g.look()
		}
	}
}

// look takes one look at all wires.
func (g *Gateway) look() {
	for _, c := range g.cells {
		fault := c.followChannels()
		counts := c.counts()
		for _, w := range c.wires {
			now := w.look(fault, counts)
			if !w.health.seen || now.state != w.health.state || now.why != w.health.why {
				g.say(w, now)
			}
			g.mu.Lock()
			w.health = now
			g.mu.Unlock()
		}
	}
}

// say logs a change of a wire's state.
func (g *Gateway) say(w *wire, now health) {
	if now.state == Up {
		g.log.Info("wire is "+now.state.String(), "wire", w.conf.Name)
		return
	}
	g.log.Warn("wire is "+now.state.String(), "wire", w.conf.Name, "why", now.why)
}

// followChannels serves queues that were added to the interfaces since the
// start, and says what keeps it from doing so.
func (c *cell) followChannels() (fault string) {
	queues := make([]int, len(c.ifaces))
	for i, f := range c.ifaces {
		n, err := channels(f.name)
		if err != nil {
			n = c.queues // the interface is gone, which look says better
		}
		queues[i] = n
	}
	for i, f := range c.ifaces {
		if queues[i] != queues[0] {
			return fmt.Sprintf("%s has %d receive queues and %s has %d: make them equal with 'ethtool -L'", c.ifaces[0].name, queues[0], f.name, queues[i])
		}
	}
	if queues[0] <= c.queues {
		return ""
	}
	c.gateway.log.Warn("the interfaces have more queues than before: serving them", "port", c.ifaces[0].name, "queues", queues[0])
	if err := c.grow(queues[0]); err != nil {
		return "serve the new queues: " + err.Error()
	}
	return ""
}

// counts reads what the programs counted, by number of the interface; nil for
// one that is gone.
func (c *cell) counts() [][][xdp.NumCauses]uint64 {
	all := make([][][xdp.NumCauses]uint64, len(c.ifaces))
	for i, f := range c.ifaces {
		if f.program != nil {
			all[i], _ = f.program.Counts() // gone with its interface, which look says
		}
	}
	return all
}

// look finds out how a wire does. The gravest of what is wrong is named.
func (w *wire) look(fault string, counts [][][xdp.NumCauses]uint64) health {
	now := health{state: Up, seen: true}
	worse := func(s State, format string, args ...any) {
		if s < now.state {
			now.state, now.why = s, fmt.Sprintf(format, args...)
		}
	}
	if fault != "" {
		worse(Degraded, "%s", fault)
	}
	for side, p := range w.ports {
		p.look(&now, side, worse)
		if lanes := counts[p.iface.number]; lanes != nil {
			now.unbound += lanes[1+p.slot][xdp.QueueUnbound] + lanes[0][xdp.QueueUnbound]
		}
	}
	if w.health.seen && now.unbound > w.health.unbound {
		worse(Degraded, "frames arrived on queues without a socket")
	}
	for _, worker := range w.cell.workers {
		if w.cell.isLate(worker) {
			worse(Degraded, "the worker of queue %d is hung: the queue is in the wire's fail mode", worker.queue)
		}
	}
	return now
}

// look finds out how a port does.
func (p *port) look(now *health, side int, worse func(State, string, ...any)) {
	f := p.iface
	l, err := netlink.LinkByIndex(f.index)
	if err != nil {
		f.down.Store(true)
		worse(Down, "%s is gone", f.name)
		return
	}
	const ready = unix.IFF_UP | unix.IFF_LOWER_UP
	now.mtu[side] = l.Attrs().MTU
	now.carrier[side] = l.Attrs().RawFlags&ready == ready
	f.down.Store(!now.carrier[side])
	if !now.carrier[side] {
		worse(Down, "%s has no carrier", f.name)
	}
	if on, err := f.program.Attached(); err != nil || !on {
		worse(Down, "the XDP program is no longer on %s: someone took it off", f.name)
	}
	if now.mtu[side] > f.mtu {
		worse(Degraded, "the MTU of %s has grown from %d to %d: longer frames than before may be dropped; restart the gateway", f.name, f.mtu, now.mtu[side])
	}
	if p.wire.conf.FailOpen && !xdp.TakesRedirects(f.index) {
		worse(Degraded, "%s takes no frames from the kernel's program, so the wire cannot fail open: on veth, the far end needs GRO, turned off and on again ('ethtool -K IF gro off gro on')", f.name)
	}
}

// isLate says whether a worker has not beaten for longer than it may.
func (c *cell) isLate(w *worker) bool {
	return xdp.Now()-c.beats.Last(w.queue) > int64(c.gateway.conf.BeatLimit)
}
