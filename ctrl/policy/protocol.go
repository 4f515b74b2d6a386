// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/packet"
)

// protocolNames are IP protocols by the names that are in use (IANA, protocol
// numbers). Those that belong under another key are here as well, so that the
// message can say so.
var protocolNames = map[string]uint8{
	"hopopt": 0, "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17,
	"dccp": 33, "6in4": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47,
	"esp": 50, "ah": 51, "icmpv6": 58, "ipv6-opts": 60, "eigrp": 88, "ospf": 89,
	"etherip": 97, "pim": 103, "ipcomp": 108, "vrrp": 112, "l2tp": 115, "sctp": 132,
	"mobility": 135, "udplite": 136, "mpls": 137, "hip": 139,
}

// protocolKeys are the protocols with a key of their own.
var protocolKeys = map[uint8]string{
	packet.ProtoTCP: "tcp", packet.ProtoUDP: "udp", packet.ProtoSCTP: "sctp",
	packet.ProtoICMP: "icmp", packet.ProtoICMPv6: "icmpv6",
}

// protocols reads a list of IP protocols by name or number.
func (s *serviceReader) protocols(v *tomlfile.Value) {
	items, _ := s.list(v)
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

// protocol reads a name or number.
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

// insteadOf says why a protocol cannot be listed under protocol, "" if it can.
func insteadOf(proto uint8) string {
	if key := protocolKeys[proto]; key != "" {
		return fmt.Sprintf("has a key of its own: write %s = true for all of it", key)
	}
	if t := packet.TunnelOf(proto, 0); t != packet.NoTunnel {
		return isTunnel(t)
	}
	switch proto {
	case 0, 43, 44, 51, 60: // RFC 8200, and the authentication header
		return "is a header on the way to what a packet carries: name what comes behind it"
	}
	return ""
}

// isTunnel says how to name a tunnel instead of its port or protocol.
func isTunnel(t packet.Tunnel) string {
	return fmt.Sprintf("is a tunnel: write tunnel = [%q]", t)
}

// tunnels reads a list of tunnels by name.
func (s *serviceReader) tunnels(v *tomlfile.Value) {
	items, _ := s.list(v)
	for i := range items {
		name, ok := s.doc.String(&items[i])
		if !ok {
			continue
		}
		t, ok := packet.TunnelByName(name)
		if !ok {
			s.doc.Addf(items[i].Pos, "tunnel %s is none of %s", tomlfile.Quote(name), strings.Join(tunnelNames(), ", "))
			continue
		}
		s.others = append(s.others, classifier.Service{Tunnel: uint8(t)})
	}
}

// tunnelNames lists what people call the tunnels.
func tunnelNames() []string {
	var names []string
	for _, t := range allTunnels() {
		names = append(names, t.String())
	}
	return names
}

// allTunnels lists the tunnels that the parser recognises.
func allTunnels() []packet.Tunnel {
	var all []packet.Tunnel
	for t := packet.NoTunnel + 1; t < packet.NumTunnels; t++ {
		all = append(all, t)
	}
	return all
}

// tunnelServices are the services that name these tunnels.
func tunnelServices(tunnels []packet.Tunnel) []classifier.Service {
	services := make([]classifier.Service, len(tunnels))
	for i, t := range tunnels {
		services[i].Tunnel = uint8(t)
	}
	return services
}

// udpTunnels are the UDP ports that are tunnels, in order.
var udpTunnels = sync.OnceValue(func() []udpTunnel {
	var all []udpTunnel
	for port := range 1 << 16 {
		if t := packet.TunnelOf(packet.ProtoUDP, uint16(port)); t != packet.NoTunnel {
			all = append(all, udpTunnel{uint16(port), t})
		}
	}
	return all
})

// udpTunnel is a UDP destination port and the tunnel that it opens.
type udpTunnel struct {
	port   uint16
	tunnel packet.Tunnel
}

// tunnelsWithin lists the tunnels that have one of these UDP destination
// ports; no range is every port.
func tunnelsWithin(ranges []classifier.PortRange) []packet.Tunnel {
	var tunnels []packet.Tunnel
	for _, t := range udpTunnels() {
		inside := func(r classifier.PortRange) bool { return r.Lo <= t.port && t.port <= r.Hi }
		if (len(ranges) == 0 || slices.ContainsFunc(ranges, inside)) && !slices.Contains(tunnels, t.tunnel) {
			tunnels = append(tunnels, t.tunnel)
		}
	}
	return tunnels
}
