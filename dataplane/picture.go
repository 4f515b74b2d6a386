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
	for _, w := range g.wires {
		s.Wires = append(s.Wires, w.status())
	}
	return s
}

func (w *wire) status() WireStatus {
	s := WireStatus{Name: w.conf.Name, State: w.health.state, Why: w.health.why, Fail: "closed"}
	if w.conf.FailOpen {
		s.Fail = "open"
	}
	if !w.health.seen {
		s.Why = "starting"
	}
	s.A, s.B = w.ports[0].status(), w.ports[1].status()
	return s
}

// status sums what the port's workers and the kernel counted.
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
	}
	s.Received, s.Forwarded, s.Answered = sum.received, sum.forwarded, sum.answered
	s.Dropped, s.Passed = sum.dropped, sum.passed
	p.addKernel(&s)
	return s
}

// addKernel adds the frames that never reached a worker. The sockets' losses
// are the interface's; where its VLANs are different ports, the first has them.
func (p *port) addKernel(s *PortStatus) {
	if p.slot == 0 {
		for _, w := range p.wire.cell.workers {
			p.addSocket(s, w.umem.Sockets()[p.iface.number])
		}
	}
	counts, err := p.iface.program.Counts()
	if err != nil {
		return // gone with its interface, which the wire's state says
	}
	lane := counts[1+p.slot]
	s.lose(event.QueueUnbound, lane[xdp.QueueUnbound])
	s.lose(event.FailClosed, lane[xdp.FailClosed])
	s.lose(event.Oversize, lane[xdp.Oversize])
	s.Received.Frames += lane[xdp.FailOpen]
	s.Forwarded.Frames += lane[xdp.FailOpen]
	s.Passed[event.FailOpen] += lane[xdp.FailOpen]
	if p.slot == 0 {
		s.lose(event.VLANUnknown, counts[0][xdp.NoLane])
	}
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
