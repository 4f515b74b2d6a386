// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// showWhy shows the gateway's counters: every frame that was dropped has a reason.
func (d *demo) showWhy(ctx context.Context) error {
	s, err := d.settled(ctx)
	if err != nil {
		return err
	}
	d.section("Why: the counters, as bulkhead status has them")
	w := s.Wires[0]
	d.check(w.State == up, "%s is %s; programs attached %s, sockets in %s mode; generation %d",
		w.Name, w.State, w.A.Attach, w.A.Socket, s.Generation)
	var rows []row
	add := func(r row, what string, counts [2]uint64, means string) {
		numbers := toTheRight([]string{fmt.Sprint(counts[0]), fmt.Sprint(counts[1])}, numberWidth)
		r.cells = []string{what, numbers[0], numbers[1], means}
		rows = append(rows, r)
	}
	a, b := w.A, w.B
	add(checked(accounted(a) && accounted(b)), "received", [2]uint64{a.Received.Frames, b.Received.Frames}, "all of them forwarded or dropped")
	add(row{}, "forwarded", [2]uint64{a.Forwarded.Frames, b.Forwarded.Frames}, "to the other port")
	for _, reason := range reasons(a.Passed, b.Passed) {
		add(row{}, "  "+reason, [2]uint64{a.Passed[reason], b.Passed[reason]}, "unjudged: "+meaning(reason))
	}
	add(checked(deniedIn(w)), "dropped", [2]uint64{dropped(a), dropped(b)}, "")
	for _, reason := range reasons(a.Dropped, b.Dropped) {
		add(row{}, "  "+reason, [2]uint64{a.Dropped[reason], b.Dropped[reason]}, meaning(reason))
	}
	add(row{}, "answered", [2]uint64{a.Answered, b.Answered}, "rejected packets whose sender was told")
	headings := append([]string{"FRAMES"}, toTheRight(d.lab.Ports, numberWidth)...)
	d.showTable(append(headings, ""), rows)
	return nil
}

// numberWidth is that of the columns of numbers.
const numberWidth = 8

// reasons are those of both ports, the most frequent first.
func reasons(a, b map[string]uint64) []string {
	all := maps.Clone(a)
	for reason, n := range b {
		all[reason] += n
	}
	return slices.SortedFunc(maps.Keys(all), func(x, y string) int { return cmp.Or(cmp.Compare(all[y], all[x]), cmp.Compare(x, y)) })
}

// deniedIn tells whether the counters know of all kinds of denial that the demo has made.
func deniedIn(w api.Wire) bool {
	for _, r := range []event.Reason{event.DefaultDeny, event.Denied, event.Rejected} {
		if w.A.Dropped[r.Name()]+w.B.Dropped[r.Name()] == 0 {
			return false
		}
	}
	return true
}

// up is the state of a wire that forwards.
const up = "UP"

// settled is a status in which each frame received is accounted for, as workers publish their counters now and then,
// and in which all wires are well again, if the machine has kept them from running.
func (d *demo) settled(ctx context.Context) (s api.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for {
		s, err = d.client.Status(ctx)
		if err != nil {
			return s, err
		}
		w := s.Wires[0]
		if w.State == up && accounted(w.A) && accounted(w.B) {
			return s, nil
		}
		if !pause(ctx, 20*time.Millisecond) {
			return s, nil // the checks say so
		}
	}
}

// accounted tells whether what a port received was forwarded or dropped for a reason, all of it.
func accounted(p api.Port) bool { return p.Received.Frames == p.Forwarded.Frames+dropped(p) }

func dropped(p api.Port) (n uint64) {
	for _, count := range p.Dropped {
		n += count
	}
	return n
}

// starved is how many frames the gateway has lost because its worker did not get the CPU in time: the ring
// that it empties was full, or the kernel took it for hung.
func (d *demo) starved(ctx context.Context) (n uint64, err error) {
	s, err := d.client.Status(ctx)
	if err != nil {
		return 0, err
	}
	for _, p := range []api.Port{s.Wires[0].A, s.Wires[0].B} {
		for _, r := range []event.Reason{event.RXRingFull, event.FailClosed} {
			n += p.Dropped[r.Name()]
		}
	}
	return n, nil
}

// meaning explains a reason.
func meaning(reason string) string {
	for r := range event.NumReasons {
		if r.Name() == reason {
			return r.What()
		}
	}
	for o := range packet.NumOutcomes {
		if o.String() == reason {
			return strings.TrimSuffix(o.Describe(), ".")
		}
	}
	return ""
}
