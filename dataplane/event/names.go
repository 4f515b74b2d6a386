// SPDX-License-Identifier: Apache-2.0

package event

// reasons has names and what they mean, one list for counters, configuration and
// documents. Names never change their meaning. The first NumOutcomes of them
// are those of packet.Outcome.
var reasons = [NumReasons]struct{ name, what string }{
	Denied:          {"denied", "a rule denies it"},
	DefaultDeny:     {"default_deny", "no rule matches it and the policy's default is deny"},
	Rejected:        {"rejected", "a rule rejects it; the sender may have been told"},
	NoPolicy:        {"no_policy", "no policy has been published yet"},
	Unnamed:         {"unnamed_tunnel", "it opens a tunnel that no rule names"},
	Midstream:       {"midstream", "TCP of no known flow that does not begin one"},
	InvalidState:    {"invalid_state", "TCP flags that the state of its flow does not allow"},
	FragmentOrphan:  {"fragment_orphan", "a later fragment whose first was not seen, or was dropped"},
	FragmentOverlap: {"fragment_overlap", "a fragment that overlaps the first of its datagram"},
	ICMPUnrelated:   {"icmp_unrelated", "an ICMP error that quotes no live flow"},
	TableFull:       {"table_full", "there was no room for a new flow"},
	VLANUnknown:     {"vlan_unknown", "no port of a wire has its VLAN"},
	NoHeadroom:      {"no_headroom", "no room in the frame to add a VLAN tag"},
	BadFrame:        {"bad_frame", "a descriptor of the kernel's that no frame can have, or a frame in several pieces"},
	TXFull:          {"tx_full", "the way out was full"},
	TXDown:          {"tx_down", "the way out has no carrier or is gone"},
	Stale:           {"stale", "it waited in the ring of a worker that was hung, until it was too old"},
	RXRingFull:      {"rx_ring_full", "the worker was too slow: its receive ring was full"},
	RXNoFrame:       {"rx_no_frame", "the kernel found no frame of packet memory for it"},
	Oversize:        {"oversize", "longer than a frame of packet memory"},
	Starting:        {"starting", "it came before the gateway was ready"},
	QueueUnbound:    {"queue_unbound", "it came by a queue without a socket: a fault"},
	FailClosed:      {"fail_closed", "the gateway is gone or hung and the wire fails closed"},
	FailOpen:        {"fail_open", "the gateway is gone or hung and the wire fails open: passed unjudged"},
}

// Name is the reason's name: lower case with underscores. It is "" for the
// numbers below Denied, which have the names of packet.Outcome, and for
// numbers that are not used.
func (r Reason) Name() string {
	if r < NumReasons {
		return reasons[r].name
	}
	return ""
}

// What says in a few words what the reason means.
func (r Reason) What() string {
	if r < NumReasons {
		return reasons[r].what
	}
	return ""
}
