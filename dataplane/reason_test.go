// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"testing"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// TestOutcomesAndReasonsAreOneList holds what event cannot know, being a leaf.
func TestOutcomesAndReasonsAreOneList(t *testing.T) {
	if event.Reason(packet.NumOutcomes) > event.Denied {
		t.Fatalf("%d outcomes run into the reasons, which begin at %d", packet.NumOutcomes, event.Denied)
	}
	names := map[string]bool{}
	for o := packet.Outcome(0); o < packet.NumOutcomes; o++ {
		if event.Reason(o).Name() != "" {
			t.Errorf("outcome %v is a reason of its own too", o)
		}
		names[o.String()] = true
	}
	for r := event.Denied; r < event.NumReasons; r++ {
		if names[r.Name()] {
			t.Errorf("reason %s has the name of an outcome", r.Name())
		}
	}
}

func TestOnlyLinkControlPassesByDefault(t *testing.T) {
	for r, v := range DefaultExceptions() {
		o := packet.Outcome(r)
		if pass := o < packet.NumOutcomes && o >= packet.ARP && o <= packet.CFM; pass != (v == Forward) {
			t.Errorf("%d: verdict %v by default", r, v)
		}
	}
}
