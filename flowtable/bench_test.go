// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"bulkhead/dataplane/packet"
)

// batch is how many packets a worker handles at a time.
const batch = 32

// cpuTime reports the processor time that an iteration takes, which other jobs
// on the machine disturb less than the time on the wall. Call what it returns
// after the loop.
func cpuTime(b *testing.B) (report func()) {
	used := func() (ns int64) {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	b.ReportAllocs()
	start := used()
	return func() { b.ReportMetric(float64(used()-start)/float64(b.N), "cpu-ns/op") }
}

// benchKeys are keys of n TCP flows between random IPv4 addresses.
func benchKeys(n int) []packet.Key {
	r := rand.New(rand.NewPCG(1, 2))
	keys := make([]packet.Key, n)
	for i := range keys {
		keys[i] = v4Key(r.Uint32(), r.Uint32(), uint16(r.Uint32()), 443)
	}
	return keys
}

// benchTable is a table with that many established flows, on huge pages where
// there are any.
func benchTable(b *testing.B, n int) (*Table, *Handle, []packet.Key) {
	b.Helper()
	size, err := SizeOf(n, 1)
	if err != nil {
		b.Fatal(err)
	}
	m, err := Map(size)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Unmap() })
	t, err := New(Options{Capacity: n, Memory: m})
	if err != nil {
		b.Fatal(err)
	}
	h, err := t.Join(nil)
	if err != nil {
		b.Fatal(err)
	}
	h.Pass()
	keys := benchKeys(n)
	start := Start{State: Established, Decision: Decision{Verdict: 1}, Now: 1}
	for i := range keys {
		if _, r := h.Insert(&keys[i], h.Hash(&keys[i]), &start); r == Full {
			b.Fatal("full")
		}
	}
	return t, h, keys
}

func BenchmarkHash(b *testing.B) {
	t := newTable(b, Options{Capacity: 1})
	k := benchKeys(1)[0]
	defer cpuTime(b)()
	for b.Loop() {
		k.B.Lo ^= t.Hash(&k) & 1
	}
}

// BenchmarkHit is what a worker does for packets of known flows: batches of
// random flows are looked up, judged, advanced and accounted. Figures are for
// one packet.
func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("lookup/flows=%d", n), func(b *testing.B) { benchHit(b, n, false) })
		b.Run(fmt.Sprintf("whole/flows=%d", n), func(b *testing.B) { benchHit(b, n, true) })
	}
}

func benchHit(b *testing.B, flows int, whole bool) {
	_, h, keys := benchTable(b, flows)
	r := rand.New(rand.NewPCG(3, 4))
	order := make([]packet.Key, 1<<16)
	for i := range order {
		order[i] = keys[r.IntN(flows)]
	}
	info := packet.Info{Proto: protoTCP, TCPFlags: flagAck, Payload: 100}
	var hashes [batch]uint64
	var refs [batch]Ref
	passed, at, now := 0, 0, int64(1)
	defer cpuTime(b)()
	for b.Loop() { // one iteration is one packet, batches of them at a time
		if at%batch == 0 {
			i := at % len(order)
			h.LookupBatch(order[i:i+batch], hashes[:], refs[:])
			if whole {
				passed += benchCarryOut(h, refs[:], &info, now)
				now += 32 * 50
				h.Pass()
			}
		}
		at++
	}
	if refs[0] == 0 || whole && passed == 0 {
		b.Fatal("missed")
	}
}

func benchCarryOut(h *Handle, refs []Ref, info *packet.Info, now int64) (passed int) {
	for _, ref := range refs {
		if h.View(ref).Verdict != 0 && h.Advance(ref, packet.AtoB, info) == Pass {
			h.Account(ref, packet.AtoB, 60, now)
			passed++
		}
	}
	return passed
}

func BenchmarkMiss(b *testing.B) {
	for _, n := range []int{1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			_, h, _ := benchTable(b, n)
			k, found := v4Key(1, 2, 3, 4), false
			defer cpuTime(b)()
			for b.Loop() {
				k.Ports++
				_, hit := h.Lookup(&k, h.Hash(&k))
				found = found || hit
			}
			if found {
				b.Fatal("found what is not there")
			}
		})
	}
}

// BenchmarkInsert makes new flows in a full table, so that each takes the
// place of another.
func BenchmarkInsert(b *testing.B) {
	for _, n := range []int{1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("churn/flows=%d", n), func(b *testing.B) { benchInsert(b, n) })
	}
}

func benchInsert(b *testing.B, flows int) {
	t := newTable(b, Options{Capacity: flows})
	h := join(b, t, nil)
	info := packet.Info{Proto: protoTCP, TCPFlags: flagSyn}
	start := Start{Info: &info, State: SynSent, Decision: Decision{Verdict: 1}, Now: 1}
	k, full, n := v4Key(1, 2, 3, 4), 0, 0
	defer cpuTime(b)()
	for b.Loop() {
		k.A.Lo = uint64(n)
		if _, r := h.Insert(&k, h.Hash(&k), &start); r == Full {
			full++
		}
		start.Now += 10_000
		if n++; n%batch == 0 {
			h.Pass()
			h.Sweep(start.Now, 64)
		}
	}
	b.ReportMetric(float64(full)/float64(b.N), "full/op")
}

func BenchmarkAdvance(b *testing.B) {
	_, h, keys := benchTable(b, 1)
	ref, _ := h.Lookup(&keys[0], h.Hash(&keys[0]))
	info := packet.Info{Proto: protoTCP, TCPFlags: flagAck, Payload: 100, TCPWindow: 100}
	defer cpuTime(b)()
	for b.Loop() {
		info.TCPSeq += 100
		info.TCPAck += 10
		h.Advance(ref, packet.AtoB, &info)
	}
}

func BenchmarkAccount(b *testing.B) {
	_, h, keys := benchTable(b, 1)
	ref, _ := h.Lookup(&keys[0], h.Hash(&keys[0]))
	now := int64(0)
	defer cpuTime(b)()
	for b.Loop() {
		now += 50
		h.Account(ref, packet.AtoB, 60, now)
	}
}

func BenchmarkSweep(b *testing.B) {
	_, h, _ := benchTable(b, 1<<20)
	now := int64(1)
	defer cpuTime(b)()
	for b.Loop() { // one iteration is 1,024 entries
		now += 1_000_000
		h.Sweep(now, 1024)
	}
}
