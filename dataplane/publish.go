// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xdp"
	"bulkhead/flowtable"
)

// ErrClosed is returned by Publish when the gateway has been closed.
var ErrClosed = errors.New("the gateway is closed")

// Publish brings a policy into force in one step, and returns when no worker
// judges by the one before: every packet is judged by the old policy or the
// new one, and those that arrive afterwards by the new. By then every live
// flow has been judged again as well. A policy that does not compile changes
// nothing. An error with a generation says that the policy is in force, but
// that a worker is hung.
func (g *Gateway) Publish(p Policy) (Published, error) {
	g.publishing.Lock()
	defer g.publishing.Unlock()
	if g.closed {
		return Published{}, fmt.Errorf("publish: %w", ErrClosed)
	}
	began := time.Now()
	generation := g.generation + 1
	if uint16(generation) == 0 { // no flow has this number, so it can be told from one that was not judged
		generation++
	}
	next, err := compile(p, generation, g.conf.Exceptions[event.Unnamed])
	if err == nil {
		err = g.checkGroups(p.Program)
	}
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	g.generation = generation
	g.policy.Store(next)
	err = g.settle()
	done := g.rejudge(next)
	done.Generation, done.Took = generation, time.Since(began)
	return done, err
}

// checkGroups refuses a rule that holds on some wires of a group and not on
// the others: they share flows, so that a conversation on one is one on all.
func (g *Gateway) checkGroups(p *classifier.Program) error {
	for i, r := range p.Rules {
		if len(r.Wires) == 0 {
			continue
		}
		named := map[uint16]string{} // by group, a wire that the rule names
		for _, w := range g.wires {
			if slices.Contains(r.Wires, w.number) {
				named[w.group] = w.conf.Name
			}
		}
		for _, w := range g.wires {
			if other, ok := named[w.group]; ok && !slices.Contains(r.Wires, w.number) {
				return fmt.Errorf("rule %d names wire %s but not %s, which is of the same group: wires of a group share their flows, so name all of them or none", i+1, other, w.conf.Name)
			}
		}
	}
	return nil
}

// patience is how long settle waits for a worker that does not beat.
const patience = 3 * time.Second

// settle waits until every worker has taken the policy in force, or waits for
// frames and will take it when it wakes. A worker that is hung has its frames
// dropped when it wakes, and then takes it too: it is not waited for, but said.
//
// A worker stores seenNone when it wakes and only then loads the policy; the
// policy was stored before seen is loaded here. All four are sequentially
// consistent, so a worker that is seen idle loads the new policy.
func (g *Gateway) settle() error {
	began := time.Now()
	for _, w := range g.workers() {
		for {
			seen := w.seen.Load()
			if seen == seenIdle || seen >= uint64(g.generation) {
				break
			}
			if time.Since(began) > patience && w.cell.isLate(w) {
				return fmt.Errorf("policy %d is in force, but the worker of queue %d of wire %s is hung: look at 'bulkhead status'", g.generation, w.queue, w.cell.wires[0].conf.Name)
			}
			runtime.Gosched()
			time.Sleep(20 * time.Microsecond)
		}
	}
	return nil
}

// rejudge judges all live flows that were judged under an older policy, and
// counts those that go on passing and those that no longer do. Workers do the
// same at a flow's next packet, and come to the same: rules hold for whole
// groups, so that any wire of a flow's group will do.
func (g *Gateway) rejudge(p *policy) (done Published) {
	wireOf := map[uint16]uint16{}
	for _, w := range g.wires {
		wireOf[w.group] = w.number
	}
	g.publisher.Pass()
	defer g.publisher.Idle()
	const slice = 4096
	for from := 0; ; {
		from = g.publisher.Visit(from, slice, xdp.Now(), func(ref flowtable.Ref, r *flowtable.Record) {
			old := r.Decision
			if old.Generation == uint16(p.generation) {
				return
			}
			q := question(&r.Key, r.Initiator, wireOf[r.Key.Group()])
			d := p.classify(&q)
			if !g.publisher.Judge(ref, old, d) {
				return
			}
			p.count(d.Rule)
			switch {
			case d.Verdict == uint8(Forward) && old.Verdict == uint8(Forward):
				done.Kept++
			case old.Verdict == uint8(Forward):
				done.Cut++
			}
		})
		if from == 0 {
			return done
		}
		g.publisher.Pass()
	}
}
