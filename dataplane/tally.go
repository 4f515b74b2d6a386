// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"sync/atomic"

	"bulkhead/dataplane/event"
)

// portTally counts what came in by a port.
type portTally struct {
	received, forwarded Counter
	dropped, passed     [event.NumReasons]uint64
	answered            uint64
}

// tally is a worker's counters: private copies, which only the worker touches,
// published now and then for those who read. Counting in place with atomics
// would cost each packet several locked instructions.
type tally struct {
	ports []portTally // by number of the port in the cell

	public publicTally // shared
}

// publicTally is what others may read. Each word is stored by the worker and
// loaded by readers; words of one picture may be from different moments, at
// most one publication apart.
type publicTally struct {
	ports [][]atomic.Uint64
}

const tallyWords = 4 + 2*int(event.NumReasons) + 1

func newTally(ports int) *tally {
	t := &tally{ports: make([]portTally, ports)}
	t.public.ports = make([][]atomic.Uint64, ports)
	for i := range t.public.ports {
		t.public.ports[i] = make([]atomic.Uint64, tallyWords)
	}
	return t
}

func (t *tally) received(p *port, bytes int) {
	c := &t.ports[p.number].received
	c.Frames++
	c.Bytes += uint64(bytes)
}

func (t *tally) forwarded(p *port, reason event.Reason, bytes int) {
	c := &t.ports[p.number]
	c.forwarded.Frames++
	c.forwarded.Bytes += uint64(bytes)
	c.passed[reason]++
}

func (t *tally) dropped(p *port, reason event.Reason) { t.ports[p.number].dropped[reason]++ }

func (t *tally) answered(p *port) { t.ports[p.number].answered++ }

// publish stores the private counters where others may read them, as far as
// they have changed: a store costs far more than a look.
func (t *tally) publish() {
	for i := range t.ports {
		p, to := &t.ports[i], t.public.ports[i]
		publishWord(&to[0], p.received.Frames)
		publishWord(&to[1], p.received.Bytes)
		publishWord(&to[2], p.forwarded.Frames)
		publishWord(&to[3], p.forwarded.Bytes)
		publishWord(&to[4], p.answered)
		for r := range p.dropped {
			publishWord(&to[5+2*r], p.dropped[r])
			publishWord(&to[6+2*r], p.passed[r])
		}
	}
}

func publishWord(to *atomic.Uint64, n uint64) {
	if to.Load() != n {
		to.Store(n)
	}
}

// read gives the counters of a port as they were last published.
func (t *tally) read(port int) portTally {
	from := t.public.ports[port]
	p := portTally{
		received:  Counter{from[0].Load(), from[1].Load()},
		forwarded: Counter{from[2].Load(), from[3].Load()},
		answered:  from[4].Load(),
	}
	for r := range p.dropped {
		p.dropped[r] = from[5+2*r].Load()
		p.passed[r] = from[6+2*r].Load()
	}
	p.passed[0] = 0 // those that a rule decided
	return p
}

// add sums counters of the same port.
func (p *portTally) add(o portTally) {
	p.received.add(o.received)
	p.forwarded.add(o.forwarded)
	p.answered += o.answered
	for r := range p.dropped {
		p.dropped[r] += o.dropped[r]
		p.passed[r] += o.passed[r]
	}
}

func (c *Counter) add(o Counter) {
	c.Frames += o.Frames
	c.Bytes += o.Bytes
}
