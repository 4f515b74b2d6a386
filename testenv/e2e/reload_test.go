// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// The ports of b by what two policies say of them.
const (
	portAlways = 1000 // both allow
	portNever  = 2000 // both deny
	portA      = 3000 // only policy A allows
	portB      = 4000 // only policy B allows
)

func policyA() string { return anyRule(`"s"`, "[service.s]", "udp = [1000, 3000]") }
func policyB() string { return anyRule(`"s"`, "[service.s]", "udp = [4000, 1000]") }

// TestReloadsLoseNothingAndLetNothingSlip applies two policies in turn under
// four classes of packets. What only one of them allows may do either while a
// policy changes; but the first packets after an apply are judged by it, both
// in a flow that was judged before and in a new one.
func TestReloadsLoseNothingAndLetNothingSlip(t *testing.T) {
	g := quiet(t, setup{policy: policyA()})
	o := testenv.NewOracle(2 * time.Second)
	stop := o.Receive(g.end("b"))
	ctx, cancel := context.WithCancel(within(t, 10*patience))
	sent := make(chan error, 1)
	go func() {
		sent <- o.Send(ctx, g.end("a"), 6000, 1<<30,
			stream(o.Class("allowed by both", testenv.MustPass), portAlways), stream(o.Class("denied by both", testenv.MustDrop), portNever),
			stream(o.Class("allowed by A", testenv.MayPass), portA), stream(o.Class("allowed by B", testenv.MayPass), portB))
	}()
	ab, _ := g.paths("a", "b")
	for i := range uint16(quickOr(500, 20000)) {
		policy, allowed, denied := policyA(), uint16(portA), uint16(portB)
		if i%2 == 0 {
			policy, allowed, denied = policyB(), portB, portA
		}
		g.apply(policy)
		ab.passesAmongOthers(probe(1, allowed), probe(100+i, allowed))
		ab.dropsAmongOthers(probe(1, denied), probe(100+i, denied))
	}
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	o.Settle(soon(t))
	must(t, stop())
	for _, r := range o.Report() {
		t.Log(r)
		if !r.OK() || r.Sent == 0 {
			t.Errorf("%v; counters %v", r, g.dropped())
		}
	}
}

// stream is UDP packets of a class from a to b's port, in one flow.
func stream(c *testenv.Class, port uint16) testenv.Stream {
	return testenv.Stream{Class: c, Size: 64, Frame: func(payload []byte) []byte {
		return fromA(toB4, testenv.UDP{Src: 77, Dst: port}, testenv.Bytes(payload))
	}}
}

func probe(src, dst uint16) []byte { return fromA(toB4, testenv.UDP{Src: src, Dst: dst}) }

// TestFirstPacketOfAnIdleWireIsJudgedByTheNewPolicy: a worker that sleeps holds
// no policy back (Suricata's bug 6021).
func TestFirstPacketOfAnIdleWireIsJudgedByTheNewPolicy(t *testing.T) {
	g := quiet(t, setup{policy: policyB()})
	ab, _ := g.paths("a", "b")
	packet := fromA(toB4, testenv.UDP{Src: 1, Dst: portA})
	for range 10 {
		g.apply(policyA())
		ab.passes(packet)
		g.apply(policyB())
		ab.drops(packet)
	}
	if s := g.status(); s.Generation != 21 || s.Policy.File != "test.toml" {
		t.Errorf("generation %d of %s after 20 applied policies", s.Generation, s.Policy.File)
	}
}

// TestBadPolicyChangesNothing: neither verdicts nor what is said to be in force.
func TestBadPolicyChangesNothing(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	before := g.status()
	for name, bad := range map[string]string{
		"no TOML":            "default = ",
		"an unknown key":     "default = \"allow\"\nfancy = true",
		"a selector of none": anyRule(`"any"`) + "[[rule]]\nname = \"x\"\nfrom = \"tier=nothing\"\nto = \"any\"\nservices = [\"any\"]\naction = \"allow\"",
		"an unknown wire":    anyRule(`"any"`) + "wires = [\"none\"]",
		"zeroes":             strings.Repeat("\x00", 1000),
	} {
		_, err := g.client.Apply(soon(t), "bad.toml", []byte(bad))
		var f *api.Failure
		if !errors.As(err, &f) || len(f.Problems) == 0 || f.Problems[0].File != "bad.toml" {
			t.Errorf("%s: %v, want problems with their places", name, err)
		}
	}
	ab.passes(fromA(toB4, testenv.UDP{Src: 1, Dst: 53}))
	ab.drops(fromA(toB4, testenv.UDP{Src: 1, Dst: 54}))
	if after := g.status(); after.Generation != before.Generation || after.Policy != before.Policy || after.Rules != before.Rules {
		t.Errorf("in force %+v, before %+v", after.Policy, before.Policy)
	}
}

// TestRevokedConversationEndsAtOnce: the next packet of either side is the first
// that does not pass, and rejection tells the hosts.
func TestRevokedConversationEndsAtOnce(t *testing.T) {
	g := start(t, setup{policy: allowAll})
	client, server := connection(t, g.lab.Host("a"), g.lab.Host("b"), 80)
	must(t, hello(client, server))
	ab, ba := g.paths("a", "b")
	udp, reply := fromA(toB4, testenv.UDP{Src: 1, Dst: 53}), fromB(toA4, testenv.UDP{Src: 53, Dst: 1})
	ab.passes(udp)
	ba.passes(reply)
	g.apply(`default = "deny"
[service.web]
tcp = [80]
[[rule]]
name = "enough"
from = "any"
to = "any"
services = ["web"]
action = "reject"`)
	_, err := client.Write([]byte("hello"))
	must(t, err)
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a connection that is rejected now: %v, want a reset", err)
	}
	ab.drops(udp)
	ba.drops(reply)
	g.apply(allowAll)
	ab.passes(udp)
	ba.passes(reply)
}
