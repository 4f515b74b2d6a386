// SPDX-License-Identifier: Apache-2.0

package flowtable

// Class is what a packet is to the state machine.
type Class uint8

// The classes. TCP's come from the flags and from whether there is payload.
const (
	Datagram Class = iota // anything but TCP
	Syn                   // SYN alone
	SynAck
	Ack  // ACK without payload
	Data // ACK with payload
	Fin  // FIN and ACK
	Rst
	Bad // flags that no TCP sends

	NumClasses
)

// Check is what must hold of a segment's numbers before a move is made. The
// names are explained where they are computed (segment.holds).
type Check uint8

// The checks, from none to the strictest.
const (
	Always    Check = iota
	Plausible       // in a generous window
	InWindow        // within 64 KiB of what is expected, or next in order
	Exact           // what RFC 5961, section 3.2, wants of an RST
	Answers         // acknowledges what the other side's SYN wants acknowledged
	Near            // both numbers within 64 KiB of what is expected
	Bait            // acknowledges a SYN that was let through inside the open flow
)

// Write is what a move stores of a segment's numbers.
type Write uint8

// What is stored.
const (
	Nothing Write = iota
	Track         // acknowledgement, window and end, if they are plausible
	Open          // a SYN begins: what the other side will acknowledge
	Accept        // SYN and ACK: both sides' numbers are known
	SetBait       // a SYN inside an open flow: what would acknowledge it
)

// Step is what becomes of the packet.
type Step uint8

// The steps. The zero value drops.
const (
	Invalid Step = iota // the flow's state does not allow it
	Pass                // it belongs to the flow
	Reopen              // it begins a new conversation: End the flow, then treat as a miss
)

// Move is one cell of the transition table. If the check holds, the state
// becomes Next (unless that is NoState), the numbers are written, and the packet
// takes Step; else nothing changes and the packet takes Else.
type Move struct {
	Next  State
	Check Check
	Write Write
	Step  Step
	Else  Step
}

// The moves that the table is made of.
var (
	no     = Move{}
	pass   = Move{Step: Pass}
	track  = Move{Step: Pass, Write: Track}
	open   = Move{Step: Pass, Write: Open}
	bait   = Move{Step: Pass, Write: SetBait}
	reopen = Move{Step: Reopen}
	near   = Move{Step: Pass, Check: Near}
	accept = Move{Step: Pass, Check: Answers, Write: Accept, Else: Pass}
	rebait = Move{Step: Pass, Check: Bait, Write: Accept, Else: Pass}
)

// to is a move to a state; a segment that fails the check passes and changes
// nothing (the end host decides, and may answer with a challenge ACK).
func to(s State, c Check, w Write) Move {
	return Move{Next: s, Check: c, Write: w, Step: Pass, Else: Pass}
}

// then is the move m to a state.
func (m Move) then(s State) Move {
	m.Next = s
	return m
}

// row is the moves of one state for the packets of one side.
type row struct {
	state     State
	responder bool
	moves     [NumClasses]Move
}

