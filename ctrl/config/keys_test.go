// SPDX-License-Identifier: Apache-2.0

package config

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"bulkhead/classifier"
	"bulkhead/ctrl/policy"
	"bulkhead/dataplane/packet"
)

// keyOf is a packet from one workload to another, as the data plane asks about
// it. service is "ping", "vxlan", "proto/NUMBER", or "tcp/PORT" and the like.
func keyOf(t *testing.T, p *policy.Policy, from, to, service string) classifier.Key {
	t.Helper()
	k := classifier.Key{Src: addressOf(t, p, from), Dst: addressOf(t, p, to), SrcPort: 50000}
	kind, number, _ := strings.Cut(service, "/")
	n, _ := strconv.Atoi(number)
	switch kind {
	case "ping":
		k.SrcPort, k.Proto, k.ICMPType = 0, packet.ProtoICMP, 8
	case "vxlan":
		k.Proto, k.DstPort = packet.ProtoUDP, 4789
	case "proto":
		k.SrcPort, k.Proto = 0, uint8(n)
	default:
		k.Proto = map[string]uint8{"tcp": packet.ProtoTCP, "udp": packet.ProtoUDP, "sctp": packet.ProtoSCTP}[kind]
		k.DstPort = uint16(n)
	}
	k.Tunnel = uint8(packet.TunnelOf(k.Proto, k.DstPort))
	return k
}

// addressOf is the first address of a workload, or of nobody for "world".
func addressOf(t *testing.T, p *policy.Policy, name string) netip.Addr {
	t.Helper()
	if name == "world" {
		return netip.MustParseAddr("198.51.100.7")
	}
	for _, w := range p.Workloads {
		if w.Name == name {
			return w.Addresses[0].Addr()
		}
	}
	t.Fatalf("no workload has the name %s", name)
	return netip.Addr{}
}
