// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// What the data plane counts by number, people and programs see by name. All
// of it is copied: nothing that is shown is shared with the workers.

// wireOf gives a wire as the control socket shows it.
func wireOf(w dataplane.WireStatus) api.Wire {
	return api.Wire{
		Name: w.Name, State: w.State.String(), Why: w.Why, Fail: w.Fail,
		A: portOf(w.A), B: portOf(w.B),
	}
}

// portOf gives a port; its maps are never nil, in JSON they are never null.
func portOf(p dataplane.PortStatus) api.Port {
	return api.Port{
		Interface: p.Port.Interface, VLAN: p.Port.VLAN,
		Attach: p.Attach, Socket: p.Socket, Queues: p.Queues, FrameSize: p.FrameSize,
		MTU: p.MTU, BusyPoll: p.BusyPoll, Carrier: p.Carrier,
		Received: api.Counter(p.Received), Forwarded: api.Counter(p.Forwarded),
		Dropped: byReason(&p.Dropped), Passed: byReason(&p.Passed), Answered: p.Answered,
	}
}

// byReason names the counters that are not zero.
func byReason(counts *[event.NumReasons]uint64) map[string]uint64 {
	named := map[string]uint64{}
	for r, n := range counts {
		if n > 0 {
			named[reasonName(event.Reason(r))] = n
		}
	}
	return named
}

// reasonName gives a reason's name: the first ones are those of the parser.
func reasonName(r event.Reason) string {
	if r < event.Reason(packet.NumOutcomes) {
		return packet.Outcome(r).String()
	}
	if name := r.Name(); name != "" {
		return name
	}
	return fmt.Sprintf("reason_%d", r)
}
