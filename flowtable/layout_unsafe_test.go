// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"testing"
	"unsafe"

	"bulkhead/dataplane/packet"
)

// What other programs that share the table rely on.
func TestLayoutIsVersion1(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want int
	}{
		{"version", Version, 1},
		{"bytes of a bucket", int(unsafe.Sizeof(bucket{})), 64},
		{"bytes of an entry", int(unsafe.Sizeof(entry{})), 128},
		{"bytes of a key", int(unsafe.Sizeof(packet.Key{})), 48},
		{"control", wordControl * 8, 0},
		{"key", wordKey * 8, 8},
		{"decision", wordDecision * 8, 56},
		{"packets A to B", wordPackets * 8, 64},
		{"bytes A to B", wordBytes * 8, 72},
		{"sequence A to B", wordSequence * 8, 80},
		{"packets B to A", (wordPackets + dirStride) * 8, 88},
		{"bytes B to A", (wordBytes + dirStride) * 8, 96},
		{"sequence B to A", (wordSequence + dirStride) * 8, 104},
		{"times", wordTimes * 8, 112},
		{"bait", wordBait * 8, 120},
		{"link", wordLink * 8, 8},
		{"phase free", int(phaseFree), 0},
		{"phase live", int(phaseLive), 3},
		{"state established", int(Established), 5},
		{"state one_way", int(OneWay), 19},
		{"states", int(NumStates), 21},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, c.got, c.want)
		}
	}
}

func TestHeaderSaysWhatTheTableIs(t *testing.T) {
	size, err := SizeOf(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	m := Make(size)
	newTable(t, Options{Capacity: 1000, Workers: 2, Memory: m})
	var magicBytes [8]byte
	binary.LittleEndian.PutUint64(magicBytes[:], m.Header[0])
	if got := string(magicBytes[:]); got != "bulkflow" {
		t.Errorf("magic is %q", got)
	}
	want := []uint64{magic, 1, 1000, uint64(size.Buckets), uint64(size.Entries), 0x0807060504030201, 0x100f0e0d0c0b0a09}
	for i, w := range want {
		if m.Header[i] != w {
			t.Errorf("header word %d is %#x, want %#x", i, m.Header[i], w)
		}
	}
}

func TestControlWordPartsDoNotOverlap(t *testing.T) {
	parts := []uint64{maskSeq, maskState, maskPhase, 1 << initiatorShift}
	all := uint64(0)
	for _, p := range parts {
		if all&p != 0 {
			t.Errorf("part %#x overlaps", p)
		}
		all |= p
	}
	if bits.OnesCount64(all) != 44 {
		t.Errorf("%d bits are used, want 44", bits.OnesCount64(all))
	}
	c := control(0xdeadbeef).withPhase(phaseDead).withState(TimeWait) | 1<<initiatorShift
	if c.phase() != phaseDead || c.state() != TimeWait || c.side() != 1 || !c.sameLife(0xdeadbeef) {
		t.Errorf("control word %#x does not give back what was put in", c)
	}
}

func TestDecisionKeepsEveryField(t *testing.T) {
	for _, d := range []Decision{
		{},
		{Rule: NoRule, Generation: 1<<16 - 1, Verdict: 255, Reason: 255, Mode: 255},
		{Rule: MaxRule}, {Generation: 0x1234}, {Verdict: 7}, {Reason: 9}, {Mode: 3},
	} {
		if got := unpack(d.pack()); got != d {
			t.Errorf("%+v came back as %+v", d, got)
		}
	}
}

func TestAMillionFlowsTakeUnder160Megabytes(t *testing.T) {
	for _, workers := range []int{1, 4, 8} {
		s, err := SizeOf(1<<20, workers)
		if err != nil {
			t.Fatal(err)
		}
		if s.Bytes() >= 160_000_000 {
			t.Errorf("%d workers: %d bytes", workers, s.Bytes())
		}
		if s.Buckets*bucketWords < 2<<20 {
			t.Errorf("%d places, want two for each flow", s.Buckets*bucketWords)
		}
	}
}

func TestNewRefusesWithAReason(t *testing.T) {
	small := Make(Size{Buckets: 2, Entries: 10})
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"no capacity", Options{}, "capacity 0 is not in 1 to 268435456"},
		{"too much capacity", Options{Capacity: MaxCapacity + 1}, "capacity 268435457 is not in"},
		{"too many workers", Options{Capacity: 1, Workers: 65}, "65 workers are not in 1 to 64"},
		{"negative timeout", Options{Capacity: 1, Timeouts: Timeouts{Fin: -1}}, "timeout fin: -1ns is not in"},
		{"long timeout", Options{Capacity: 1, Timeouts: Timeouts{Established: MaxTimeout + 1}}, "timeout established:"},
		{"small tags", Options{Capacity: 100, Memory: small}, "tags of 16 words, needs 256"},
		{"small pool", Options{Capacity: 8, Memory: small}, "pool of 160 words"},
		{"no header", Options{Capacity: 8, Memory: &Memory{}}, "header of 0 words, needs 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestSecretsAreRandom(t *testing.T) {
	var seen [2]*Memory
	for i := range seen {
		size, err := SizeOf(1, 1)
		if err != nil {
			t.Fatal(err)
		}
		seen[i] = Make(size)
		if _, err := New(Options{Capacity: 1, Memory: seen[i]}); err != nil {
			t.Fatal(err)
		}
	}
	a, b := seen[0].Header, seen[1].Header
	if a[headSecret] == b[headSecret] || a[headSecret+1] == b[headSecret+1] || a[headSecret] == 0 {
		t.Error("two tables have a secret in common")
	}
}

func TestMappedMemoryWorksAndGoesBack(t *testing.T) {
	size, err := SizeOf(5000, 1)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Map(size)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range [][]uint64{m.Tags, m.Pool} {
		if at := uintptr(unsafe.Pointer(&s[0])); at%128 != 0 {
			t.Errorf("slice %d begins at %#x", i, at)
		}
	}
	h := join(t, newTable(t, Options{Capacity: 5000, Memory: m}), nil)
	k := v4Key(1, 2, 3, 4)
	if _, r := h.Insert(&k, h.Hash(&k), &Start{State: UDPUnreplied}); r != Inserted {
		t.Errorf("insert says %d", r)
	}
	if err := m.Unmap(); err != nil {
		t.Error(err)
	}
	if err := m.Unmap(); err != nil {
		t.Errorf("the second time: %v", err)
	}
}
