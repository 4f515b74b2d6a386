// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"testing"

	"pgregory.net/rapid"

	"bulkhead/dataplane/packet"
)

// judge is the state machine said in another way: rules instead of a table,
// signed distances instead of modular tricks, and numbers kept whole. It is
// slow and plain, and it judges the quick one.
type judge struct {
	state State
	ack   [2]uint32 // by side, 0 the initiator: what it expects next
	end   [2]uint16 // end of its last segment
	bait  uint32
	fresh bool // the last segment has begun the flow
}

// distance is how far a is ahead of b.
func distance(a, b uint32) int { return int(int32(a - b)) }

// whole is what becomes of a segment, which may begin a flow. fresh says that
// it did. If answer, what is picked up is taken for the responder's.
func (j *judge) whole(side int, info *packet.Info, midstream, answer bool) Step {
	j.fresh = false
	step := Reopen
	if j.state != NoState {
		step = j.packet(side, info)
	}
	s := newJudged(info)
	begins := s.syn && !s.hasAck || midstream && !s.syn && !s.fin && !s.rst
	switch {
	case step != Reopen:
		return step
	case s.nonsense() || !begins:
		return Invalid
	}
	if j.state == NoState {
		step = Pass
	}
	j.begin(&s, answer)
	return step
}

func (j *judge) begin(s *judged, answer bool) {
	if s.syn {
		*j = judge{state: SynSent, ack: [2]uint32{s.ack, s.seq + 1}, end: [2]uint16{uint16(s.end)}, fresh: true}
		return
	}
	if answer {
		*j = judge{state: MidstreamResponder, ack: [2]uint32{s.end, s.ack}, end: [2]uint16{0, uint16(s.end)}, fresh: true}
		return
	}
	*j = judge{state: Midstream, ack: [2]uint32{s.ack, s.end}, end: [2]uint16{uint16(s.end)}, fresh: true}
}

// judged is a segment.
type judged struct {
	syn, fin, rst, hasAck bool
	seq, ack, end         uint32
	payload               int
}

func newJudged(info *packet.Info) judged {
	has := func(f uint8) bool { return info.TCPFlags&f != 0 }
	s := judged{syn: has(flagSyn), fin: has(flagFin), rst: has(flagRst), hasAck: has(flagAck),
		seq: info.TCPSeq, ack: info.TCPAck, payload: int(info.Payload)}
	s.end = s.seq + uint32(s.payload)
	if s.syn {
		s.end++
	}
	if s.fin {
		s.end++
	}
	return s
}

func (s *judged) nonsense() bool {
	return s.syn && (s.fin || s.rst) || !s.syn && !s.rst && !s.hasAck
}

// packet is what becomes of a segment of that side.
func (j *judge) packet(side int, info *packet.Info) Step {
	s := newJudged(info)
	switch {
	case s.nonsense():
		return Invalid
	case s.syn && s.hasAck:
		return j.synAck(side, &s)
	case s.syn:
		return j.syn(side, &s)
	case s.rst:
		return j.rst(side, &s)
	case j.opening():
		return j.answer(side, &s)
	}
	return j.talk(side, &s)
}

func (j *judge) opening() bool {
	return j.state == SynSent || j.state == SynCrossed || j.state == SynAnswered || j.state == SynReceived
}

func (j *judge) pickedUp() bool { return j.state == Midstream || j.state == MidstreamResponder }

func (j *judge) syn(side int, s *judged) Step {
	switch {
	case j.state.Finished():
		return Reopen
	case j.opening() && !(side == 1 && (j.state == SynAnswered || j.state == SynReceived)):
		j.ack[1-side] = s.seq + 1
		j.end[side] = uint16(s.end)
		if side == 1 {
			j.state = SynCrossed
		}
	case !j.opening() && side == 0:
		j.bait = s.seq + 1
	}
	return Pass
}

