// SPDX-License-Identifier: Apache-2.0

package flowtable

// State is what the table knows of a conversation. The initiator is who sent
// its first packet; the responder is the other one.
type State uint8

// The states. The number of a state is part of the layout.
//
//	SynSent -> SynReceived -> Established -> FinInitiator -> Closing -> TimeWait
//	  |            ^               |      \-> FinResponder -^
//	  +-> SynCrossed -> SynAnswered |
//	  (simultaneous open)           +-> ResetInitiator, ResetResponder
const (
	NoState        State = iota // not a flow; the zero value
	SynSent                     // TCP: SYN of the initiator
	SynCrossed                  // both have sent a SYN: simultaneous open, split handshake
	SynAnswered                 // the same, and the initiator has sent SYN and ACK
	SynReceived                 // the responder has sent SYN and ACK
	Established                 // the handshake is complete
	FinInitiator                // FIN of the initiator
	FinResponder                // FIN of the responder
	Closing                     // FIN of both
	TimeWait                    // FIN of both, and an ACK after them
	ResetInitiator              // RST of the initiator, believed
	ResetResponder              // RST of the responder, believed
	Midstream                   // TCP, picked up in the middle from the initiator; the responder not heard yet
	UDPUnreplied
	UDPReplied
	ICMPUnreplied
	ICMPReplied
	OtherUnreplied // any other protocol
	OtherReplied
	OneWay             // to a group: nobody can answer
	MidstreamResponder // TCP, picked up in the middle from the responder; the initiator not heard yet

	NumStates
)

// stateSpace is the size of tables by state: a power of two, so that an index
// is cut to it for nothing.
const stateSpace = 32

var stateNames = [NumStates]string{
	NoState: "none", SynSent: "syn_sent", SynCrossed: "syn_crossed", SynAnswered: "syn_answered",
	SynReceived: "syn_received", Established: "established", FinInitiator: "fin_initiator",
	FinResponder: "fin_responder", Closing: "closing", TimeWait: "time_wait",
	ResetInitiator: "reset_initiator", ResetResponder: "reset_responder", Midstream: "midstream",
	UDPUnreplied: "udp_unreplied", UDPReplied: "udp_replied", ICMPUnreplied: "icmp_unreplied",
	ICMPReplied: "icmp_replied", OtherUnreplied: "other_unreplied", OtherReplied: "other_replied",
	OneWay: "one_way", MidstreamResponder: "midstream_responder",
}

// String is the state's name, lower case with underscores; it never changes.
func (s State) String() string {
	if s < NumStates {
		return stateNames[s]
	}
	return "invalid"
}

// Unconfirmed says that only one side has been heard, or that the handshake is
// not complete: the flow may be forged, and gives way when the table is full.
func (s State) Unconfirmed() bool { return unconfirmed>>s&1 != 0 }

// Finished says that the conversation is over, and the entry only waits for
// late packets.
func (s State) Finished() bool { return finished>>s&1 != 0 }

const (
	unconfirmed = 1<<SynSent | 1<<SynCrossed | 1<<SynAnswered | 1<<SynReceived | 1<<Midstream | 1<<MidstreamResponder |
		1<<UDPUnreplied | 1<<ICMPUnreplied | 1<<OtherUnreplied | 1<<OneWay
	finished = 1<<TimeWait | 1<<ResetInitiator | 1<<ResetResponder
)
