// SPDX-License-Identifier: Apache-2.0

// Package event carries what a worker has to tell out of the packet path: the
// reasons for which packets are dropped, records of fixed size, and a ring that
// neither side ever waits for.
//
// The package is a leaf: it imports nothing of ours.
package event

import "net/netip"

// Kind says what a record tells.
type Kind uint8

// The kinds of records.
const (
	FlowNew   Kind = 1 + iota // a conversation began, and was judged
	FlowEnd                   // a conversation ended; Packets and Bytes are its totals
	Rejudged                  // a new policy changed the verdict of a live conversation
	Violation                 // a packet was dropped by the policy, or for a reason that is not the policy's
)

// Record is one event: 128 bytes or less, without pointers. Addresses are
// words in big-endian order, IPv4 in its mapped form, as in packet.Addr.
type Record struct {
	Time             int64 // monotonic nanoseconds
	Src, Dst         [2]uint64
	Packets, Bytes   [2]uint64 // of a flow: [0] from its initiator, [1] to it
	Duration         int64     // of a flow that ended, nanoseconds
	Generation       uint32    // of the policy that decided
	Rule             int32     // index in that policy; -1: no rule
	SrcPort, DstPort uint16
	Wire             uint16 // index of the wire
	Kind             Kind
	Reason           Reason
	Verdict          uint8 // as dataplane.Verdict
	Family, Proto    uint8
	ICMPType         uint8
	ICMPCode         uint8
	Side             uint8 // port that the packet came by: 0 is a, 1 is b
}

// Source gives the source address for people.
func (r *Record) Source() netip.Addr { return address(r.Src, r.Family) }

// Destination gives the destination address for people.
func (r *Record) Destination() netip.Addr { return address(r.Dst, r.Family) }

func address(words [2]uint64, family uint8) netip.Addr {
	var b [16]byte
	for i := range 8 {
		b[i] = byte(words[0] >> (56 - 8*i))
		b[8+i] = byte(words[1] >> (56 - 8*i))
	}
	switch family {
	case 4:
		return netip.AddrFrom16(b).Unmap()
	case 6:
		return netip.AddrFrom16(b)
	}
	return netip.Addr{}
}
