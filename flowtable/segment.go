// SPDX-License-Identifier: Apache-2.0

package flowtable

import "bulkhead/dataplane/packet"

// TCP flags, as in packet.Info.TCPFlags.
const (
	flagFin = 1
	flagSyn = 2
	flagRst = 4
	flagAck = 16
)

// classes is the class by FIN, SYN, RST, PSH and ACK (the low five flags).
var classes = func() (t [32]Class) {
	for f := range t {
		switch {
		case f&flagSyn != 0 && f&(flagFin|flagRst) != 0:
			t[f] = Bad
		case f&flagSyn != 0 && f&flagAck != 0:
			t[f] = SynAck
		case f&flagSyn != 0:
			t[f] = Syn
		case f&flagRst != 0:
			t[f] = Rst
		case f&flagAck == 0:
			t[f] = Bad
		case f&flagFin != 0:
			t[f] = Fin
		default:
			t[f] = Ack
		}
	}
	return t
}()

// ClassOf is what the packet is to the state machine.
func ClassOf(info *packet.Info) Class {
	if info.Proto != protoTCP {
		return Datagram
	}
	c := classes[info.TCPFlags&31]
	if c == Ack && info.Payload > 0 {
		return Data
	}
	return c
}

// How far from what is expected a segment's numbers may be. The window is not
// known: its scale is an option of the SYN, which is not parsed. So closing needs
// numbers within an unscaled window, while what is learnt from a segment, and
// never closes anything by itself, may be as far as 16 MiB ahead (more than
// that in flight only means that an RST may not be believed).
const (
	narrow = 1 << 16
	wide   = 1 << 24
)

// sequence is what one direction of a TCP flow has last sent: acknowledgement,
// window, and the low half of the end of its segment. The acknowledgement
// is what its sender expects next; from the other side's SYN on it is known
// before it has been sent.
type sequence uint64

func newSequence(ack uint32, window uint16, end uint32) sequence {
	return sequence(uint64(ack)<<32 | uint64(window)<<16 | uint64(uint16(end)))
}

func (s sequence) ack() uint32 { return uint32(s >> 32) }
func (s sequence) end() uint16 { return uint16(s) }

func (s sequence) withAck(ack uint32) sequence { return sequence(uint64(ack)<<32 | uint64(uint32(s))) }

// segment is the numbers of one TCP segment beside those of its flow.
type segment struct {
	seq, ack, end uint32 // end: the number after its last, SYN and FIN counted
	window        uint16
	hasAck        bool
	me, peer      sequence // of the segment's direction, and of the other one
	bait          uint32
}

func newSegment(info *packet.Info) segment {
	f := info.TCPFlags
	return segment{
		seq:    info.TCPSeq,
		ack:    info.TCPAck,
		end:    info.TCPSeq + uint32(info.Payload) + uint32(f&flagFin) + uint32(f&flagSyn)>>1,
		window: info.TCPWindow,
		hasAck: f&flagAck != 0,
	}
}

// holds says whether the segment passes the check.
func (s *segment) holds(c Check) bool {
	ahead := s.seq - s.peer.ack() // of what the other side expects; modulo 2^32
	inOrder := uint16(s.seq) == s.me.end()
	switch c {
	case Always:
		return true
	case Plausible:
		return s.plausible()
	case InWindow:
		return ahead+narrow < 2*narrow || inOrder && ahead < wide
	case Exact: // or the end of the same side's own last segment, still unacknowledged
		return ahead == 0 || inOrder && ahead < narrow
	case Answers:
		return s.hasAck && s.ack-s.me.ack() < narrow
	case Near:
		return ahead+narrow < 2*narrow && s.hasAck && s.ack-s.me.ack()+narrow < 2*narrow
	case Bait:
		return s.hasAck && s.bait != 0 && s.ack == s.bait
	}
	return false
}

// plausible says whether the segment may be part of the conversation.
func (s *segment) plausible() bool {
	return s.seq-s.peer.ack()+narrow < wide+narrow && s.hasAck && s.ack-s.me.ack()+wide < 2*wide
}

// tracked is the direction's sequence word after the segment. What was
// acknowledged once stays so.
func (s *segment) tracked() sequence {
	if !s.plausible() {
		return s.me
	}
	ack := s.me.ack()
	if int32(s.ack-ack) > 0 {
		ack = s.ack
	}
	return newSequence(ack, s.window, s.end)
}
