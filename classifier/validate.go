// SPDX-License-Identifier: Apache-2.0

package classifier

import (
	"errors"
	"fmt"
)

// Validate reports the first place where p contradicts itself: a set index
// out of range, a prefix that is none, a range whose low end is above its high
// end, or a field that its service would never look at. The error tells the
// rule or set by index; it is an error of the program that made p, not of the
// person who wrote the policy.
func (p *Program) Validate() error {
	for i := range p.Sets {
		if err := p.Sets[i].validate(); err != nil {
			return fmt.Errorf("set %d (%q): %w", i, p.Sets[i].Name, err)
		}
	}
	for i := range p.Rules {
		if err := p.Rules[i].validate(len(p.Sets)); err != nil {
			return fmt.Errorf("rule %d: %w", i, err)
		}
	}
	return nil
}

// validate refuses prefixes that netip would never find an address in, and
// those that are written in two ways.
func (s *Set) validate() error {
	for i, prefix := range s.Prefixes {
		if !prefix.IsValid() {
			return fmt.Errorf("prefix %d: not valid", i)
		}
		if prefix != prefix.Masked() {
			return fmt.Errorf("prefix %v: bits set behind its length", prefix)
		}
	}
	return nil
}

// validate refuses a rule over sets that are not there, or with a service that
// contradicts itself.
func (r *Rule) validate(sets int) error {
	for _, set := range []int{r.Src, r.Dst} {
		if set != AnySet && (set < 0 || set >= sets) {
			return fmt.Errorf("set %d: there are %d", set, sets)
		}
	}
	for i := range r.Services {
		if err := r.Services[i].validate(); err != nil {
			return fmt.Errorf("service %d: %w", i, err)
		}
	}
	return nil
}

// validate refuses a service with a field that names would pass over: whoever
// set it meant something by it.
func (s *Service) validate() error {
	ports := len(s.SrcPorts)+len(s.DstPorts) > 0
	icmp := s.AnyICMP || s.Type != 0 || s.Code != 0 || s.AnyCode
	switch {
	case s.Tunnel != 0 || s.AnyProto:
		return nil // the rest is not looked at, as their comments say
	case ports && !hasPorts(s.Proto):
		return fmt.Errorf("protocol %d has no ports", s.Proto)
	case icmp && !hasICMP(s.Proto):
		return fmt.Errorf("protocol %d has no ICMP type", s.Proto)
	}
	return errors.Join(validRanges(s.SrcPorts), validRanges(s.DstPorts))
}

// validRanges refuses a range that no port is in.
func validRanges(ranges []PortRange) error {
	for _, r := range ranges {
		if r.Lo > r.Hi {
			return fmt.Errorf("ports %d-%d: the low end is above the high end", r.Lo, r.Hi)
		}
	}
	return nil
}
