// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/packet"
)

// builtinServices are the services that every policy has.
func builtinServices() map[string]service {
	return map[string]service{
		"any": {
			allow: []classifier.Service{{AnyProto: true}},
			deny:  tunnelServices(allTunnels()),
		},
		"ping": {allow: []classifier.Service{
			{Proto: packet.ProtoICMP, Type: echoRequest4, AnyCode: true},
			{Proto: packet.ProtoICMPv6, Type: echoRequest6, AnyCode: true},
		}},
	}
}

// readServices reads the tables [service.NAME].
func (doc *document) readServices(v *tomlfile.Value) {
	table, ok := doc.file.Table(v)
	if !ok {
		return
	}
	for i := range table.Entries {
		e := &table.Entries[i]
		if !doc.file.CheckName(e.Key, "service", e.Name) {
			continue
		}
		if _, builtin := builtinServices()[e.Name]; builtin {
			doc.file.Addf(e.Key, "service %s: the name is taken: it is a service that every policy has", e.Name)
			continue
		}
		if t, ok := doc.file.Table(e); ok {
			doc.services[e.Name] = doc.readService(e.Name, t)
		}
	}
}

func (doc *document) readService(name string, t *tomlfile.Table) service {
	s := serviceReader{doc: doc.file}
	where := fmt.Sprintf("[service.%s]", name)
	doc.file.Read(t, where, tomlfile.Fields{
		"tcp":         func(v *tomlfile.Value) { s.ports(&s.tcp.dst, v) },
		"tcp_source":  func(v *tomlfile.Value) { s.ports(&s.tcp.src, v) },
		"udp":         func(v *tomlfile.Value) { s.ports(&s.udp.dst, v) },
		"udp_source":  func(v *tomlfile.Value) { s.ports(&s.udp.src, v) },
		"sctp":        func(v *tomlfile.Value) { s.ports(&s.sctp.dst, v) },
		"sctp_source": func(v *tomlfile.Value) { s.ports(&s.sctp.src, v) },
		"icmp":        func(v *tomlfile.Value) { s.icmp(&icmp4, v) },
		"icmpv6":      func(v *tomlfile.Value) { s.icmp(&icmp6, v) },
		"protocol":    s.protocols,
		"tunnel":      s.tunnels,
	})
	if len(t.Entries) == 0 {
		doc.file.Addf(t.Pos, "%s is empty: say what it is, for example tcp = [443]", where)
	}
	return s.service()
}

// serviceReader gathers the alternatives of one service.
type serviceReader struct {
	doc            *tomlfile.Document
	tcp, udp, sctp transport
	others         []classifier.Service
}

// transport is what a service says about a protocol with ports.
type transport struct{ src, dst portSet }

// portSet is the value of a key such as tcp: not given, any port, or some.
type portSet struct {
	given  bool
	ranges []classifier.PortRange // sorted and apart; empty: any
}

// service puts the alternatives together in a fixed order.
func (s *serviceReader) service() service {
	var all service
	for _, t := range []struct {
		proto uint8
		ports transport
	}{{packet.ProtoTCP, s.tcp}, {packet.ProtoUDP, s.udp}, {packet.ProtoSCTP, s.sctp}} {
		if t.ports.src.given || t.ports.dst.given {
			all.allow = append(all.allow, classifier.Service{
				Proto: t.proto, SrcPorts: t.ports.src.ranges, DstPorts: t.ports.dst.ranges,
			})
		}
	}
	if s.udp.src.given || s.udp.dst.given {
		all.deny = tunnelServices(tunnelsWithin(s.udp.dst.ranges))
	}
	all.allow = append(all.allow, s.others...)
	return all
}

// maxPorts is how many ports and ranges a key may list.
const maxPorts = 1024

// ports reads true, for any port, or a list of ports and ranges.
func (s *serviceReader) ports(set *portSet, v *tomlfile.Value) {
	set.given = true
	items, listed := s.listOrTrue(v)
	if !listed {
		return
	}
	if len(items) > maxPorts {
		s.doc.Addf(v.Pos, "%s: %d ports: a service has at most %d", v.Name, len(items), maxPorts)
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
		return s.doc.List(v)
	}
	s.doc.Addf(v.Pos, "%s: want a list, or true for all of it", v.Name)
	return nil, false
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

// protocols reads a list of IP protocols by name or number.
func (s *serviceReader) protocols(v *tomlfile.Value) {
	items, _ := s.doc.List(v)
	for i := range items {
		proto, ok := s.protocol(&items[i])
		if !ok {
			continue
		}
		if instead := insteadOf(proto); instead != "" {
			s.doc.Addf(items[i].Pos, "protocol %s %s", tomlfile.Quote(items[i].Text), instead)
			continue
		}
		s.others = append(s.others, classifier.Service{Proto: proto})
	}
}

func (s *serviceReader) protocol(v *tomlfile.Value) (uint8, bool) {
	if v.Kind == tomlfile.KindInteger {
		n, ok := s.doc.Integer(v, 0, 255)
		return uint8(n), ok
	}
	text, ok := s.doc.String(v)
	if !ok {
		return 0, false
	}
	proto, ok := protocolNames[text]
	if !ok {
		s.doc.Addf(v.Pos, "protocol %s is not known by name: write its number, 0 to 255", tomlfile.Quote(text))
	}
	return proto, ok
}