// rows is the transition table, as RFC 9293 with RFC 5961 asks of hosts, seen
// from between them:
//
//   - A SYN inside an open flow passes and changes nothing (RFC 5961, section
//     4: the host answers with a challenge ACK). If the host has forgotten the
//     connection it answers SYN and ACK for that SYN, and the numbers are
//     learnt anew. Only a finished flow is opened again by a SYN.
//   - An RST is believed only if it is exact (RFC 5961, section 3.2), or, once a
//     FIN was seen, in the window. Any other passes and closes nothing. If the
//     side that seems to have sent the RST goes on talking, the flow is open
//     again (as in RFC 6146, section 3.5.2.2, state TRANS).
//   - A SYN and ACK of the initiator is accepted only after a SYN of the
//     responder, so that nobody can turn a flow round.
//   - A bare ACK in reply to a SYN is a challenge ACK and passes; data do not.
//   - A segment that is let through without its numbers being right never
//     changes what is stored.
var rows = [...]row{
	//                            Datagram  Syn     SynAck  Ack    Data   Fin    Rst
	{SynSent, false, [NumClasses]Move{no, open, no, no, no, no, pass}},
	{SynSent, true, [NumClasses]Move{no, open.then(SynCrossed), accept.then(SynReceived), pass, no, no,
		to(ResetResponder, Answers, Nothing)}},

	{SynCrossed, false, [NumClasses]Move{no, open, accept.then(SynAnswered), pass, no, no,
		to(ResetInitiator, Exact, Nothing)}},
	{SynCrossed, true, [NumClasses]Move{no, open, accept.then(SynReceived), pass, no, no,
		to(ResetResponder, Exact, Nothing)}},

	{SynAnswered, false, [NumClasses]Move{no, open, accept, pass, no, no, to(ResetInitiator, Exact, Nothing)}},
	{SynAnswered, true, [NumClasses]Move{no, pass, accept.then(Established), to(Established, Answers, Track),
		to(Established, Answers, Track), to(FinResponder, Answers, Track), to(ResetResponder, Exact, Nothing)}},

	{SynReceived, false, [NumClasses]Move{no, open, {Step: Pass, Check: Answers, Write: Accept, Next: Established},
		to(Established, Answers, Track), to(Established, Answers, Track), to(FinInitiator, Answers, Track),
		to(ResetInitiator, Exact, Nothing)}},
	{SynReceived, true, [NumClasses]Move{no, pass, accept, track, track, to(FinResponder, InWindow, Track),
		to(ResetResponder, Exact, Nothing)}},

	{Established, false, [NumClasses]Move{no, bait, near, track, track, to(FinInitiator, InWindow, Track),
		to(ResetInitiator, Exact, Nothing)}},
	{Established, true, [NumClasses]Move{no, pass, rebait, track, track, to(FinResponder, InWindow, Track),
		to(ResetResponder, Exact, Nothing)}},

	{FinInitiator, false, [NumClasses]Move{no, bait, near, track, track, track, to(ResetInitiator, InWindow, Nothing)}},
	{FinInitiator, true, [NumClasses]Move{no, pass, rebait.then(SynReceived), track, track, to(Closing, InWindow, Track),
		to(ResetResponder, InWindow, Nothing)}},

	{FinResponder, false, [NumClasses]Move{no, bait, near, track, track, to(Closing, InWindow, Track),
		to(ResetInitiator, InWindow, Nothing)}},
	{FinResponder, true, [NumClasses]Move{no, pass, rebait.then(SynReceived), track, track, track,
		to(ResetResponder, InWindow, Nothing)}},

	{Closing, false, [NumClasses]Move{no, bait, near, to(TimeWait, InWindow, Nothing), track, track,
		to(ResetInitiator, InWindow, Nothing)}},
	{Closing, true, [NumClasses]Move{no, pass, rebait.then(SynReceived), to(TimeWait, InWindow, Nothing), track, track,
		to(ResetResponder, InWindow, Nothing)}},

	// An RST in TIME-WAIT is ignored (RFC 1337).
	{TimeWait, false, [NumClasses]Move{no, reopen, no, pass, pass, pass, pass}},
	{TimeWait, true, [NumClasses]Move{no, reopen, pass, pass, pass, pass, pass}},

	{ResetInitiator, false, [NumClasses]Move{no, reopen, no, to(Established, Plausible, Track),
		to(Established, Plausible, Track), pass, pass}},
	{ResetInitiator, true, [NumClasses]Move{no, reopen, pass, pass, pass, pass, pass}},
	{ResetResponder, false, [NumClasses]Move{no, reopen, no, pass, pass, pass, pass}},
	{ResetResponder, true, [NumClasses]Move{no, reopen, pass, to(Established, Plausible, Track),
		to(Established, Plausible, Track), pass, pass}},

	{Midstream, false, [NumClasses]Move{no, bait, no, track, track, track, to(ResetInitiator, Exact, Nothing)}},
	{Midstream, true, [NumClasses]Move{no, pass, rebait.then(SynReceived), to(Established, Plausible, Track),
		to(Established, Plausible, Track), to(FinResponder, Plausible, Track), to(ResetResponder, Exact, Nothing)}},

	{MidstreamResponder, false, [NumClasses]Move{no, bait, no, to(Established, Plausible, Track),
		to(Established, Plausible, Track), to(FinInitiator, Plausible, Track), to(ResetInitiator, Exact, Nothing)}},
	{MidstreamResponder, true, [NumClasses]Move{no, pass, rebait.then(SynReceived), track, track, track,
		to(ResetResponder, Exact, Nothing)}},

	{UDPUnreplied, false, [NumClasses]Move{pass}},
	{UDPUnreplied, true, [NumClasses]Move{pass.then(UDPReplied)}},
	{UDPReplied, false, [NumClasses]Move{pass}},
	{UDPReplied, true, [NumClasses]Move{pass}},

	{ICMPUnreplied, false, [NumClasses]Move{pass}},
	{ICMPUnreplied, true, [NumClasses]Move{pass.then(ICMPReplied)}},
	{ICMPReplied, false, [NumClasses]Move{pass}},
	{ICMPReplied, true, [NumClasses]Move{pass}},

	{OtherUnreplied, false, [NumClasses]Move{pass}},
	{OtherUnreplied, true, [NumClasses]Move{pass.then(OtherReplied)}},
	{OtherReplied, false, [NumClasses]Move{pass}},
	{OtherReplied, true, [NumClasses]Move{pass}},

	{OneWay, false, [NumClasses]Move{pass}},
}

// transitions is rows by state, side (0 the initiator) and class. What is not
// in a row is Invalid.
var transitions = func() (t [stateSpace][2][NumClasses]Move) {
	for _, r := range rows {
		side := 0
		if r.responder {
			side = 1
		}
		t[r.state][side] = r.moves
	}
	return t
}()

// Transitions is the transition table by state, side (0 the initiator, 1 the
// responder) and class: for those who compile it into other forms.
func Transitions() [NumStates][2][NumClasses]Move {
	return [NumStates][2][NumClasses]Move(transitions[:NumStates])
}