func (j *judge) synAck(side int, s *judged) Step {
	answers := s.hasAck && distance(s.ack, j.ack[side]) >= 0 && distance(s.ack, j.ack[side]) < 65536
	baited := j.bait != 0 && s.ack == j.bait
	open := j.state == Established || j.state == FinInitiator || j.state == FinResponder || j.state == Closing
	switch {
	case j.state == SynSent && side == 0, side == 0 && (j.pickedUp() || j.state.Finished()),
		j.state == SynReceived && side == 0 && !answers, open && side == 0 && !j.near(side, s):
		return Invalid
	case j.opening() && answers:
		j.state = j.afterSynAck(side)
	case side == 1 && baited && j.state == Established:
	case side == 1 && baited && (open || j.pickedUp()):
		j.state = SynReceived
	default:
		return Pass
	}
	if side == 0 && open {
		return Pass
	}
	j.ack[side], j.end[side], j.ack[1-side] = s.ack, uint16(s.end), s.seq+1
	return Pass
}

func (j *judge) near(side int, s *judged) bool {
	d, a := distance(s.seq, j.ack[1-side]), distance(s.ack, j.ack[side])
	return d >= -65536 && d < 65536 && a >= -65536 && a < 65536
}

func (j *judge) afterSynAck(side int) State {
	switch {
	case j.state == SynSent:
		return SynReceived
	case j.state == SynCrossed && side == 0:
		return SynAnswered
	case j.state == SynCrossed:
		return SynReceived
	case j.state == SynAnswered && side == 1, j.state == SynReceived && side == 0:
		return Established
	}
	return j.state
}

func (j *judge) rst(side int, s *judged) Step {
	d := distance(s.seq, j.ack[1-side])
	inOrder := uint16(s.seq) == j.end[side]
	believed := d == 0 || inOrder && d > 0 && d < 65536
	switch j.state {
	case SynSent:
		a := distance(s.ack, j.ack[side])
		believed = side == 1 && s.hasAck && a >= 0 && a < 65536
	case FinInitiator, FinResponder, Closing:
		believed = d >= -65536 && d < 65536 || inOrder && d >= 0 && d < 1<<24
	case TimeWait, ResetInitiator, ResetResponder:
		believed = false
	}
	if believed {
		j.state = ResetInitiator + State(side)
	}
	return Pass
}

// answer is a segment with an ACK while the handshake is not complete.
func (j *judge) answer(side int, s *judged) Step {
	waiting := j.state == SynReceived && side == 0 || j.state == SynAnswered && side == 1
	a := distance(s.ack, j.ack[side])
	switch {
	case waiting && a >= 0 && a < 65536:
		j.state = Established
		if s.fin {
			j.state = FinInitiator + State(side)
		}
		j.learn(side, s)
		return Pass
	case waiting:
		return Pass
	case j.state == SynReceived:
		if s.fin && j.inWindow(side, s) {
			j.state = FinResponder
		} else if s.fin {
			return Pass
		}
		j.learn(side, s)
		return Pass
	case s.fin || s.payload > 0 || j.state == SynSent && side == 0:
		return Invalid
	}
	return Pass // a challenge ACK
}

// talk is a segment with an ACK after the handshake.
func (j *judge) talk(side int, s *judged) Step {
	plausible := j.plausible(side, s)
	other := [2]State{FinResponder, FinInitiator}[side]
	mine := FinInitiator + State(side)
	waitsFor := [2]State{MidstreamResponder, Midstream}[side] // the state that ends when this side is heard
	switch {
	case j.state == waitsFor && !plausible:
		return Pass
	case j.state == waitsFor && s.fin:
		j.state = mine
	case j.state == waitsFor:
		j.state = Established
	case s.fin && (j.state == Established || j.state == other):
		if !j.inWindow(side, s) {
			return Pass
		}
		j.state = map[State]State{Established: mine, other: Closing}[j.state]
	case j.state == Closing && s.payload == 0 && !s.fin:
		if !j.inWindow(side, s) {
			return Pass
		}
		j.state = TimeWait
	case j.state == ResetInitiator || j.state == ResetResponder:
		if j.state != ResetInitiator+State(side) || s.fin || !plausible {
			return Pass
		}
		j.state = Established
	}
	j.learn(side, s)
	return Pass
}

