// SPDX-License-Identifier: Apache-2.0

package classifier

import "net/netip"

// Linear answers by trying rule after rule, each field by its plain meaning.
// It is slow and obviously right, and stays as the judge of every faster form.
//
// The zero value is not usable, NewLinear makes one. It holds nothing that
// changes: any number of goroutines may call its methods at the same time.
// A lookup costs time in proportion to the rules, and allocates nothing.
type Linear struct {
	program *Program
}

// NewLinear checks p and returns a classifier over it. p is not copied and
// must not be changed from then on. The error names the rule or set that
// contradicts itself, and where several do, the first.
func NewLinear(p *Program) (*Linear, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return &Linear{program: p}, nil
}

// Lookup returns the index of the first rule that matches k, or NoRule.
func (l *Linear) Lookup(k *Key) (rule int) {
	for i := range l.program.Rules {
		if l.program.mismatch(&l.program.Rules[i], k) == Matched {
			return i
		}
	}
	return NoRule
}

// Field names the part of a rule that did not match.
type Field uint8

// The parts of a rule, in the order in which they are tried.
const (
	Matched      Field = iota // every part matched: the rule decides
	WireField                 // the packet came by another wire
	SourceField               // the source is not in the rule's set
	DestField                 // the destination is not in the rule's set
	ServiceField              // no service of the rule names the packet
)

var fieldNames = [...]string{"matched", "wire", "source", "destination", "service"}

// String returns the field's name in lower case.
func (f Field) String() string {
	if int(f) < len(fieldNames) {
		return fieldNames[f]
	}
	return "unknown"
}

// Step says what became of one rule on the way to the answer.
type Step struct {
	Rule  int   // index into Program.Rules
	Field Field // the first part that did not match, or Matched
}

// Explain returns one step for each rule that Lookup tries for k. The last
// has the field Matched unless Lookup answers NoRule. It allocates: it is for
// people, not for packets.
func (l *Linear) Explain(k *Key) []Step {
	var steps []Step
	for i := range l.program.Rules {
		field := l.program.mismatch(&l.program.Rules[i], k)
		steps = append(steps, Step{Rule: i, Field: field})
		if field == Matched {
			break
		}
	}
	return steps
}

// mismatch returns the first part of r that does not match k.
func (p *Program) mismatch(r *Rule, k *Key) Field {
	switch {
	case !containsWire(r.Wires, k.Wire):
		return WireField
	case !p.contains(r.Src, k.Src):
		return SourceField
	case !p.contains(r.Dst, k.Dst):
		return DestField
	case !namesService(r.Services, k):
		return ServiceField
	}
	return Matched
}

// containsWire reports whether wire is in the list; an empty list is any.
func containsWire(wires []uint16, wire uint16) bool {
	for _, w := range wires {
		if w == wire {
			return true
		}
	}
	return len(wires) == 0
}

// contains reports whether an address is in the set of that index. The
// netip package never finds an IPv4 address in an IPv6 prefix, nor the other
// way round.
func (p *Program) contains(set int, addr netip.Addr) bool {
	if set == AnySet {
		return true
	}
	for _, prefix := range p.Sets[set].Prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// namesService reports whether one of the services names the packet. An empty
// list is any service, and like it names no tunnel.
func namesService(services []Service, k *Key) bool {
	for i := range services {
		if services[i].names(k) {
			return true
		}
	}
	return len(services) == 0 && k.Tunnel == 0
}

// names reports whether s names the packet. What opens a tunnel is named by
// that tunnel alone: a rule about UDP does not mean what VXLAN carries.
func (s *Service) names(k *Key) bool {
	switch {
	case s.Tunnel != 0 || k.Tunnel != 0:
		return s.Tunnel == k.Tunnel
	case s.AnyProto:
		return true
	case s.Proto != k.Proto:
		return false
	case hasPorts(s.Proto):
		return inRanges(s.SrcPorts, k.SrcPort) && inRanges(s.DstPorts, k.DstPort)
	case hasICMP(s.Proto):
		return s.AnyICMP || s.Type == k.ICMPType && (s.AnyCode || s.Code == k.ICMPCode)
	}
	return true
}

// inRanges reports whether port is in one of the ranges; no range is any port.
func inRanges(ranges []PortRange, port uint16) bool {
	for _, r := range ranges {
		if r.Lo <= port && port <= r.Hi {
			return true
		}
	}
	return len(ranges) == 0
}

// IP protocol numbers (IANA) of which a key holds more than the number.
const (
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// hasPorts reports whether a key of this protocol has ports.
func hasPorts(proto uint8) bool {
	return proto == protoTCP || proto == protoUDP || proto == protoSCTP
}

// hasICMP reports whether a key of this protocol has an ICMP type and code.
func hasICMP(proto uint8) bool {
	return proto == protoICMP || proto == protoICMPv6
}
