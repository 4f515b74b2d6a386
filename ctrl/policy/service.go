// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

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

// readService reads one [service.NAME].
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