func (j *judge) inWindow(side int, s *judged) bool {
	d := distance(s.seq, j.ack[1-side])
	return d >= -65536 && d < 65536 || uint16(s.seq) == j.end[side] && d >= 0 && d < 1<<24
}

func (j *judge) plausible(side int, s *judged) bool {
	d, a := distance(s.seq, j.ack[1-side]), distance(s.ack, j.ack[side])
	return s.hasAck && d >= -65536 && d < 1<<24 && a >= -(1<<24) && a < 1<<24
}

func (j *judge) learn(side int, s *judged) {
	if !j.plausible(side, s) {
		return
	}
	if distance(s.ack, j.ack[side]) > 0 {
		j.ack[side] = s.ack
	}
	j.end[side] = uint16(s.end)
}

// drawSegment makes segments that are often close to what is expected.
func drawSegment(t *rapid.T, j *judge, side int) packet.Info {
	flags := rapid.SampledFrom([]uint8{2, 18, 16, 16, 24, 17, 4, 20, 25, 0, 3, 6, 1, 8, 48}).Draw(t, "flags")
	near := func(name string, n uint32) uint32 {
		offsets := []int{0, 0, 0, 0, 1, -1, 100, 1460, -1460, 65535, 65536, -65536, -65537, 70000,
			1<<24 - 1, 1 << 24, -(1 << 24), -(1 << 24) - 1, 1 << 30, -(1 << 31)}
		return n + uint32(rapid.SampledFrom(offsets).Draw(t, name))
	}
	seq := j.ack[1-side]
	if rapid.Bool().Draw(t, "behind the last") {
		seq = seq&^0xffff | uint32(j.end[side])
	}
	ack := j.ack[side]
	if j.bait != 0 && rapid.IntRange(0, 3).Draw(t, "bait") == 0 {
		ack = j.bait
	}
	return packet.Info{
		Proto: protoTCP, Family: 4, TCPFlags: flags, TCPWindow: 100,
		TCPSeq: near("seq", seq), TCPAck: near("ack", ack),
		Payload: rapid.SampledFrom([]uint16{0, 0, 1, 100, 1460}).Draw(t, "payload"),
	}
}

// stateMachineAgrees is the property that both tests below check: after every one of many
// segments, table and judge say the same.
func stateMachineAgrees(t *rapid.T) {
	w := newTCPWorld(t)
	w.midstream = rapid.Bool().Draw(t, "midstream")
	w.answer = rapid.Bool().Draw(t, "answer")
	var j judge
	for range 60 {
		side := rapid.IntRange(0, 1).Draw(t, "side")
		if j.state == NoState {
			w.initiator = packet.Dir(rapid.IntRange(0, 1).Draw(t, "initiator"))
			side = 0
		}
		info := drawSegment(t, &j, side)
		d := w.initiator ^ packet.Dir(side)
		want := j.whole(side, &info, w.midstream, w.answer)
		if want == Reopen || want == Pass && j.fresh {
			w.initiator = d
			if j.state == MidstreamResponder {
				w.initiator ^= 1
			}
		}
		step, state := w.packet(d, &info)
		if step != want || state != j.state {
			t.Fatalf("segment %+v of side %d: got %s %s, want %s %s", info, side, stepNames[step], state, stepNames[want], j.state)
		}
	}
}

func TestStateMachineAgreesWithTheJudge(t *testing.T) { rapid.Check(t, stateMachineAgrees) }

func FuzzStateMachineAgreesWithTheJudge(f *testing.F) { f.Fuzz(rapid.MakeFuzz(stateMachineAgrees)) }
