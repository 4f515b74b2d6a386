// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/dataplane/packet"
)

// crowd is several workers on one table that is too small for their keys. What
// a flow says about itself follows from its key, so that anything torn shows.
type crowd struct {
	t      *testing.T
	table  *Table
	clock  atomic.Int64
	counts []counts // by key, what the workers have accounted
	ended  []counts // by key, what the records say
}

type counts struct{ packets, bytes [2]atomic.Uint64 }

const crowdKeys = 300

// crowdKey differs in every word from the others.
func crowdKey(id uint32) packet.Key {
	x := uint64(id)<<32 | uint64(id)
	return packet.Key{A: packet.Addr{Hi: x, Lo: ^x}, B: packet.Addr{Hi: x * 3, Lo: x * 5}, Ports: x * 7, Meta: x * 11}
}

func crowdDecision(id uint32, generation uint16) Decision {
	return Decision{Rule: id, Verdict: uint8(id), Reason: uint8(generation), Generation: generation}
}

func (c *crowd) check(k *packet.Key, d Decision) {
	id := uint32(k.A.Hi)
	if *k != crowdKey(id) || d != crowdDecision(id, d.Generation) {
		c.t.Errorf("torn: key %+v with decision %+v", *k, d)
	}
}

// record is called by each worker for ended flows.
func (c *crowd) record(r *Record) {
	c.check(&r.Key, r.Decision)
	c.add(c.ended, r)
}

func (c *crowd) add(to []counts, r *Record) {
	id := r.Key.A.Hi & 0xffffffff
	for d := range 2 {
		to[id].packets[d].Add(r.Packets[d])
		to[id].bytes[d].Add(r.Bytes[d])
	}
}

// work is one worker: batches of random packets.
func (c *crowd) work(h *Handle, seed uint64, batches int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	var keys [16]packet.Key
	var hashes [16]uint64
	var refs [16]Ref
	for range batches {
		h.Pass()
		now := c.clock.Add(1 << 18)
		for i := range keys {
			keys[i] = crowdKey(rng.Uint32N(crowdKeys))
		}
		h.LookupBatch(keys[:], hashes[:], refs[:])
		for i := range keys {
			c.packet(h, &keys[i], hashes[i], refs[i], rng, now)
		}
		h.Sweep(now, 64)
		if rng.IntN(20) == 0 {
			h.Idle()
			runtime.Gosched()
		}
	}
	h.Idle()
}

func (c *crowd) packet(h *Handle, k *packet.Key, hash uint64, ref Ref, rng *rand.Rand, now int64) {
	id := uint32(k.A.Hi)
	if ref == 0 {
		var r Result
		s := Start{State: UDPUnreplied, Now: now, Decision: crowdDecision(id, uint16(rng.Uint32()))}
		if ref, r = h.Insert(k, hash, &s); r == Full {
			return
		}
	}
	v := h.View(ref)
	c.check(k, v.Decision())
	d := packet.Dir(rng.IntN(2))
	h.Advance(ref, d, &packet.Info{Proto: protoUDP})
	bytes := int(id) + 1 + int(d)
	h.Account(ref, d, bytes, now)
	c.counts[id].packets[d].Add(1)
	c.counts[id].bytes[d].Add(uint64(bytes))
	switch rng.IntN(16) {
	case 0:
		h.End(ref)
	case 1:
		h.Judge(ref, v.Decision(), crowdDecision(id, v.Generation()+1))
	}
}

// list walks without a handle until told to stop.
func (c *crowd) list(stop *atomic.Bool) {
	for !stop.Load() {
		c.table.Walk(c.clock.Load(), func(r *Record) bool {
			c.check(&r.Key, r.Decision)
			return true
		})
		c.table.Len()
		c.table.Stats()
		runtime.Gosched()
	}
}

func TestManyWorkersLoseNothingAndTearNothing(t *testing.T) {
	const workers = 4
	c := &crowd{t: t, counts: make([]counts, crowdKeys), ended: make([]counts, crowdKeys)}
	c.table = newTable(t, Options{Capacity: 100, Workers: workers, Timeouts: Timeouts{
		UDPUnreplied: 200 * time.Millisecond, UDPReplied: 400 * time.Millisecond, Pressure: 5 * time.Millisecond}})
	handles := make([]*Handle, workers)
	for i := range handles {
		handles[i] = join(t, c.table, c.record)
	}
	var stop atomic.Bool
	var all, lister sync.WaitGroup
	lister.Go(func() { c.list(&stop) })
	for i, h := range handles {
		all.Go(func() { c.work(h, uint64(i), 3000) })
	}
	all.Wait()
	stop.Store(true)
	lister.Wait()
	c.settleUp(handles)
}

