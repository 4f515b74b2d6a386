// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"bulkhead/ctrl/api"
)

// The tables for people. Every string passes cell or printable on its way here,
// numbers pass number or size: nothing is written as it came. Columns and their
// order may change from version to version; programs read JSON.

// drawStatus draws a status for people: the gateway, its wires, their ports,
// and why frames were dropped or passed unjudged.
func drawStatus(w io.Writer, s api.Status, now time.Time) {
	fmt.Fprintf(w, "%s: generation %d, %s, %s of %s flows\n",
		cell(s.Name), s.Generation, count(s.Rules, "rule"), number(s.Flows.Used), number(s.Flows.Capacity))
	if s.Generation == 0 {
		fmt.Fprintf(w, "policy: none yet, nothing passes\n")
	} else {
		fmt.Fprintf(w, "policy: %s, since %s, hash %.12s\n", cell(s.Policy.File), s.Policy.Applied.Format("2006-01-02 15:04:05 MST"), cell(s.Policy.Hash))
	}
	fmt.Fprintf(w, "bulkhead %s, pid %d, up %s\n", cell(s.Version), s.PID, now.Sub(s.Started).Truncate(time.Second))

	wires := newTable("WIRE", "STATE", "FAIL", "WHY")
	ports := newTable("WIRE", "PORT", "MODE", ">QUEUES", ">MTU", "CARRIER", ">RECEIVED", "", ">FORWARDED", "", ">DROPPED", ">UNJUDGED", ">ANSWERED")
	reasons := newTable("WIRE", "PORT", ">FRAMES", "", "REASON")
	for _, wire := range s.Wires {
		wires.add(cell(wire.Name), cell(wire.State), cell(wire.Fail), cell(wire.Why))
		for _, p := range []side{{wire, "a", wire.A}, {wire, "b", wire.B}} {
			p.addCounters(ports)
			p.addReasons(reasons, "dropped", p.port.Dropped)
			p.addReasons(reasons, "passed unjudged", p.port.Passed)
		}
	}
	for _, t := range []*table{wires, ports, reasons} {
		t.write(w)
	}
}

// side is a port and where it belongs.
type side struct {
	wire api.Wire
	name string // a or b
	port api.Port
}

// addCounters adds the port's row: what it is, and what went through it.
func (s side) addCounters(t *table) {
	p := s.port
	t.add(cell(s.wire.Name), s.title(), s.mode(), number(p.Queues), number(p.MTU), carrier(p.Carrier),
		number(p.Received.Frames), size(p.Received.Bytes), number(p.Forwarded.Frames), size(p.Forwarded.Bytes),
		number(sum(p.Dropped)), number(sum(p.Passed)), number(p.Answered))
}

// addReasons adds the counters by reason, the largest first.
func (s side) addReasons(t *table, what string, counts map[string]uint64) {
	reasons := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for _, r := range reasons {
		t.add(cell(s.wire.Name), s.title(), number(counts[r]), what, cell(r))
	}
}

// title names the port, as in "a eth0@10".
func (s side) title() string {
	if s.port.VLAN == 0 {
		return s.name + " " + cell(s.port.Interface)
	}
	return fmt.Sprintf("%s %s@%d", s.name, cell(s.port.Interface), s.port.VLAN)
}

// mode says how the port is driven, as in "native, copy".
func (s side) mode() string {
	mode := cell(s.port.Attach) + ", " + cell(s.port.Socket)
	if b := s.port.BusyPoll; b != "off" && b != "" {
		mode += ", busy poll " + cell(b)
	}
	return mode
}

// carrier is in capitals when it needs somebody.
func carrier(on bool) string {
	if on {
		return "up"
	}
	return "DOWN"
}

// sum adds up counters of all reasons.
func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// count gives a number of things: "1 rule", "2 rules".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

// drawRules draws the rules in force in their order.
func drawRules(w io.Writer, l api.RuleList) {
	t := newTable("RULE", "ACTION", ">HITS", "WHERE")
	for _, r := range l.Rules {
		t.add(cell(r.Name), cell(r.Action), number(r.Hits), cell(fmt.Sprintf("%s:%d", r.File, r.Line)))
	}
	t.add("(default)", cell(l.Default.Action), number(l.Default.Hits), "-")
	fmt.Fprintf(w, "generation %d, %s\n", l.Generation, count(len(l.Rules), "rule"))
	t.write(w)
}

// drawApplied says that a policy is in force.
func drawApplied(w io.Writer, a api.Applied) {
	fmt.Fprintf(w, "generation %d in force after %.1f ms: %s, %s kept, %s cut, hash %.12s\n",
		a.Generation, a.MS, count(a.Rules, "rule"), count(a.Kept, "flow"), number(a.Cut), cell(a.Hash))
}
