// SPDX-License-Identifier: Apache-2.0

package flowtable_test

import (
	"fmt"

	"bulkhead/dataplane/packet"
	"bulkhead/flowtable"
)

// What a worker does with a batch of packets. Here the policy allows whatever
// begins a flow.
func Example() {
	table, err := flowtable.New(flowtable.Options{Capacity: 1000, Workers: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := table.Join(func(r *flowtable.Record) {
		fmt.Println(r.Cause, r.State, r.Packets, r.Bytes)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	a, b := packet.Addr{Lo: 0xffff0a000001}, packet.Addr{Lo: 0xffff0a000002}
	batch := []packet.Info{
		{Proto: 17, Family: 4, Src: a, Dst: b, SrcPort: 5000, DstPort: 53},
		{Proto: 17, Family: 4, Src: b, Dst: a, SrcPort: 53, DstPort: 5000},
	}
	now := int64(1_000_000_000)
	h.Pass()
	h.Sweep(now, 64)
	for i := range batch { // one batch of one packet each, to keep it short
		fmt.Println(carryOut(h, &batch[i], now))
		h.Pass()
		h.Sweep(now, 64)
	}
	now += 302_000_000_000 // five minutes and two seconds later
	for range 2 {
		h.Sweep(now, 10_000)
		h.Pass()
	}
	h.Idle()
	// Output:
	// inserted
	// hit: pass
	// expired udp_replied [1 1] [60 60]
}

func carryOut(h *flowtable.Handle, info *packet.Info, now int64) string {
	var hash [1]uint64
	var ref [1]flowtable.Ref
	k, d := info.Key(1)
	h.LookupBatch([]packet.Key{k}, hash[:], ref[:])
	if ref[0] == 0 {
		s := flowtable.Start{Info: info, Dir: d, State: flowtable.Begin(&k, d, info, false), Now: now,
			Decision: flowtable.Decision{Verdict: 1, Rule: flowtable.NoRule}}
		r, result := h.Insert(&k, hash[0], &s)
		if result != flowtable.Inserted {
			return "no room"
		}
		h.Account(r, d, 60, now)
		return "inserted"
	}
	if h.View(ref[0]).Verdict() == 0 || h.Advance(ref[0], d, info) != flowtable.Pass {
		return "hit: drop"
	}
	h.Account(ref[0], d, 60, now)
	return "hit: pass"
}
