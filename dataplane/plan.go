// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"bulkhead/dataplane/xsk"
	"bulkhead/flowtable"
)

// wire is two ports joined through the gateway.
type wire struct {
	conf   Wire
	number uint16 // index among the gateway's wires
	group  uint16 // its flows are those of all wires of the group
	ports  [2]*port
	cell   *cell
	health health // belongs to the monitor
}

// port is one end of a wire.
type port struct {
	conf   Port
	wire   *wire
	side   uint8 // 0 is a, 1 is b
	peer   *port
	iface  *iface
	number int // index among the ports of its cell
	slot   int // index among the ports of its interface
}

// plan works out wires, interfaces and cells. It changes nothing in the system.
func (g *Gateway) plan() error {
	if len(g.conf.Wires) == 0 {
		return errors.New("no wire is configured: name two ports, as in --wire eth0:eth1")
	}
	ifaces := map[string]*iface{}
	for i, conf := range g.conf.Wires {
		w := &wire{conf: conf, number: uint16(i), group: g.groupOf(conf)}
		for side, p := range []Port{conf.A, conf.B} {
			f, err := ifaceOf(ifaces, p)
			if err != nil {
				return fmt.Errorf("wire %s: %w", conf.Name, err)
			}
			w.ports[side] = &port{conf: p, wire: w, side: uint8(side), iface: f, slot: len(f.ports)}
			if err := f.claim(w.ports[side]); err != nil {
				return fmt.Errorf("wire %s: %w", conf.Name, err)
			}
		}
		w.ports[0].peer, w.ports[1].peer = w.ports[1], w.ports[0]
		g.wires = append(g.wires, w)
	}
	g.partition()
	return g.checkCells()
}

// groupOf numbers the groups of wires by name; a wire without one has its own.
func (g *Gateway) groupOf(conf Wire) uint16 {
	name := "group " + conf.Group
	if conf.Group == "" {
		name = "wire " + conf.Name
	}
	if _, known := g.groups[name]; !known {
		g.groups[name] = uint16(len(g.groups))
	}
	return g.groups[name]
}

// ifaceOf finds an interface, once.
func ifaceOf(known map[string]*iface, p Port) (*iface, error) {
	if f := known[p.Interface]; f != nil {
		return f, nil
	}
	f, err := findIface(p.Interface)
	if err == nil {
		known[p.Interface] = f
	}
	return f, err
}

// claim gives a port its frames of the interface: all, or those of a VLAN.
func (f *iface) claim(p *port) error {
	vid := p.conf.VLAN
	switch {
	case vid > 4094:
		return fmt.Errorf("port %s: VLAN %d: the highest is 4094", p.conf, vid)
	case f.whole != nil, vid == 0 && len(f.ports) > 0:
		return fmt.Errorf("port %s: %s is used whole by one port and again by another: give each port a VLAN of its own", p.conf, f.name)
	case f.lanes[vid] != nil:
		return fmt.Errorf("port %s: two ports are the same: each needs an interface or a VLAN of its own", p.conf)
	}
	f.ports = append(f.ports, p)
	f.lanes[vid] = p
	if vid == 0 {
		f.whole = p
	}
	return nil
}

// partition puts wires that share an interface in one cell, since an
// interface's queue has one socket and so one worker.
func (g *Gateway) partition() {
	cells := map[*iface]*cell{}
	for _, w := range g.wires {
		a, b := cells[w.ports[0].iface], cells[w.ports[1].iface]
		c := cmp.Or(a, b, &cell{gateway: g})
		if b != nil && b != c { // w joins two cells
			c.wires = append(c.wires, b.wires...)
		}
		c.wires = append(c.wires, w)
		for _, member := range c.wires {
			cells[member.ports[0].iface], cells[member.ports[1].iface] = c, c
		}
	}
	for _, w := range g.wires {
		c := cells[w.ports[0].iface]
		w.cell = c
		if !slices.Contains(g.cells, c) {
			g.cells = append(g.cells, c)
		}
		for _, p := range w.ports {
			p.number = len(c.ports)
			c.ports = append(c.ports, p)
			if !slices.Contains(c.ifaces, p.iface) {
				p.iface.number = len(c.ifaces)
				c.ifaces = append(c.ifaces, p.iface)
			}
		}
	}
}

// checkCells refuses what the workers of a cell could not serve.
func (g *Gateway) checkCells() error {
	if err := g.checkEach(); err != nil {
		return err
	}
	if n := g.queues(); n >= flowtable.MaxWorkers {
		return fmt.Errorf("the wires have %d queues to be served: %d at most are possible, so lower their channels, as in 'ethtool -L %s combined 1'", n, flowtable.MaxWorkers-1, g.cells[0].ifaces[0].name)
	}
	return nil
}

func (g *Gateway) checkEach() error {
	for _, c := range g.cells {
		conf := c.wires[0].conf
		for _, w := range c.wires[1:] {
			if w.conf.Mode != conf.Mode || w.conf.FrameSize != conf.FrameSize || w.conf.BusyPoll != conf.BusyPoll {
				return fmt.Errorf("wires %s and %s share an interface: their mode, frame_size and busy_poll must be the same", conf.Name, w.conf.Name)
			}
		}
		c.mode, c.busyPoll = conf.Mode, conf.BusyPoll
		if err := errors.Join(c.chooseQueues(), c.chooseFrames(conf.FrameSize)); err != nil {
			return err
		}
	}
	return nil
}

// chooseQueues settles how many workers a cell has: one for each queue, on all
// interfaces alike, since a frame leaves by the queue that it came by.
func (c *cell) chooseQueues() error {
	first := c.ifaces[0]
	for _, f := range c.ifaces[1:] {
		if f.queues != first.queues {
			return fmt.Errorf("%s has %d receive queues and %s has %d: a worker serves the same queue of both: make them equal, as in 'ethtool -L %s combined %d'",
				first.name, first.queues, f.name, f.queues, first.name, min(f.queues, first.queues))
		}
	}
	for _, w := range c.wires {
		if q := w.conf.Queues; q != 0 && q != first.queues {
			return fmt.Errorf("wire %s: queues = %d but %s has %d: frames on a queue without a worker would be lost: 'ethtool -L %s combined %d', or queues = 0 for all",
				w.conf.Name, q, first.name, first.queues, first.name, q)
		}
	}
	c.queues = first.queues
	return nil
}

// chooseFrames settles the size of the frames of packet memory: the smallest
// that the MTU of the ports fits, since small frames cost less of the caches.
func (c *cell) chooseFrames(size int) error {
	mtu := c.ifaces[0].mtu
	for _, f := range c.ifaces[1:] {
		if f.mtu != mtu {
			return fmt.Errorf("%s has MTU %d and %s has %d: frames of the larger could not leave by the smaller: make them equal, as in 'ip link set dev %s mtu %d'",
				c.ifaces[0].name, mtu, f.name, f.mtu, f.name, mtu)
		}
	}
	sizes := []int{2048, 4096}
	if size != 0 {
		sizes = []int{size}
	}
	largest := 0
	for _, size := range sizes {
		conf := xsk.Config{FrameSize: uint32(size)}
		largest = conf.MaxMTU()
		if mtu <= largest {
			c.frameSize, c.maxFrame = size, conf.MaxPacket()
			return nil
		}
	}
	return fmt.Errorf("%s has MTU %d, which does not fit a frame of packet memory: the largest MTU is %d with frame_size = %d: 'ip link set dev %s mtu %d' on all ports of the wire",
		c.ifaces[0].name, mtu, largest, sizes[len(sizes)-1], c.ifaces[0].name, largest)
}
