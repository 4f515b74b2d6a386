// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"bulkhead/dataplane/packet"
)

// world is a table beside a plain model of it: a map from key to flow. Random
// operations go to both.
type world struct {
	tb      tb
	table   *Table
	handles [2]*Handle
	held    [2][]holding // Refs that each handle may still use
	flows   map[packet.Key]*modelFlow
	ended   []*modelFlow // ended, record not handed out yet
	keys    []packet.Key
	now     int64
	next    uint32 // rule of the next decision
}

// modelFlow is what the record of the flow has to say, and who may still count.
type modelFlow struct {
	Record
	ref     Ref
	holders [2]int
}

type holding struct {
	ref  Ref
	flow *modelFlow
}

// chooser draws the numbers that choose the operations: below n.
type chooser func(name string, n int) int

// Whole seconds and a half, so that whole seconds are never close to a timeout.
var modelTimeouts = Timeouts{
	UDPUnreplied: 10500 * time.Millisecond, UDPReplied: 20500 * time.Millisecond,
	OtherUnreplied: 5500 * time.Millisecond, OtherReplied: 30500 * time.Millisecond,
	OneWay: 3500 * time.Millisecond,
}

func newWorld(tb tb) *world {
	w := &world{tb: tb, flows: map[packet.Key]*modelFlow{}, now: 1e9}
	w.table = newTable(tb, Options{Capacity: 64, Workers: 2, Timeouts: modelTimeouts})
	for i := range w.handles {
		w.handles[i] = join(tb, w.table, w.checkEnd)
	}
	for i := range uint32(24) {
		w.keys = append(w.keys, v4Key(i%4, 7, uint16(i), 53))
	}
	w.handles[0].Sweep(w.now, 0) // the sweep begins here
	return w
}

func (w *world) failf(format string, args ...any) {
	w.tb.Helper()
	w.tb.Fatal(fmt.Sprintf(format, args...))
}

// step makes one operation.
func (w *world) step(choose chooser) {
	who := choose("handle", 2)
	h := w.handles[who]
	k := &w.keys[choose("key", len(w.keys))]
	switch choose("operation", 12) {
	case 0, 1, 2:
		w.insert(who, k, choose)
	case 3, 4:
		w.lookup(who, k)
	case 5, 6:
		w.account(who, choose)
	case 7:
		w.advance(who, choose)
	case 8:
		w.judge(who, choose)
	case 9:
		if f := w.flows[*k]; f != nil && h.in-h.out < uint(len(h.limbo)) {
			w.end(f, Ended)
			if !h.End(f.ref) || h.End(f.ref) {
				w.failf("end of %v: not once", k)
			}
		}
	case 10:
		w.release(who)
		h.Sweep(w.now, 0)
	case 11:
		w.sleep(who, choose("seconds", 12))
	}
}

func (w *world) insert(who int, k *packet.Key, choose chooser) {
	h, old := w.handles[who], w.flows[*k]
	state := []State{UDPUnreplied, OtherUnreplied, OneWay}[choose("state", 3)]
	w.next++
	s := Start{State: state, Dir: packet.Dir(choose("initiator", 2)), Now: w.now,
		Decision: Decision{Rule: w.next, Verdict: uint8(choose("verdict", 3))}}
	ref, r := h.Insert(k, h.Hash(k), &s)
	switch {
	case old != nil && (r != Exists || ref != old.ref):
		w.failf("insert of a key that is there: %d, flow %d, want %d", r, ref, old.ref)
	case old == nil && r != Inserted:
		w.failf("insert of a new key: %d", r)
	case old == nil:
		w.flows[*k] = &modelFlow{ref: ref, Record: Record{Key: *k, Decision: s.Decision, State: state,
			Initiator: s.Dir, First: w.now, Last: w.now}}
	}
	w.hold(who, ref, w.flows[*k])
}

func (w *world) hold(who int, ref Ref, f *modelFlow) {
	f.holders[who]++
	w.held[who] = append(w.held[who], holding{ref, f})
}

// release lets go of all Refs, and passes.
func (w *world) release(who int) {
	for _, x := range w.held[who] {
		x.flow.holders[who]--
	}
	w.held[who] = nil
	w.handles[who].Pass()
}

func (w *world) lookup(who int, k *packet.Key) {
	h, f := w.handles[who], w.flows[*k]
	ref, ok := h.Lookup(k, h.Hash(k))
	var hash [1]uint64
	var refs [1]Ref
	h.LookupBatch([]packet.Key{*k}, hash[:], refs[:])
	if ok != (f != nil) || refs[0] != ref || hash[0] != h.Hash(k) {
		w.failf("lookup: %v %d, in a batch %d, want %+v", ok, ref, refs[0], f)
	}
	if f == nil {
		return
	}
	v := h.View(ref)
	if ref != f.ref || v.Decision() != f.Decision || v.State() != f.State || v.Initiator() != f.Initiator ||
		v.Verdict() != f.Decision.Verdict || v.Generation() != f.Decision.Generation {
		w.failf("flow %d is %+v, want %+v", ref, v, f)
	}
	for d := range packet.Dir(2) {
		if h.Seen(ref, d) != (f.Packets[d] > 0) {
			w.failf("seen in direction %d: %v, want %d packets", d, h.Seen(ref, d), f.Packets[d])
		}
	}
	w.hold(who, ref, f)
}

// pick is a Ref that the handle may use, whether its flow has ended or not.
func (w *world) pick(who int, choose chooser) (x holding, ok bool) {
	if len(w.held[who]) == 0 {
		return x, false
	}
	return w.held[who][choose("held", len(w.held[who]))], true
}

