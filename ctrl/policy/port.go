// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strconv"
	"strings"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/packet"
)

// maxEntries is how many ports, types or protocols a key of a service may list.
const maxEntries = 1024

// ports reads true, for any port, or a list of ports and ranges.
func (s *serviceReader) ports(set *portSet, v *tomlfile.Value) {
	set.given = true
	items, listed := s.listOrTrue(v)
	if !listed {
		return
	}
	for i := range items {
		r, ok := s.portRange(&items[i])
		if set == &s.udp.dst && ok && r.Lo == r.Hi {
			ok = s.notTunnel(&items[i], r.Lo)
		}
		if ok {
			set.ranges = append(set.ranges, r)
		}
	}
	set.ranges = mergeRanges(set.ranges)
}

// notTunnel refuses a single UDP port that is a tunnel's: a service with that
// port would match nothing. A range that has it in its middle is taken for
// what it says, all the other ports.
func (s *serviceReader) notTunnel(v *tomlfile.Value, port uint16) bool {
	t := packet.TunnelOf(packet.ProtoUDP, port)
	if t == packet.NoTunnel {
		return true
	}
	s.doc.Addf(v.Pos, "udp: port %d %s", port, isTunnel(t))
	return false
}

// listOrTrue reads a list; false when v is true, or wrong.
func (s *serviceReader) listOrTrue(v *tomlfile.Value) ([]tomlfile.Value, bool) {
	switch {
	case v.Kind == tomlfile.KindBoolean && v.Text == "true":
		return nil, false
	case v.Kind == tomlfile.KindList:
		return s.list(v)
	}
	s.doc.Addf(v.Pos, "%s: want a list, or true for all of it", v.Name)
	return nil, false
}

// list reads a list that is not empty and not too long.
func (s *serviceReader) list(v *tomlfile.Value) ([]tomlfile.Value, bool) {
	items, ok := s.doc.List(v)
	if len(items) > maxEntries {
		s.doc.Addf(v.Pos, "%s: %d entries: a service has at most %d", v.Name, len(items), maxEntries)
		return nil, false
	}
	return items, ok
}

// portRange reads 443 or "8000-8100".
func (s *serviceReader) portRange(v *tomlfile.Value) (classifier.PortRange, bool) {
	if v.Kind == tomlfile.KindInteger {
		n, ok := s.doc.Integer(v, 0, 65535)
		return classifier.PortRange{Lo: uint16(n), Hi: uint16(n)}, ok
	}
	text, ok := s.doc.String(v)
	if !ok {
		return classifier.PortRange{}, false
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	lo, errLo := strconv.ParseUint(first, 10, 16)
	hi, errHi := strconv.ParseUint(last, 10, 16)
	switch {
	case errLo != nil || errHi != nil:
		s.doc.Addf(v.Pos, "%s: %s is no port: write 443 or \"8000-8100\", each 0 to 65535", v.Name, tomlfile.Quote(text))
		return classifier.PortRange{}, false
	case lo > hi:
		s.doc.Addf(v.Pos, "%s: the range %s begins above its end", v.Name, tomlfile.Quote(text))
		return classifier.PortRange{}, false
	}
	return classifier.PortRange{Lo: uint16(lo), Hi: uint16(hi)}, true
}

// mergeRanges sorts ranges and joins those that meet.
func mergeRanges(ranges []classifier.PortRange) []classifier.PortRange {
	slices.SortFunc(ranges, func(a, b classifier.PortRange) int { return int(a.Lo) - int(b.Lo) })
	merged := ranges[:0]
	for _, r := range ranges {
		if n := len(merged); n > 0 && int(r.Lo) <= int(merged[n-1].Hi)+1 {
			merged[n-1].Hi = max(merged[n-1].Hi, r.Hi)
			continue
		}
		merged = append(merged, r)
	}
	return merged
}
