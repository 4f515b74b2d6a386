// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"sync/atomic"

	"golang.org/x/sys/unix"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/flowtable"
)

// policy is a published policy. Workers share it and change nothing in it but
// the hits.
type policy struct {
	generation uint32 // 0: no policy yet
	linear     *classifier.Linear
	verdicts   []Verdict // by rule
	otherwise  Verdict   // what no rule matches
	unnamed    Verdict   // a tunnel that no rule names: Drop or Forward

	// hits counts the flows judged, by rule; the last by the default. Workers
	// add to it only when a flow begins, so that they seldom meet there.
	hits []atomic.Uint64
}

// noPolicy drops everything.
var noPolicy = &policy{}

// compile makes a policy ready for publication; unnamed is the verdict of
// tunnels that no rule names.
func compile(p Policy, generation uint32, unnamed Verdict) (*policy, error) {
	linear, err := classifier.NewLinear(p.Program)
	if err != nil {
		return nil, err
	}
	c := &policy{generation: generation, linear: linear, otherwise: p.Default, unnamed: unnamed}
	for _, r := range p.Program.Rules {
		c.verdicts = append(c.verdicts, Verdict(r.Verdict))
	}
	c.hits = make([]atomic.Uint64, len(p.Program.Rules)+1)
	return c, nil
}

// classify judges the packet that a key describes.
func (c *policy) classify(k *classifier.Key) flowtable.Decision {
	rule := c.linear.Lookup(k)
	d := flowtable.Decision{Rule: flowtable.NoRule, Generation: uint16(c.generation)}
	verdict := c.otherwise
	switch {
	case rule != classifier.NoRule:
		verdict, d.Rule = c.verdicts[rule], uint32(rule)
	case k.Tunnel != 0:
		d.Verdict, d.Reason = uint8(c.unnamed), uint8(event.Unnamed)
		return d
	}
	d.Verdict, d.Reason = uint8(verdict), uint8(reasonFor(verdict, rule))
	return d
}

// reasonFor names why a verdict is not Forward; 0 when it is.
func reasonFor(v Verdict, rule int) event.Reason {
	switch {
	case v == Forward:
		return 0
	case v == Reject:
		return event.Rejected
	case rule != classifier.NoRule:
		return event.Denied
	}
	return event.DefaultDeny
}

// count notes that a flow was judged by a rule.
func (c *policy) count(rule uint32) {
	if rule == flowtable.NoRule {
		rule = uint32(len(c.hits) - 1)
	}
	c.hits[rule].Add(1)
}

// question is what the classifier is asked about a flow: its packets in the
// direction of the one who began it. Asked again under another policy, it is
// the same question.
func question(k *packet.Key, initiator packet.Dir, wire uint16) classifier.Key {
	src, dst, srcPort, dstPort := k.A, k.B, k.PortA(), k.PortB()
	if initiator == packet.BtoA {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	q := classifier.Key{
		Src: src.Netip(k.Family()), Dst: dst.Netip(k.Family()),
		Proto: k.Proto(), Wire: wire,
		Tunnel: uint8(packet.TunnelOf(k.Proto(), dstPort)),
	}
	if p := k.Proto(); p == unix.IPPROTO_ICMP || p == unix.IPPROTO_ICMPV6 {
		q.ICMPType, q.ICMPCode, _ = k.ICMP()
	} else {
		q.SrcPort, q.DstPort = srcPort, dstPort
	}
	return q
}
