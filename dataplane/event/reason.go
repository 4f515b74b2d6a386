// SPDX-License-Identifier: Apache-2.0

package event

// Reason says why a packet was dropped, or why a packet passed that no rule
// allowed. Every drop has one, and every one is counted. The first reasons have the numbers and names
// of packet.Outcome (a test in dataplane compares the two lists); the rest
// follow from here.
type Reason uint8

// The reasons that are not outcomes of the parser.
const (
	// What flow table and policy say.
	Denied          Reason = 64 + iota // a rule denies it
	DefaultDeny                        // no rule matches and the default is deny
	Rejected                           // a rule rejects it; an answer may have been sent
	NoPolicy                           // no policy has been published yet
	Unnamed                            // a tunnel that no rule names
	Midstream                          // TCP of no known flow that does not begin one
	InvalidState                       // TCP flags that the flow's state does not allow
	FragmentOrphan                     // a later fragment whose first was not seen, or was dropped
	FragmentOverlap                    // a fragment that overlaps the first of its datagram
	ICMPUnrelated                      // an ICMP error that quotes no live flow
	TableFull                          // there is no room for a new flow

	// What the wire says.
	VLANUnknown // no wire has the frame's VLAN on this interface
	NoHeadroom  // no room in the frame to add a VLAN tag
	BadFrame    // a descriptor of the kernel's that no frame can have, or a frame in several pieces
	TXFull      // the way out is full
	TXDown      // the way out has no carrier or is gone
	Stale       // it waited in the ring of a worker that was hung

	// What the kernel says: its AF_XDP sockets, then the XDP program. It counts
	// these by itself.
	RXRingFull   // the worker was too slow: its receive ring was full
	RXNoFrame    // no frame for it in the fill ring, or none that it fits
	Oversize     // longer than a frame of the packet memory
	Starting     // it came before the gateway was ready
	QueueUnbound // a queue without a socket while the gateway lives: a fault
	FailClosed   // the gateway is gone or hung, the wire fails closed
	FailOpen     // the gateway is gone or hung, the wire fails open: passed unjudged

	NumReasons // how many numbers there are; not all below 64 are used
)
