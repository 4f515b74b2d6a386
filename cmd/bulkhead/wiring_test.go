// SPDX-License-Identifier: Apache-2.0

package main

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"bulkhead/classifier"
	"bulkhead/ctrl/config"
	"bulkhead/ctrl/policy"
	"bulkhead/dataplane"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

func TestActionsAndVerdictsHaveTheSameNumbers(t *testing.T) {
	for action, verdict := range map[policy.Action]dataplane.Verdict{
		policy.Deny: dataplane.Drop, policy.Allow: dataplane.Forward, policy.Reject: dataplane.Reject,
	} {
		if verdictOf(action) != verdict || uint8(action) != uint8(verdict) {
			t.Errorf("%s is %d, %s is %d", action, action, verdict, verdict)
		}
	}
	l, err := parsePolicy("p", []byte(twoPolicy), map[string]uint16{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []dataplane.Verdict{dataplane.Forward, dataplane.Reject} {
		if got := l.policy.Program.Rules[i].Verdict; got != classifier.Verdict(want) {
			t.Errorf("rule %d (%s) has the verdict %d, want %d", i, l.rules[i].Action, got, want)
		}
	}
	if l.policy.Default != dataplane.Drop || l.fallback != "deny" {
		t.Errorf("default %s, %s", l.policy.Default, l.fallback)
	}
}

func TestConfigurationBecomesAPlan(t *testing.T) {
	c := config.Default()
	c.Gateway = config.Gateway{Name: "gw", Policy: "/p.toml", Group: "ops", RunDir: "/run/x", BeatLimit: time.Second}
	c.Flows.Capacity, c.Flows.Midstream = 4096, true
	c.Exceptions[event.Reason(packet.ARP)] = false
	c.Exceptions[event.Reason(packet.MPLS)] = true
	w := config.DefaultWire()
	w.Name, w.Group, w.A, w.B = "w0", "g", config.Port{Interface: "eth0", VLAN: 7}, config.Port{Interface: "eth1"}
	w.FailOpen, w.Mode, w.Queues, w.FrameSize, w.BusyPoll = true, config.Generic, 3, 4096, 64
	c.Wires = []config.Wire{w, {Name: "w1", Mode: config.Copy}}
	p := planOf(c, "/bpf")
	if p.policy != "/p.toml" || p.group != "ops" || p.runDir != "/run/x" {
		t.Errorf("plan %+v", p)
	}
	want := dataplane.Config{
		Name: "gw", BeatLimit: time.Second, BPFFS: "/bpf", Exceptions: dataplane.DefaultExceptions(),
		Flows: dataplane.Flows{Capacity: 4096, Midstream: true, Timeouts: timeoutsOf(c.Flows.Timeouts)},
		Wires: []dataplane.Wire{
			{
				Name: "w0", Group: "g", A: dataplane.Port{Interface: "eth0", VLAN: 7}, B: dataplane.Port{Interface: "eth1"},
				FailOpen: true, Mode: dataplane.Generic, Queues: 3, FrameSize: 4096, BusyPoll: 64,
			},
			{Name: "w1", Mode: dataplane.Copy},
		},
	}
	want.Exceptions[packet.ARP], want.Exceptions[packet.MPLS] = dataplane.Drop, dataplane.Forward
	if diff := cmp.Diff(want, p.engine, cmp.FilterPath(isEvents, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]uint16{"w0": 0, "w1": 1}, p.wires()); diff != "" {
		t.Error(diff)
	}
}

// isEvents finds the sink of events, a function, which nothing compares.
func isEvents(p cmp.Path) bool { return p.Last().Type().Kind() == reflect.Func }

func TestDefaultsOfBothSidesAgree(t *testing.T) {
	if p := planOf(config.Default(), ""); p.engine.Exceptions != dataplane.DefaultExceptions() {
		t.Error("the configuration has other exceptions by default than the data plane")
	}
	for word, mode := range modes {
		if mode.String() != word {
			t.Errorf("mode %q is called %q by the data plane", word, mode)
		}
	}
}

func TestEveryTimeoutOfTheConfigurationReachesTheFlowTable(t *testing.T) {
	none := timeoutsOf(config.Timeouts{})
	for i := range reflect.TypeFor[config.Timeouts]().NumField() {
		var c config.Timeouts
		field := reflect.ValueOf(&c).Elem().Field(i)
		field.SetInt(int64(time.Minute))
		if timeoutsOf(c) == none {
			t.Errorf("%s has no effect", reflect.TypeFor[config.Timeouts]().Field(i).Name)
		}
	}
}
