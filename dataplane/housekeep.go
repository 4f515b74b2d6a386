// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/flowtable"
)

// Housekeeping is bounded: now and then, and then so much.
const (
	choreEvery = 1e6   // nanoseconds
	sweepLimit = 16384 // entries of the flow table
)

// housekeep publishes the counters and ages a part of the flow table.
func (w *worker) housekeep() {
	if w.now < w.chores {
		return
	}
	w.chores = w.now + choreEvery
	w.countBad()
	w.tally.publish()
	w.flows.Sweep(w.now, sweepLimit)
}

// countBad takes over what the sockets refused of the kernel, for the first
// port of each interface.
func (w *worker) countBad() {
	for i, s := range w.sockets {
		c := s.Counters()
		t := &w.tally.ports[w.cell.ifaces[i].ports[0].number]
		bad := c.RXInvalid + c.RXMulti
		t.received.Frames += bad - t.dropped[event.BadFrame]
		t.dropped[event.BadFrame] = bad
	}
}

// ended tells of a conversation that is over, from its initiator's side.
func (w *worker) ended(f *flowtable.Record) {
	k := &f.Key
	r := &w.record
	*r = event.Record{
		Time: w.now, Kind: event.FlowEnd, Duration: f.Last - f.First,
		Packets: f.Packets, Bytes: f.Bytes,
		Generation: uint32(f.Decision.Generation), Rule: ruleOf(f.Decision.Rule),
		Verdict: f.Decision.Verdict, Reason: event.Reason(f.Decision.Reason),
		Family: k.Family(), Proto: k.Proto(),
		Src: words(k.A), Dst: words(k.B), SrcPort: k.PortA(), DstPort: k.PortB(),
	}
	if f.Initiator == packet.BtoA {
		r.Src, r.Dst, r.SrcPort, r.DstPort = r.Dst, r.Src, r.DstPort, r.SrcPort
		r.Packets[0], r.Packets[1] = r.Packets[1], r.Packets[0]
		r.Bytes[0], r.Bytes[1] = r.Bytes[1], r.Bytes[0]
	}
	r.ICMPType, r.ICMPCode, _ = k.ICMP()
	w.events.Emit(r)
}

// emit tells of a packet and of the rule that decided about it, if one did.
func (w *worker) emit(kind event.Kind, p *frame, rule uint32) {
	i := &p.info
	w.record = event.Record{
		Time: w.now, Kind: kind, Reason: p.reason, Verdict: uint8(p.verdict), Rule: ruleOf(rule),
		Generation: w.policy.generation, Wire: p.in.wire.number, Side: p.in.side,
		Src: words(i.Src), Dst: words(i.Dst), SrcPort: i.SrcPort, DstPort: i.DstPort,
		Family: i.Family, Proto: i.Proto, ICMPType: i.ICMPType, ICMPCode: i.ICMPCode,
	}
	w.events.Emit(&w.record)
}

func words(a packet.Addr) [2]uint64 { return [2]uint64{a.Hi, a.Lo} }

// ruleOf is a flow's rule as records have it.
func ruleOf(rule uint32) int32 {
	if rule == flowtable.NoRule {
		return -1
	}
	return int32(rule)
}

// A worker without frames first looks again for some turns, since a wake-up
// costs far more than a turn; then it sleeps until a frame arrives, no longer
// than a fraction of the beat limit, since it must go on beating. When it has
// slept in vain for long, it sleeps deeper.
const (
	spinTurns = 20
	deepTurns = spinTurns + 16 // a second of sleeps that no frame ended
)

// rest is what a worker does after a turn without a frame.
func (w *worker) rest() {
	w.restless++
	if w.restless < spinTurns {
		return
	}
	w.tally.publish()
	w.flows.Idle()
	w.seen.Store(seenIdle) // pairs with the load in gateway.settle
	var err error
	if w.restless < deepTurns {
		_, err = w.poll.Wait(w.cell.pollFor)
	} else {
		_, err = w.poll.Idle(w.cell.pollFor)
	}
	if err != nil {
		panic(err) // polling is broken: the gateway fails, loudly
	}
	w.seen.Store(seenNone)
}
