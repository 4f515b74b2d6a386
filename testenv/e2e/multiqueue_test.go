// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"bulkhead/testenv"
)

// TestRepliesByAnotherQueueBelongToTheirFlow: the two queues of a wire have
// workers of their own, and one flow table.
func TestRepliesByAnotherQueueBelongToTheirFlow(t *testing.T) {
	g := quiet(t, setup{lab: withQueues(2), policy: threeWays})
	ab, ba := g.paths("a", "b")
	if w := g.wire(); w.A.Queues != 2 || w.B.Queues != 2 {
		t.Fatalf("%d and %d queues are served, want 2", w.A.Queues, w.B.Queues)
	}
	for port := range uint16(50) {
		there, back := int(port)%2, int(port/2)%2
		syn := testenv.TCP{Src: 5000 + port, Dst: 80, Seq: 100, Flags: testenv.SYN}
		synAck := testenv.TCP{Src: 80, Dst: 5000 + port, Seq: 500, Ack: 101, Flags: testenv.SYN | testenv.ACK}
		ack := testenv.TCP{Src: 5000 + port, Dst: 80, Seq: 101, Ack: 501, Flags: testenv.ACK}
		onQueue(t, there, func() { ab.passes(fromA(toB4, syn), fromA(toB6, testenv.UDP{Src: port, Dst: 53})) })
		onQueue(t, back, func() {
			ba.passes(fromB(toA4, synAck), fromB(toA6, testenv.UDP{Src: 53, Dst: port}))
			ba.drops(fromB(toA6, testenv.UDP{Src: 54, Dst: port}))
		})
		onQueue(t, back, func() { ab.passes(fromA(toB4, ack)) })
	}
	if n := g.status().Flows.Used; n != 150 { // a denied one each
		t.Errorf("%d flows in the table, want 150", n)
	}
}

// TestConversationsOfHostsUseBothQueues: TCP, whose queues the hosts choose.
func TestConversationsOfHostsUseBothQueues(t *testing.T) {
	lab := withQueues(2)
	g := start(t, setup{lab: lab, policy: threeWays})
	b := g.lab.Host("b")
	get(b.ServeStream(80))(t)
	download(t, g.lab, 8, 16<<20)
	w := g.wire()
	addsUp(t, w.A)
	addsUp(t, w.B)
	if lost := w.A.Dropped["midstream"] + w.A.Dropped["invalid_state"] + w.B.Dropped["midstream"] + w.B.Dropped["invalid_state"]; lost != 0 {
		t.Errorf("dropped %v and %v: of allowed connections", w.A.Dropped, w.B.Dropped)
	}
}

// TestRepliesByAnotherWireBelongToTheirFlowWithinAGroup: two paths of one link.
func TestRepliesByAnotherWireBelongToTheirFlowWithinAGroup(t *testing.T) {
	for group, joined := range map[string]bool{"": false, "link": true} {
		t.Run("group "+group, func(t *testing.T) {
			lab := twoHosts()
			lab.Ports = append(lab.Ports,
				testenv.PortConfig{Hosts: []testenv.HostConfig{{Name: "a2"}}},
				testenv.PortConfig{Hosts: []testenv.HostConfig{{Name: "b2"}}})
			g := quiet(t, setup{lab: lab, wires: []string{"w0:w1", "w2:w3"}, group: group, policy: threeWays})
			there, _ := g.paths("a", "b")
			_, back := g.paths("a2", "b2")
			there.passes(probe(1, 53))
			reply := fromB(toA4, testenv.UDP{Src: 53, Dst: 1})
			if joined {
				back.passes(reply)
			} else {
				back.drops(reply)
			}
		})
	}
}

// TestPolicyChangesForAllQueuesAtOnce: the first packet after an apply, by
// whichever queue.
func TestPolicyChangesForAllQueuesAtOnce(t *testing.T) {
	g := quiet(t, setup{lab: withQueues(2), policy: policyA()})
	ab, _ := g.paths("a", "b")
	for i := range 20 {
		policy, allowed, denied := policyA(), uint16(portA), uint16(portB)
		if i%2 == 0 {
			policy, allowed, denied = policyB(), portB, portA
		}
		g.apply(policy)
		for queue := range 2 {
			onQueue(t, queue, func() {
				ab.passes(probe(1, allowed))
				ab.drops(probe(1, denied))
			})
		}
	}
}
