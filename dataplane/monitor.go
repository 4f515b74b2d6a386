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
		g.look()
		select {
		case <-g.quit:
			return
		case <-tick.C:
		}
	}
}

// look takes one look at all wires.
func (g *Gateway) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.cells {
		fault := c.followChannels()
		for _, w := range c.wires {
			now := w.look(fault)
			if !w.health.seen || now.state != w.health.state || now.why != w.health.why {
				g.say(w, now)
			}
			w.health = now
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
		queues[i] = channels(f.name)
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

// look finds out how a wire does. The gravest of what is wrong is named.
func (w *wire) look(fault string) health {
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
		f := p.iface
		l, err := netlink.LinkByIndex(f.index)
		if err != nil {
			worse(Down, "%s is gone", f.name)
			continue
		}
		now.mtu[side] = l.Attrs().MTU
		now.carrier[side] = l.Attrs().RawFlags&unix.IFF_LOWER_UP != 0 && l.Attrs().RawFlags&unix.IFF_UP != 0
		if !now.carrier[side] {
			worse(Down, "%s has no carrier", f.name)
		}
		if on, err := f.program.Attached(); err != nil || !on {
			worse(Down, "the XDP program is no longer on %s: someone took it off", f.name)
		}
		if now.mtu[side] > f.mtu {
			worse(Degraded, "the MTU of %s has grown from %d to %d: longer frames than before may be dropped; restart the gateway", f.name, f.mtu, now.mtu[side])
		}
		now.unbound += p.unbound()
	}
	if w.health.seen && now.unbound > w.health.unbound {
		worse(Degraded, "frames arrived on queues without a socket")
	}
	if late := w.cell.late(); late >= 0 {
		worse(Degraded, "the worker of queue %d is hung: the wire is in its fail mode", late)
	}
	return now
}

// unbound counts the frames that came by queues without a socket.
func (p *port) unbound() uint64 {
	counts, err := p.iface.program.Counts()
	if err != nil {
		return 0
	}
	return counts[1+p.slot][xdp.QueueUnbound]
}

// late names a queue whose worker has stopped beating, or -1.
func (c *cell) late() int {
	limit := int64(c.gateway.conf.BeatLimit)
	for _, w := range c.workers {
		if xdp.Now()-c.beats.Last(w.queue) > limit {
			return w.queue
		}
	}
	return -1
}