func (w *world) account(who int, choose chooser) {
	x, ok := w.pick(who, choose)
	if !ok {
		return
	}
	d, bytes := packet.Dir(choose("direction", 2)), 60+choose("bytes", 1500)
	w.handles[who].Account(x.ref, d, bytes, w.now)
	x.flow.Packets[d]++
	x.flow.Bytes[d] += uint64(bytes)
	x.flow.Last = w.now
}

func (w *world) advance(who int, choose chooser) {
	x, ok := w.pick(who, choose)
	if !ok {
		return
	}
	d := packet.Dir(choose("direction", 2))
	want := Pass
	if d != x.flow.Initiator {
		switch x.flow.State {
		case UDPUnreplied:
			x.flow.State = UDPReplied
		case OtherUnreplied:
			x.flow.State = OtherReplied
		case OneWay:
			want = Invalid
		}
	}
	if got := w.handles[who].Advance(x.ref, d, &packet.Info{Proto: protoUDP}); got != want {
		w.failf("advance says %d, want %d", got, want)
	}
}

func (w *world) judge(who int, choose chooser) {
	x, ok := w.pick(who, choose)
	if !ok {
		return
	}
	w.next++
	from, to := x.flow.Decision, Decision{Rule: w.next, Generation: uint16(w.next), Verdict: 1, Reason: 3, Mode: 5}
	if choose("stale", 2) == 1 {
		from.Generation++
		to.Rule = 0
	}
	got, want := w.handles[who].Judge(x.ref, from, to), from == x.flow.Decision
	if got != want {
		w.failf("judge says %v, want %v", got, want)
	}
	if want {
		x.flow.Decision = to
	}
}

func (w *world) end(f *modelFlow, c Cause) {
	f.Cause = c
	delete(w.flows, f.Key)
	w.ended = append(w.ended, f)
}

// checkEnd finds the flow that a record is about. Nobody may hold it.
func (w *world) checkEnd(r *Record) {
	for i, f := range w.ended {
		if f.Key == r.Key && sameRecord(&f.Record, r) {
			if f.holders != [2]int{} {
				w.failf("flow %d ended while handles hold it: %v", f.ref, f.holders)
			}
			w.ended = append(w.ended[:i], w.ended[i+1:]...)
			return
		}
	}
	w.failf("record %+v is of no flow that has ended", *r)
}

// sameRecord allows for the grain of times.
func sameRecord(a, b *Record) bool {
	const grain = 2 << tickShift
	x, y := *a, *b
	near := max(x.First-y.First, y.First-x.First) < grain && max(x.Last-y.Last, y.Last-x.Last) < grain
	x.First, x.Last, y.First, y.Last = 0, 0, 0, 0
	return near && x == y
}

// sleep lets time pass, and then one handle sweeps the whole table.
func (w *world) sleep(who, seconds int) {
	w.now += int64(seconds+2) * 1e9
	for i := range w.handles {
		w.release(i)
	}
	for i := range w.handles {
		w.handles[i].Sweep(w.now, 0)
	}
	for _, f := range w.flows {
		l := modelLimit(f.State)
		if w.now-f.Last > int64(l) {
			w.end(f, Expired)
		}
	}
	w.handles[who].Sweep(w.now, 1<<30)
	w.compare()
}

func modelLimit(s State) time.Duration {
	t := modelTimeouts
	return map[State]time.Duration{UDPUnreplied: t.UDPUnreplied, UDPReplied: t.UDPReplied,
		OtherUnreplied: t.OtherUnreplied, OtherReplied: t.OtherReplied, OneWay: t.OneWay}[s]
}

// compare lists the table in both ways.
func (w *world) compare() {
	seen, visited := map[packet.Key]Record{}, map[packet.Key]Record{}
	w.table.Walk(w.now, func(r *Record) bool { seen[r.Key] = *r; return true })
	for at, again := 0, true; again; again = at != 0 {
		at = w.handles[0].Visit(at, 10, w.now, func(_ Ref, r *Record) { visited[r.Key] = *r })
	}
	if d := cmp.Diff(seen, visited); d != "" {
		w.failf("walk and visit differ: %s", d)
	}
	for k, r := range seen {
		if f := w.flows[k]; f == nil || !sameRecord(&f.Record, &r) {
			w.failf("listed %+v, want %+v", r, f)
		}
	}
	if len(seen) != len(w.flows) || w.table.Len() != len(w.flows) {
		w.failf("%d flows listed, length %d, want %d", len(seen), w.table.Len(), len(w.flows))
	}
}

// finish lets all ended flows go and looks for leaks.
func (w *world) finish() {
	w.sleep(0, 0)
	for i := range w.handles {
		w.release(i)
		w.handles[i].Idle()
	}
	for i := range w.handles {
		w.handles[i].Sweep(w.now, 0)
	}
	if len(w.ended) != 0 {
		w.failf("%d flows have ended without a record, the first is %+v", len(w.ended), w.ended[0])
	}
	free := int(w.table.freeLength()) + w.handles[0].nkept + w.handles[1].nkept
	if want := w.table.size.Entries - len(w.flows); free != want {
		w.failf("%d entries are free, want %d", free, want)
	}
}

func TestTableAgreesWithAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		choose := func(name string, n int) int { return rapid.IntRange(0, n-1).Draw(t, name) }
		for range rapid.IntRange(1, 300).Draw(t, "operations") {
			w.step(choose)
		}
		w.finish()
	})
}

func FuzzTableAgreesWithAMap(f *testing.F) {
	f.Add([]byte("some operations to begin with, and then a few more of them"))
	f.Add([]byte{0, 1, 0, 0, 0, 1, 0, 1, 5, 0, 0, 1, 0, 1, 9, 0, 1, 11, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		w := newWorld(t)
		choose := func(_ string, n int) int {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int(b) % n
		}
		for len(data) > 0 {
			w.step(choose)
		}
		w.finish()
	})
}
