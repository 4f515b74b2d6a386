// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"golang.org/x/sys/unix"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/flowtable"
)

// find makes the keys of a batch and looks their flows up, all together, so
// that the misses of the cache overlap.
func (w *worker) find(n int) {
	m := 0
	for k := range n {
		p := &w.batch[k]
		p.flow = 0
		switch {
		case p.in == nil:
			continue
		case p.info.Outcome == packet.IP:
			p.dir = p.info.FillKey(&w.keys[m], p.in.wire.group)
		case p.info.Outcome == packet.ICMPError:
			w.keys[m], p.dir = p.info.Quote.Key(p.info.VLAN, p.in.wire.group)
		default:
			continue
		}
		p.slot = m
		m++
	}
	w.flows.LookupBatch(w.keys[:m], w.hashes[:m], w.refs[:m])
}

// judge gives each frame of a batch its verdict and, unless a rule lets it
// pass, the reason.
func (w *worker) judge(n int) {
	for k := range n {
		p := &w.batch[k]
		p.verdict, p.reason = Drop, event.VLANUnknown
		switch {
		case p.in == nil:
			continue
		case w.policy.generation == 0:
			p.reason = event.NoPolicy
			continue
		}
		switch p.info.Outcome {
		case packet.IP:
			w.judgePacket(p)
		case packet.Fragment:
			w.judgeFragment(p)
		case packet.ICMPError:
			w.judgeError(p)
		default:
			p.verdict, p.reason = w.except(event.Reason(p.info.Outcome))
		}
	}
}

// judgePacket judges a packet with a flow key: by its flow when it has one,
// else by the policy.
func (w *worker) judgePacket(p *frame) {
	p.flow = w.refs[p.slot]
	if p.flow == 0 { // an earlier packet of the batch may have begun it
		p.flow, _ = w.flows.Lookup(&w.keys[p.slot], w.hashes[p.slot])
	}
	if p.flow != 0 {
		w.follow(p)
	} else {
		w.begin(p)
	}
	if p.info.FragmentMore {
		w.remember(p)
	}
}

// follow judges a packet by its flow, unless it begins a new conversation
// between the same endpoints.
func (w *worker) follow(p *frame) {
	d := w.decision(p)
	if p.verdict != Forward && w.opposes(p) {
		w.flows.End(p.flow)
		w.begin(p)
		return
	}
	if p.verdict == Forward {
		switch w.flows.Advance(p.flow, p.dir, &p.info) {
		case flowtable.Pass:
		case flowtable.Reopen:
			w.flows.End(p.flow)
			w.begin(p)
			return
		default:
			p.verdict, p.reason = w.except(event.InvalidState)
			w.emit(event.Violation, p, d.Rule)
		}
	}
	w.flows.Account(p.flow, p.dir, len(p.bytes), w.now)
}

// opposes says whether a packet begins a conversation of its own, against the
// direction of a flow that does not pass. It is judged by itself: who may not
// send could else keep others from sending to it.
func (w *worker) opposes(p *frame) bool {
	return p.dir != w.flows.View(p.flow).Initiator() &&
		flowtable.Begin(&w.keys[p.slot], p.dir, &p.info, w.cell.gateway.conf.Flows.Midstream) != flowtable.NoState
}

// decision gives the packet the verdict of its flow under the policy in force.
func (w *worker) decision(p *frame) flowtable.Decision {
	v := w.flows.View(p.flow)
	d := v.Decision()
	if d.Generation != uint16(w.policy.generation) {
		d = w.rejudge(p, v)
	}
	p.verdict, p.reason = Verdict(d.Verdict), event.Reason(d.Reason)
	return d
}

// rejudge judges a live flow under the policy in force. When another worker
// was quicker, both have come to the same.
func (w *worker) rejudge(p *frame, v flowtable.View) flowtable.Decision {
	q := question(&w.keys[p.slot], v.Initiator(), p.in.wire.number)
	d := w.policy.classify(&q)
	if w.flows.Judge(p.flow, v.Decision(), d) {
		w.policy.count(d.Rule)
		if d.Verdict != v.Verdict() {
			p.verdict, p.reason = Verdict(d.Verdict), event.Reason(d.Reason)
			w.emit(event.Rejudged, p, d.Rule)
		}
	}
	return d
}

// begin judges a packet that belongs to no flow, and makes one.
func (w *worker) begin(p *frame) {
	key := &w.keys[p.slot]
	state := flowtable.Begin(key, p.dir, &p.info, w.cell.gateway.conf.Flows.Midstream)
	if state == flowtable.NoState {
		p.verdict, p.reason = w.except(strange(&p.info))
		w.emit(event.Violation, p, flowtable.NoRule)
		return
	}
	start := flowtable.Start{Info: &p.info, Dir: p.dir, State: state, Now: w.now}
	q := question(key, p.dir, p.in.wire.number)
	start.Decision = w.policy.classify(&q)
	if state == flowtable.Midstream && start.Decision.Verdict != uint8(Forward) {
		w.turnRound(p, &start)
	}
	w.enter(p, &start)
}

// strange names why a packet cannot be the beginning of a conversation.
func strange(info *packet.Info) event.Reason {
	if info.Proto == unix.IPPROTO_TCP {
		return event.Midstream
	}
	return event.ICMPUnrelated // a reply that nobody asked for
}

// turnRound takes the receiver of a TCP packet that is seen in the middle of
// its conversation for the one who began it, if the policy allows just that.
func (w *worker) turnRound(p *frame, s *flowtable.Start) {
	q := question(&w.keys[p.slot], p.dir^1, p.in.wire.number)
	if d := w.policy.classify(&q); d.Verdict == uint8(Forward) {
		s.Decision, s.Answer = d, true
	}
}

// enter puts a judged conversation in the flow table. Another worker may have
// been first: then its entry is followed. Without room, an allowed packet
// meets the exception for a full table; a denied one is denied all the same.
func (w *worker) enter(p *frame, s *flowtable.Start) {
	d := s.Decision
	p.verdict, p.reason = Verdict(d.Verdict), event.Reason(d.Reason)
	ref, result := w.flows.Insert(&w.keys[p.slot], w.hashes[p.slot], s)
	p.flow = ref
	switch result {
	case flowtable.Inserted:
		w.policy.count(d.Rule)
		w.emit(event.FlowNew, p, d.Rule)
	case flowtable.Exists:
		w.decision(p)
	default:
		if p.verdict == Forward {
			p.verdict, p.reason = w.except(event.TableFull)
			w.emit(event.Violation, p, d.Rule)
		}
		return
	}
	w.flows.Account(ref, p.dir, len(p.bytes), w.now)
}

// judgeError judges an ICMP error: it passes only when it quotes a packet that
// may have been sent in a live, allowed flow, and goes to the one who sent it
// (RFC 5927).
func (w *worker) judgeError(p *frame) {
	p.flow = w.refs[p.slot]
	if p.flow == 0 || p.info.Dst != p.info.Quote.Src || !w.flows.Seen(p.flow, p.dir) {
		p.verdict, p.reason = w.except(event.ICMPUnrelated)
		return
	}
	w.decision(p)
	if p.verdict == Reject { // an error is never answered
		p.verdict = Drop
	}
}

// except is the verdict that the configuration gives to a reason.
func (w *worker) except(r event.Reason) (Verdict, event.Reason) {
	return w.cell.gateway.conf.Exceptions[r], r
}
