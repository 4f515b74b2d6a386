// SPDX-License-Identifier: Apache-2.0

// Package classifier answers which rule of a program a packet meets first.
//
// A Program is what a policy is resolved to: an ordered list of rules over
// named sets of addresses and services. Linear answers from it by trying rule
// after rule: slow, plain and the judge of every faster form.
//
// The package is a leaf: it knows nothing of labels, frames or kernels.
package classifier

import "net/netip"

// Key is what is classified: a packet in the direction of the one who began
// the conversation. IPv4 addresses are plain (not mapped), so that an IPv4 key
// never meets an IPv6 prefix.
type Key struct {
	Src, Dst         netip.Addr
	SrcPort, DstPort uint16 // 0 unless TCP, UDP or SCTP
	Proto            uint8  // IP protocol
	ICMPType         uint8  // valid with ICMP (1) and ICMPv6 (58)
	ICMPCode         uint8
	Tunnel           uint8  // the tunnel that the packet opens; 0: none
	Wire             uint16 // index of the wire that it came by
}

// Set is a named set of addresses: prefixes of both families in any order.
// Rules refer to sets by index, so that a rule between two sets of a thousand
// addresses each is one rule.
type Set struct {
	Name     string
	Prefixes []netip.Prefix
}

// AnySet stands in a rule for every address of both families.
const AnySet = -1

// PortRange is a range of ports with both ends in it.
type PortRange struct{ Lo, Hi uint16 }

// Service is one alternative of what a rule is about. A packet matches when
// every field that is set matches.
type Service struct {
	AnyProto bool        // any IP protocol; the fields below are then not looked at
	Proto    uint8       // IP protocol; 0 is protocol 0, not any
	SrcPorts []PortRange // TCP, UDP and SCTP; empty: any
	DstPorts []PortRange // TCP, UDP and SCTP; empty: any
	AnyICMP  bool        // any type and code; else Type, and Code unless AnyCode
	Type     uint8
	Code     uint8
	AnyCode  bool
	Tunnel   uint8 // not 0: packets that open this tunnel, whatever the rest says
}

// Verdict is an opaque word that belongs to the caller.
type Verdict uint32

// Rule matches a packet whose source and destination are in its sets, that one
// of its services names, and that came by one of its wires.
//
// A packet that opens a tunnel is matched only by a service that names the
// tunnel; a service for any protocol does not.
type Rule struct {
	Src, Dst int       // index into Program.Sets, or AnySet
	Services []Service // empty: any
	Wires    []uint16  // empty: any
	Verdict  Verdict
}

// Program is an ordered list of rules: the first that matches is the answer.
type Program struct {
	Sets  []Set
	Rules []Rule
}

// NoRule is the rule index of a packet that no rule matches.
const NoRule = -1
