// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xdp"
	"bulkhead/dataplane/xsk"
)

// Status takes a picture of the gateway.
func (g *Gateway) Status() Status {
	p := g.policy.Load()
	s := Status{
		Name: g.conf.Name, Generation: p.generation, Rules: len(p.verdicts),
		Flows: g.table.Len(), Capacity: g.table.Capacity(),
	}
	for i := range p.verdicts {
		s.Hits = append(s.Hits, p.hits[i].Load())
	}
	if n := len(p.hits); n > 0 {
		s.DefaultHits = p.hits[n-1].Load()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := map[*cell][][][xdp.NumCauses]uint64{}
	for _, c := range g.cells {
		counts[c] = c.counts()
	}
	for _, w := range g.wires {
		s.Wires = append(s.Wires, w.status(counts[w.cell]))
	}
	return s
}

func (w *wire) status(counts [][][xdp.NumCauses]uint64) WireStatus {
	s := WireStatus{Name: w.conf.Name, State: w.health.state, Why: w.health.why, Fail: "closed"}
	if w.conf.FailOpen {
		s.Fail = "open"
	}
	if !w.health.seen {
		s.Why = "starting"
	}
	for side, out := range []*PortStatus{&s.A, &s.B} {
		p := w.ports[side]
		*out = p.status()
		if lanes := counts[p.iface.number]; lanes != nil {
			out.addKernel(p, lanes)
		}
	}
	return s
}

// status sums what the port's workers and its sockets counted.
func (p *port) status() PortStatus {
	c := p.wire.cell
	s := PortStatus{
		Port: p.conf, Attach: Native.String(), Queues: c.queues, FrameSize: c.frameSize,
		MTU: p.wire.health.mtu[p.side], Carrier: p.wire.health.carrier[p.side], BusyPoll: "off",
	}
	if c.mode == Generic {
		s.Attach = Generic.String()
	}
	var sum portTally
	for _, w := range c.workers {
		sum.add(w.tally.read(p.number))
		s.Socket = w.umem.Mode().String()
		if p.slot == 0 { // where VLANs are different ports, the first has the interface's losses
			p.addSocket(&s, w.umem.Sockets()[p.iface.number])
		}
	}
	s.Received.add(sum.received)
	s.Forwarded, s.Answered, s.Passed = sum.forwarded, sum.answered, sum.passed
	for r, n := range sum.dropped {
		s.Dropped[r] += n
	}
	return s
}

// addKernel adds the frames that the program did not hand to a worker; those
// of nobody's VLAN to the first port.
func (s *PortStatus) addKernel(p *port, lanes [][xdp.NumCauses]uint64) {
	s.addLane(lanes[1+p.slot], p.iface.early, 1+p.slot)
	if p.slot == 0 {
		s.addLane(lanes[0], p.iface.early, 0)
	}
}

func (s *PortStatus) addLane(n [xdp.NumCauses]uint64, early [][xdp.NumCauses]uint64, lane int) {
	if early != nil {
		started := early[lane][xdp.QueueUnbound]
		n[xdp.QueueUnbound] -= started
		s.lose(event.Starting, started)
	}
	s.lose(event.QueueUnbound, n[xdp.QueueUnbound])
	s.lose(event.FailClosed, n[xdp.FailClosed])
	s.lose(event.Oversize, n[xdp.Oversize])
	s.lose(event.VLANUnknown, n[xdp.NoLane])
	s.Received.Frames += n[xdp.FailOpen]
	s.Forwarded.Frames += n[xdp.FailOpen]
	s.Passed[event.FailOpen] += n[xdp.FailOpen]
}

// addSocket adds the losses of a socket, and says whether busy polling works.
func (p *port) addSocket(s *PortStatus, sock *xsk.Socket) {
	if k, err := sock.Statistics(); err == nil {
		s.lose(event.RXRingFull, k.RXRingFull)
		s.lose(event.RXNoFrame, k.RXDropped)
	}
	if p.wire.cell.busyPoll == 0 {
		return
	}
	s.BusyPoll = "on"
	if id, err := sock.NAPIID(); err != nil || id == 0 {
		s.BusyPoll = "set, but this driver does not support it: frames come by interrupt"
	}
}

// lose counts frames that arrived and were dropped outside of the workers.
func (s *PortStatus) lose(why event.Reason, frames uint64) {
	s.Received.Frames += frames
	s.Dropped[why] += frames
}
