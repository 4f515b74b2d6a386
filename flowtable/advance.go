// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// IP protocols, as in packet.Info.Proto.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
)

// Begin is the state of a flow that the packet would begin, or NoState if none
// begins with it: a TCP segment that is not a SYN (unless midstream allows to
// pick up connections, and it is an ACK), or an ICMP reply. d is the packet's
// direction for its key k.
func Begin(k *packet.Key, d packet.Dir, info *packet.Info, midstream bool) State {
	if isGroup(info) {
		return OneWay
	}
	switch info.Proto {
	case protoTCP:
		return beginTCP(ClassOf(info), midstream)
	case protoUDP:
		return UDPUnreplied
	case protoICMP, protoICMPv6:
		return beginICMP(k, d)
	}
	return OtherUnreplied
}

// beginICMP tells a request from its reply by the key, which knows who asks. In
// the wrong family neither number is ICMP.
func beginICMP(k *packet.Key, d packet.Dir) State {
	if (k.Family() == 4) != (k.Proto() == protoICMP) {
		return OtherUnreplied
	}
	if _, _, from := k.ICMP(); d != from {
		return NoState
	}
	return ICMPUnreplied
}

func beginTCP(c Class, midstream bool) State {
	switch {
	case c == Syn:
		return SynSent
	case midstream && (c == Ack || c == Data):
		return Midstream
	}
	return NoState
}

// isGroup says whether the packet is for a multicast group (RFC 1112, 4291) or
// for everyone on the link. Nobody can answer from such an address.
func isGroup(info *packet.Info) bool {
	if info.Proto == protoTCP {
		return false
	}
	if info.Family == 4 {
		v4 := uint32(info.Dst.Lo)
		return v4>>28 == 0xe || v4 == 1<<32-1
	}
	return info.Dst.Hi>>56 == 0xff
}

// Advance runs the flow's state machine for a packet of direction d that has
// hit it, and says what becomes of the packet. Call it for packets that the
// decision lets through. After Reopen the flow is as it was: End it, and treat
// the packet as a miss.
func (h *Handle) Advance(ref Ref, d packet.Dir, info *packet.Info) Step {
	e := h.entry(ref)
	class := ClassOf(info)
	for range maxTries {
		c := control(atomic.LoadUint64(&e[wordControl]))
		m := &transitions[c.state()%stateSpace][(uint8(d)^c.side())&1][class%NumClasses]
		if class == Datagram {
			if m.Next == NoState || e.change(c, m.Next) {
				return m.Step
			}
			continue
		}
		if step, done := e.segment(c, m, d, info); done {
			return step
		}
	}
	return Pass // the state goes on changing under us: it is not ours to change
}

// maxTries bounds how often a change is tried again that other workers got in
// the way of.
const maxTries = 8

// change moves the state on, unless the control word is no longer c.
//
// It pairs with the loads of the control word: the sequence and the phase stay
// as they are, and nothing is published by it.
func (e *entry) change(c control, s State) bool {
	if c.state() == s {
		return true
	}
	return atomic.CompareAndSwapUint64(&e[wordControl], uint64(c), uint64(c.withState(s)))
}

// segment makes the move for a TCP segment. It is not done if the state has
// changed meanwhile.
func (e *entry) segment(c control, m *Move, d packet.Dir, info *packet.Info) (step Step, done bool) {
	if m.Check == Always && m.Next == NoState && m.Write == Nothing {
		return m.Step, true
	}
	s := newSegment(info)
	me, peer := &e[wordSequence+dirStride*int(d&1)], &e[wordSequence+dirStride*int(^d&1)]
	s.me, s.peer = sequence(atomic.LoadUint64(me)), sequence(atomic.LoadUint64(peer))
	if m.Check == Bait {
		s.bait = uint32(atomic.LoadUint64(&e[wordBait]))
	}
	if !s.holds(m.Check) {
		return m.Else, true
	}
	if m.Next != NoState && !e.change(c, m.Next) {
		return Invalid, false
	}
	s.write(m.Write, me, peer, &e[wordBait])
	return m.Step, true
}

// write stores what the move says. Each word is stored whole: two workers that
// see packets of the same direction leave the numbers of one of them. The loads
// in segment need no order with other words: a word is a guess about the hosts,
// and what is decided by it is safe for every value.
func (s *segment) write(w Write, me, peer, bait *uint64) {
	switch w {
	case Track:
		if t := s.tracked(); t != s.me {
			atomic.StoreUint64(me, uint64(t))
		}
	case Open:
		atomic.StoreUint64(me, uint64(newSequence(s.me.ack(), s.window, s.end)))
		atomic.StoreUint64(peer, uint64(s.peer.withAck(s.seq+1)))
	case Accept:
		atomic.StoreUint64(me, uint64(newSequence(s.ack, s.window, s.end)))
		atomic.StoreUint64(peer, uint64(s.peer.withAck(s.seq+1)))
	case SetBait:
		atomic.StoreUint64(bait, uint64(s.seq+1))
	}
}

// Account counts a packet of the flow: its direction, its bytes (the caller
// says of which layer), the time. Any worker may do it at any time until its
// next Pass, even if the flow has ended meanwhile: the record of the end has it.
func (h *Handle) Account(ref Ref, d packet.Dir, bytes int, now int64) {
	e := h.entry(ref)
	i := dirStride * int(d&1)
	atomic.AddUint64(&e[wordPackets+i], 1)
	atomic.AddUint64(&e[wordBytes+i], uint64(bytes))
	e.touch(now)
}