// settleUp lets all flows end. What the records say has to be what was
// counted, to the packet.
func (c *crowd) settleUp(handles []*Handle) {
	live := map[packet.Key]bool{}
	c.table.Walk(c.clock.Load(), func(r *Record) bool {
		if live[r.Key] {
			c.t.Errorf("two flows of key %+v", r.Key)
		}
		live[r.Key] = true
		return true
	})
	if len(live) != c.table.Len() {
		c.t.Errorf("%d flows, length %d", len(live), c.table.Len())
	}
	for range 20 { // each round ends as many flows as may wait at a time
		now := c.clock.Add(2e9)
		for _, h := range handles {
			h.Sweep(now, 1<<20)
		}
	}
	total := uint64(0)
	for id := range c.counts {
		for d := range 2 {
			want, got := &c.counts[id], &c.ended[id]
			total += want.packets[d].Load()
			if got.packets[d].Load() != want.packets[d].Load() || got.bytes[d].Load() != want.bytes[d].Load() {
				c.t.Errorf("key %d direction %d: %d packets %d bytes in records, %d and %d were accounted", id, d,
					got.packets[d].Load(), got.bytes[d].Load(), want.packets[d].Load(), want.bytes[d].Load())
			}
		}
	}
	c.t.Logf("%d packets, %+v", total, c.table.Stats())
	if c.table.Len() != 0 || total == 0 {
		c.t.Errorf("%d flows are left of %d packets", c.table.Len(), total)
	}
}

// All workers insert the same keys at the same time. Each key gets one flow,
// and all are told the same one.
func TestWorkersThatInsertTheSameKeyAgree(t *testing.T) {
	const workers, rounds, keys = 4, 2000, 4
	table := newTable(t, Options{Capacity: 64, Workers: workers})
	var refs [workers][keys]Ref
	var inserted [workers]int
	var arrived atomic.Int64
	var done sync.WaitGroup
	handles := make([]*Handle, workers)
	for i := range handles {
		handles[i] = join(t, table, nil)
	}
	for round := range uint32(rounds) {
		for i, h := range handles {
			done.Go(func() {
				h.Pass()
				for n := range uint32(keys) {
					for arrived.Add(1); arrived.Load() < int64(workers*(round*keys+n+1)); {
						runtime.Gosched()
					}
					k := crowdKey(round*keys + n)
					ref, r := h.Insert(&k, h.Hash(&k), &Start{State: UDPUnreplied, Now: 1})
					refs[i][n] = ref
					if r == Inserted {
						inserted[i]++
					}
				}
			})
		}
		done.Wait()
		for n := range keys {
			for i := range refs {
				if refs[i][n] == 0 || refs[i][n] != refs[0][n] {
					t.Fatalf("round %d key %d: flows %v", round, n, refs)
				}
			}
			handles[0].End(refs[0][n])
		}
		for _, h := range handles {
			h.Pass()
		}
		handles[0].Sweep(1, 0)
	}
	sum := 0
	for _, n := range inserted {
		sum += n
	}
	if sum != rounds*keys || table.Len() != 0 {
		t.Errorf("%d were told that they inserted, want %d; %d flows are left", sum, rounds*keys, table.Len())
	}
	t.Logf("inserted by worker: %v", inserted)
}

// A flow that has ended goes on counting until the last worker that may hold
// it has passed; an idle one does not keep it.
func TestEndWaitsForEveryWorker(t *testing.T) {
	var got []Record
	table := newTable(t, Options{Capacity: 8, Workers: 3})
	a := join(t, table, func(r *Record) { got = append(got, *r) })
	b, idler := join(t, table, nil), join(t, table, nil)
	idler.Idle()
	k := crowdKey(1)
	ref, _ := a.Insert(&k, a.Hash(&k), &Start{State: UDPUnreplied, Now: 1})
	held, _ := b.Lookup(&k, b.Hash(&k))
	if !a.End(ref) || a.End(ref) || b.End(held) {
		t.Error("the flow did not end just once")
	}
	if _, ok := b.Lookup(&k, b.Hash(&k)); ok {
		t.Error("a flow that has ended was found")
	}
	a.Pass()
	b.Account(held, packet.BtoA, 99, 1)
	if a.Sweep(1, 0); len(got) != 0 {
		t.Fatal("the record came while a worker held the flow")
	}
	b.Pass()
	a.Sweep(1, 0)
	if len(got) != 1 || got[0].Bytes != [2]uint64{0, 99} || got[0].Cause != Ended || got[0].Key != k {
		t.Errorf("records: %+v", got)
	}
}
