// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"os"
	"sync"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane"
)

// gateway is a running gateway as the control socket shows and changes it: the
// engine, which knows rules by their numbers, and what people call them.
type gateway struct {
	engine  engine
	plan    *plan
	now     func() time.Time
	started time.Time

	applying sync.Mutex // held from parsing to publishing: one policy after the other

	mu      sync.Mutex // guards the two below, never held for long
	current *inForce   // nil before the first
	next    *inForce   // being published; it may be in force already
}

// inForce is a policy and when it came into force.
type inForce struct {
	*loaded
	file       string
	generation uint32
	since      time.Time
}

func newGateway(e engine, p *plan, now func() time.Time) *gateway {
	return &gateway{engine: e, plan: p, now: now, started: now()}
}

// Apply parses a policy and publishes it; api.Gateway has the contract.
func (g *gateway) Apply(ctx context.Context, c api.Change) (api.Applied, error) {
	g.applying.Lock()
	defer g.applying.Unlock()
	if err := ctx.Err(); err != nil { // who wanted it has gone while we waited
		return api.Applied{}, err
	}
	began := g.now()
	l, err := parsePolicy(c.File, c.Text, g.plan.wires())
	if err != nil {
		return api.Applied{}, err
	}
	return g.publish(l, c.File, began)
}

// publish brings a policy into force. The caller holds applying, or is the only
// one there is.
func (g *gateway) publish(l *loaded, file string, began time.Time) (api.Applied, error) {
	next := &inForce{loaded: l, file: file, since: began}
	g.set(nil, next)
	done, err := g.engine.Publish(l.policy)
	if done.Generation == 0 {
		g.set(nil, nil)
		return api.Applied{}, err
	}
	published := *next
	published.generation = done.Generation
	g.set(&published, nil)
	took := g.now().Sub(began)
	return api.Applied{
		Generation: done.Generation, MS: float64(took.Microseconds()) / 1000, Kept: done.Kept, Cut: done.Cut,
		Hash: l.hash, Rules: len(l.rules),
	}, err
}

// set notes the policy being published, and the one in force unless nil.
func (g *gateway) set(current, next *inForce) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if current != nil {
		g.current = current
	}
	g.next = next
}

// Between the engine's switch to a new policy and the return of Publish, the
// policy that the engine's counters are about is already the next one. The
// generation in the engine's status tells which it is.

// picture gives the engine's status with the policy that it is about; nil
// when there is none yet.
func (g *gateway) picture() (dataplane.Status, *inForce) {
	for {
		g.mu.Lock()
		current, next := g.current, g.next
		g.mu.Unlock()
		s := g.engine.Status()
		switch {
		case s.Generation == 0:
			return s, nil
		case current != nil && current.generation == s.Generation:
			return s, current
		case next != nil:
			return s, next
		}
		// A publication began and ended in between: look again.
	}
}

// Status shows the gateway.
func (g *gateway) Status() api.Status {
	s, p := g.picture()
	out := api.Status{
		Name: s.Name, Version: build(), PID: os.Getpid(), Started: g.started.UTC().Truncate(time.Second),
		Generation: s.Generation, Rules: s.Rules,
		Flows: api.Flows{Used: s.Flows, Capacity: s.Capacity},
		Wires: make([]api.Wire, len(s.Wires)),
	}
	if p != nil {
		out.Policy = api.Policy{File: p.file, Hash: p.hash, Applied: p.since.UTC().Truncate(time.Second)}
	}
	for i, w := range s.Wires {
		out.Wires[i] = wireOf(w)
	}
	return out
}

// Rules shows the rules in force.
func (g *gateway) Rules() api.RuleList {
	s, p := g.picture()
	out := api.RuleList{Generation: s.Generation, Rules: []api.Rule{}, Default: api.Default{Action: "deny", Hits: s.DefaultHits}}
	if p == nil {
		return out
	}
	out.Default.Action = p.fallback
	out.Rules = append(out.Rules, p.rules...)
	for i := range min(len(out.Rules), len(s.Hits)) {
		out.Rules[i].Hits = s.Hits[i]
	}
	return out
}
