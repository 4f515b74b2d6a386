// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"runtime"
	"time"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/xdp"
	"bulkhead/flowtable"
)

// Publish brings a policy into force in one step, and returns when no worker
// judges by the one before: every packet is judged by the old policy or the
// new one, and those that arrive afterwards by the new. Live flows are judged
// again at their next packet. A policy that does not compile changes nothing.
func (g *Gateway) Publish(p Policy) (Published, error) {
	g.publishing.Lock()
	defer g.publishing.Unlock()
	began := time.Now()
	generation := g.generation + 1
	if uint16(generation) == neverCurrent {
		generation++
	}
	next, err := compile(p, generation, g.conf.Exceptions[event.Unnamed])
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	g.generation = generation
	g.policy.Store(next)
	g.settle()
	if generation%outdateEvery == 0 {
		g.outdate()
	}
	return Published{Generation: g.generation, Took: time.Since(began)}, nil
}

// settle waits until every worker has taken the policy in force, or waits for
// frames and will take it when it wakes.
//
// A worker stores seenNone when it wakes and only then loads the policy; the
// policy was stored before seen is loaded here. All four are sequentially
// consistent, so a worker that is seen idle loads the new policy.
func (g *Gateway) settle() {
	for _, w := range g.workers() {
		for {
			seen := w.seen.Load()
			if seen == seenIdle || seen >= uint64(g.generation) || w.stop.Load() {
				break
			}
			runtime.Gosched()
			time.Sleep(20 * time.Microsecond)
		}
	}
}

// Flows carry the low 16 bits of their generation. So that a flow that was
// silent for 65,536 publications does not seem judged under the policy in
// force, all older flows are marked now and then with a number that no
// generation has.
const (
	neverCurrent = 0
	outdateEvery = 1 << 14
)

// outdate marks the flows that were not judged under the policy in force.
func (g *Gateway) outdate() {
	g.publisher.Pass()
	defer g.publisher.Idle()
	const slice = 4096
	for from := 0; ; {
		from = g.publisher.Visit(from, slice, xdp.Now(), func(ref flowtable.Ref, r *flowtable.Record) {
			if r.Decision.Generation != uint16(g.generation) {
				old := r.Decision
				old.Generation = neverCurrent
				g.publisher.Judge(ref, r.Decision, old)
			}
		})
		if from == 0 {
			return
		}
		g.publisher.Pass()
	}
}
