// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
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

// benchKey is the key of flow number i: TCP between IPv4 addresses that look
// random. It is cheaper to make than to fetch.
func benchKey(i uint32) packet.Key {
	x := uint64(i+1) * 0x9e3779b97f4a7c15
	return v4Key(uint32(x), uint32(x>>32), uint16(i), 443)
}

// benchKeys are the keys of the first n flows.
func benchKeys(n int) []packet.Key {
	keys := make([]packet.Key, n)
	for i := range keys {
		keys[i] = benchKey(uint32(i))
	}
	return keys
}

// benchTable is a table with that many established flows, on huge pages where
// there are any.
func benchTable(b *testing.B, n int) (*Table, *Handle) {
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
	return t, h
}

func BenchmarkHash(b *testing.B) {
	t := newTable(b, Options{Capacity: 1})
	k := benchKey(0)
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
	_, h := benchTable(b, flows)
	info := packet.Info{Proto: protoTCP, TCPFlags: flagAck, Payload: 100}
	var keys [batch]packet.Key
	var hashes [batch]uint64
	var refs [batch]Ref
	passed, at, now := 0, uint64(0), int64(1)
	defer cpuTime(b)()
	for b.Loop() { // one iteration is one packet; they are looked up a batch at a time
		keys[at%batch] = benchKey(uint32(mix(at) >> 32 * uint64(flows) >> 32))
		if at++; at%batch != 0 {
			continue
		}
		h.LookupBatch(keys[:], hashes[:], refs[:])
		if whole {
			passed += benchCarryOut(h, refs[:], &info, now)
			now += 32 * 50
			h.Pass()
		}
	}
	if b.N > 2*batch && (refs[0] == 0 || whole && passed == 0) {
		b.Fatal("missed")
	}
}

func benchCarryOut(h *Handle, refs []Ref, info *packet.Info, now int64) (passed int) {
	for _, ref := range refs {
		if h.View(ref).Verdict() != 0 && h.Advance(ref, packet.AtoB, info) == Pass {
			h.Account(ref, packet.AtoB, 60, now)
			passed++
		}
	}
	return passed
}

func BenchmarkMiss(b *testing.B) {
	for _, n := range []int{1 << 16, 1 << 20} {
		b.Run(fmt.Sprintf("flows=%d", n), func(b *testing.B) {
			_, h := benchTable(b, n)
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
	_, h := benchTable(b, 1)
	k := benchKey(0)
	ref, _ := h.Lookup(&k, h.Hash(&k))
	info := packet.Info{Proto: protoTCP, TCPFlags: flagAck, Payload: 100, TCPWindow: 100}
	defer cpuTime(b)()
	for b.Loop() {
		info.TCPSeq += 100
		info.TCPAck += 10
		h.Advance(ref, packet.AtoB, &info)
	}
}

func BenchmarkAccount(b *testing.B) {
	_, h := benchTable(b, 1)
	k := benchKey(0)
	ref, _ := h.Lookup(&k, h.Hash(&k))
	now := int64(0)
	defer cpuTime(b)()
	for b.Loop() {
		now += 50
		h.Account(ref, packet.AtoB, 60, now)
	}
}

func BenchmarkSweep(b *testing.B) {
	_, h := benchTable(b, 1<<20)
	now := int64(1)
	defer cpuTime(b)()
	for b.Loop() { // one iteration is 1,024 entries
		now += 1_000_000
		h.Sweep(now, 1024)
	}
}
