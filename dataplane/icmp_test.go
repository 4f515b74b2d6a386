// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"net/netip"
	"testing"

	"bulkhead/dataplane/event"
	"bulkhead/testenv"
)

// unreachable is a port unreachable about a packet.
func unreachable(from, to netip.Addr, about []byte) []byte {
	return testenv.Frame(testenv.Ether{}, testenv.IPv4{Src: from, Dst: to}, testenv.ICMP{Type: 3, Code: 3}, testenv.Bytes(about[14:14+28]))
}

func TestICMPErrorPassesOnlyForTheFlowThatItQuotesToItsSender(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	query := udp(web4, db4, 9, 53)
	if len(r.send(b, unreachable(db4, web4, query))) != 0 {
		t.Error("an error about a packet that was never sent passed")
	}
	r.send(a, query)
	if len(r.send(b, unreachable(db4, web4, query))) != 1 {
		t.Error("an error about a packet of a live flow did not pass")
	}
	if len(r.send(b, unreachable(netip.MustParseAddr("192.0.2.1"), web4, query))) != 1 {
		t.Error("an error of a router on the way did not pass")
	}
	if len(r.send(b, unreachable(db4, web4.Next(), query))) != 0 {
		t.Error("an error to someone who did not send the quoted packet passed")
	}
	if len(r.send(a, unreachable(web4, db4, udp(db4, web4, 53, 9)))) != 0 {
		t.Error("an error about an answer that was never sent passed")
	}
	if len(r.send(b, unreachable(db4, web4, udp(web4, db4, 10, 53)))) != 0 {
		t.Error("an error about another port passed")
	}
	if n := r.tallyOf(0, b).dropped[event.ICMPUnrelated]; n != 2 { // the parser itself refuses the one to a stranger
		t.Errorf("icmp_unrelated counted %d, want 2", n)
	}
}

func TestICMPErrorAboutADeniedFlowDrops(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	query := udp(web4, db4, 9, 53)
	r.send(a, query)
	r.publish(Drop, tierSets)
	if len(r.send(b, unreachable(db4, web4, query))) != 0 {
		t.Error("an error about a flow that the policy now denies passed")
	}
}
