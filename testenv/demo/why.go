// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// showWhy shows the gateway's counters, each drop with its reason.
func (d *demo) showWhy(ctx context.Context) error {
	s, err := d.settled(ctx)
	if err != nil {
		return err
	}
	d.section("Why: the counters, as bulkhead status has them")
	for _, w := range s.Wires {
		d.check(w.State == "UP", "%s is %s, attached %s, sockets in %s mode, generation %d; %d flows remembered",
			w.Name, w.State, w.A.Attach, w.A.Socket, s.Generation, s.Flows.Used)
		var rows []row
		rows = append(rows, portRow("a", w.A), portRow("b", w.B))
		d.showTable([]string{"PORT", "RECEIVED", "FORWARDED", "DROPPED", "ANSWERED"}, true, rows)
		d.showTable([]string{"PORT", "FRAMES", "WHAT", "REASON", "WHICH MEANS"}, false, append(reasons("a", w.A), reasons("b", w.B)...))
	}
	return nil
}

// settled is a status in which each frame received is accounted for: workers publish their counters now and then.
func (d *demo) settled(ctx context.Context) (s api.Status, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for {
		s, err = d.client.Status(ctx)
		if err != nil || !slices.ContainsFunc(s.Wires, func(w api.Wire) bool { return !accounted(w.A) || !accounted(w.B) }) {
			return s, err
		}
		if !pause(ctx, 20*time.Millisecond) {
			return s, nil // the row of the port says so
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

// portRow says how many frames came by a port and what became of them.
func portRow(name string, p api.Port) row {
	return row{[]string{name + " " + p.Interface, fmt.Sprint(p.Received.Frames), fmt.Sprint(p.Forwarded.Frames),
		fmt.Sprint(dropped(p)), fmt.Sprint(p.Answered)}, accounted(p)}
}

// reasons are a port's counters by reason, the largest first.
func reasons(name string, p api.Port) (rows []row) {
	for _, kind := range []struct {
		what   string
		counts map[string]uint64
	}{{"dropped", p.Dropped}, {"passed unjudged", p.Passed}} {
		byCount := func(a, b string) int { return cmp.Or(cmp.Compare(kind.counts[b], kind.counts[a]), cmp.Compare(a, b)) }
		for _, reason := range slices.SortedFunc(maps.Keys(kind.counts), byCount) {
			rows = append(rows, row{cells: []string{name + " " + p.Interface, fmt.Sprint(kind.counts[reason]), kind.what, reason, meaning(reason)}})
		}
	}
	return rows
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
			return o.Describe()
		}
	}
	return ""
}
