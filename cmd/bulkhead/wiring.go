// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"bulkhead/ctrl/api"
	"bulkhead/ctrl/config"
	"bulkhead/ctrl/policy"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane"
	"bulkhead/flowtable"
)

// Here the control plane's words become those of the data plane. Neither knows
// the other.

// plan is a gateway to be run.
type plan struct {
	policy string // file
	group  string // who may use the control socket; "": nobody beside the owner
	runDir string
	engine dataplane.Config
}

// planOf gives the plan of a configuration that has been checked.
func planOf(c *config.Config, bpffs string) *plan {
	p := &plan{policy: c.Gateway.Policy, group: c.Gateway.Group, runDir: c.Gateway.RunDir}
	p.engine = dataplane.Config{
		Name: c.Gateway.Name, BeatLimit: c.Gateway.BeatLimit, BPFFS: bpffs,
		Exceptions: dataplane.DefaultExceptions(),
		Flows: dataplane.Flows{
			Capacity: c.Flows.Capacity, Midstream: c.Flows.Midstream, Timeouts: timeoutsOf(c.Flows.Timeouts),
		},
	}
	// The configuration has every reason that may be configured, with its default.
	for reason, forward := range c.Exceptions {
		p.engine.Exceptions[reason] = dataplane.Drop
		if forward {
			p.engine.Exceptions[reason] = dataplane.Forward
		}
	}
	for _, w := range c.Wires {
		p.engine.Wires = append(p.engine.Wires, dataplane.Wire{
			Name: w.Name, Group: w.Group, A: dataplane.Port(w.A), B: dataplane.Port(w.B),
			FailOpen: w.FailOpen, Mode: modes[w.Mode],
			Queues: w.Queues, FrameSize: w.FrameSize, BusyPoll: w.BusyPoll,
		})
	}
	return p
}

// modes gives the mode that a word stands for.
var modes = map[string]dataplane.Mode{
	config.Native: dataplane.Native, config.Copy: dataplane.Copy, config.Generic: dataplane.Generic,
}

// timeoutsOf gives the flow table's timeouts; it tells more states apart than
// people care to.
func timeoutsOf(t config.Timeouts) flowtable.Timeouts {
	most := flowtable.DefaultTimeouts() // when both sides have said goodbye
	return flowtable.Timeouts{
		SynSent: t.TCPSyn, SynReceived: t.TCPSyn, Established: t.TCPEstablished,
		Fin: t.TCPClosing, Closing: min(t.TCPClosing, most.Closing), TimeWait: min(t.TCPClosing, most.TimeWait),
		UDPUnreplied: t.UDP, UDPReplied: t.UDPReplied, ICMP: t.ICMP,
		OtherUnreplied: t.Other, OtherReplied: t.Other,
	}
}

// wires numbers the wires by name, as rules refer to them.
func (p *plan) wires() map[string]uint16 {
	numbers := make(map[string]uint16, len(p.engine.Wires))
	for i, w := range p.engine.Wires {
		numbers[w.Name] = uint16(i)
	}
	return numbers
}

// loaded is a policy that can be published.
type loaded struct {
	policy   dataplane.Policy
	rules    []api.Rule // without their hits
	fallback string     // the action when no rule matches
	hash     string
}

// parsePolicy reads a policy for a gateway with certain wires. The error of one
// that does not hold is api.Problems.
func parsePolicy(name string, text []byte, wires map[string]uint16) (*loaded, error) {
	p, err := policy.Parse(name, text, policy.Options{Wires: wires})
	if err != nil {
		return nil, problemsOf(err)
	}
	l := &loaded{
		policy:   dataplane.Policy{Program: p.Program, Default: verdictOf(p.Default)},
		rules:    make([]api.Rule, len(p.Rules)),
		fallback: p.Default.String(), hash: p.Hash,
	}
	for i, r := range p.Rules {
		l.rules[i] = api.Rule{Name: r.Name, File: r.File, Line: r.Line, Action: r.Action.String()}
	}
	return l, nil
}

// summarize reads a policy to say what is in it; wires is nil when it is not
// known which there are. The error of one that does not hold is api.Problems.
func summarize(name string, text []byte, wires map[string]uint16) (*summary, error) {
	p, err := policy.Parse(name, text, policy.Options{Wires: wires})
	if err != nil {
		return nil, problemsOf(err)
	}
	services := map[string]bool{}
	for _, r := range p.Rules {
		for _, name := range r.Services {
			services[name] = true
		}
	}
	return &summary{
		File: name, Rules: len(p.Rules), Workloads: len(p.Workloads), Services: len(services),
		Default: p.Default.String(), Hash: p.Hash,
	}, nil
}

// verdictOf gives the verdict of an action. The verdict words of a program's
// rules are actions too, and have the same numbers (a test compares them).
func verdictOf(a policy.Action) dataplane.Verdict {
	switch a {
	case policy.Allow:
		return dataplane.Forward
	case policy.Reject:
		return dataplane.Reject
	}
	return dataplane.Drop
}

// readText reads the text of a policy.
func readText(file string) ([]byte, error) { return tomlfile.ReadFile(file, policy.MaxFile) }

// readPolicy reads a policy in a file.
func readPolicy(file string, wires map[string]uint16) (*loaded, error) {
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	return parsePolicy(file, text, wires)
}

// problemsOf turns the problems of a file into those of the control socket.
// Any other error stays as it is.
func problemsOf(err error) error {
	var found tomlfile.Problems
	if !errors.As(err, &found) {
		return err
	}
	problems := make(api.Problems, len(found))
	for i, p := range found {
		problems[i] = api.Problem(p)
	}
	return problems
}
