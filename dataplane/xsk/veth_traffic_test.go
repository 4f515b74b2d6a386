// SPDX-License-Identifier: Apache-2.0

package xsk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"bulkhead/dataplane/xsk"
)

// The names in brackets are those of the cases in xskxceiver, the kernel's own
// test of AF_XDP (tools/testing/selftests/bpf/xskxceiver.c).

// [SEND_RECEIVE, SEND_RECEIVE_2K_FRAME, SEND_RECEIVE_SINGLE_PKT]
func TestVethSendReceivePacketsOfEveryLength(t *testing.T) {
	for _, frame := range []uint32{2048, 4096} {
		t.Run(fmt.Sprint(frame), func(t *testing.T) {
			newWire(t)
			c := xsk.Config{FrameSize: frame}
			mtu := min(c.MaxMTU(), 3498) // veth with XDP allows no more
			setMTU(t, mtu, "p0", "g0")
			p, g := openPort(t, c, "p0"), openPort(t, c, "g0")
			transfer(t, p, g, 1, 60)
			for length := 60; length <= mtu+14; length += 97 {
				transfer(t, p, g, 40, length)
			}
			transfer(t, p, g, 100, mtu+14)
			checkQuiet(t, p.umem)
			checkQuiet(t, g.umem)
		})
	}
}

// [BIDIRECTIONAL]
func TestVethBothDirectionsAtOnce(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{}, "g0")
	back, forth := &port{Socket: g.Socket, umem: g.umem}, &port{Socket: p.Socket, umem: p.umem}
	for range 100 {
		transfer(t, p, g, 32, 200) // p to g, and with numbers of their own
		transfer(t, back, forth, 32, 300)
	}
	checkQuiet(t, p.umem)
	checkQuiet(t, g.umem)
}

// [XDP_SHARED_UMEM] Two interfaces, one UMEM: packets cross it in both
// directions without being touched.
func TestVethSharedUMEMForwardsBetweenTwoInterfaces(t *testing.T) {
	newWire(t)
	u, _ := open(t, xsk.Config{}, "g0", "g1")
	p0, p1 := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{}, "p1")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- forward(ctx, u) }()
	back, forth := &port{Socket: p1.Socket, umem: p1.umem}, &port{Socket: p0.Socket, umem: p0.umem}
	for range 20 {
		transfer(t, p0, p1, 100, 64)
		transfer(t, back, forth, 100, 1514)
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, s := range u.Sockets() {
		if c := s.Counters(); c.RX != 2000 || c.TX != 2000 {
			t.Errorf("%v: counters %+v, want 2000 each way", s, c)
		}
	}
	checkQuiet(t, u)
}

func TestVethTXRingFullTakesNoMoreAndLosesNothing(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{Frames: 1024, TXSize: 64, CompletionSize: 64}, "p0"), openPort(t, xsk.Config{}, "g0")
	batch := make([]xsk.Desc, 100)
	for i := range batch {
		addr, _ := p.umem.Take()
		packet(p.umem.Frame(addr, 60), uint64(i))
		batch[i] = xsk.Desc{Addr: addr, Len: 60}
	}
	if n := p.Send(batch); n != 64 || p.Room() != 0 || !p.Pending() {
		t.Fatalf("sent %d of 100 into a ring of 64 without a kick, room %d, pending %v", n, p.Room(), p.Pending())
	}
	if n := p.Send(batch[64:]); n != 0 {
		t.Fatalf("sent %d into a full ring", n)
	}
	got := 0
	eventually(t, "the first 64 arrive", func() bool { p.Kick(); got += g.expect(t, 60); return got == 64 })
	if p.Pending() {
		t.Error("the kernel has taken everything, but pending is true")
	}
	p.Complete()
	if n := p.Send(batch[64:]); n != 36 {
		t.Fatalf("sent %d of the remaining 36", n)
	}
	eventually(t, "all 100 arrive", func() bool { p.Kick(); got += g.expect(t, 60); return got == 100 })
	checkQuiet(t, p.umem)
	checkQuiet(t, g.umem)
}

// [STAT_FILL_EMPTY] A worker that gives no frames to the kernel loses packets,
// sees it in the statistics alone, and recovers as soon as it gives some.
func TestVethStarvedFillRingShowsInStatisticsAndRecovers(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{Frames: 128, FillSize: 32, RXSize: 64}, "g0")
	sent := 0
	eventually(t, "the kernel finds the fill ring empty", func() bool {
		sent += p.send(t, 32, 60)
		return statistics(t, g.Socket).FillRingEmpty > 0
	})
	if s := statistics(t, g.Socket); s.RXDropped == 0 || s.RXRingFull != 0 {
		t.Errorf("statistics %+v: want drops, and room in the RX ring", s)
	}
	checkQuiet(t, p.umem) // nothing is on the way any more
	got := 0
	eventually(t, "the first 32 are received, the others were lost", func() bool { got += g.expect(t, 60); return got == 32 })
	g.next = p.next
	transfer(t, p, g, 500, 60)
	checkQuiet(t, g.umem)
}

// [STAT_RX_FULL]
func TestVethFullRXRingShowsInStatisticsAndRecovers(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{FillSize: 256, RXSize: 16}, "g0")
	eventually(t, "the kernel finds the RX ring full", func() bool {
		p.send(t, 8, 60)
		return statistics(t, g.Socket).RXRingFull > 0
	})
	if f := g.umem.Frames(); f.RX != 16 || f.Sum() != f.Total {
		t.Errorf("frames %+v: want 16 at RX", f)
	}
	checkQuiet(t, p.umem)
	got := 0
	eventually(t, "the first 16 are received", func() bool { got += g.expect(t, 60); return got == 16 })
	g.next = p.next
	for range 50 {
		transfer(t, p, g, 8, 60)
	}
	checkQuiet(t, g.umem)
}

// [STAT_RX_DROPPED] Never a part of a packet: what is larger than a frame is
// dropped whole and counted.
func TestVethPacketLargerThanAFrameIsDroppedWholeAndCounted(t *testing.T) {
	newWire(t)
	setMTU(t, 3000, "p0", "g0")
	p, g := openPort(t, xsk.Config{FrameSize: 4096}, "p0"), openPort(t, xsk.Config{}, "g0")
	limit := xsk.Config{}.MaxPacket()
	transfer(t, p, g, 1, limit)
	p.send(t, 5, limit+1)
	eventually(t, "five drops are counted", func() bool { p.Kick(); return statistics(t, g.Socket).RXDropped == 5 })
	g.next += 5
	transfer(t, p, g, 1, limit)
	checkQuiet(t, g.umem)
}

// [STAT_TX_INVALID, ALIGNED_INV_DESC] Past our checks, the kernel's: it counts
// the descriptor and goes on with the next. Whether it completes such a frame
// depends on its age, which is why Send checks; here the frames are not ours to
// send, so that completions of them are refused.
func TestVethInvalidTXDescriptorIsCountedByTheKernel(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{}, "g0")
	p.PutUnchecked(xsk.Desc{Addr: 1 << 40, Len: 60}) // outside
	p.PutUnchecked(xsk.Desc{Addr: 4096, Len: 2049})  // over the frame
	p.PutUnchecked(xsk.Desc{Addr: 4096, Len: 0})     // nothing
	p.PutUnchecked(xsk.Desc{Addr: 4096, Len: 60, Options: 1 << 9})
	eventually(t, "four are counted", func() bool { p.Kick(); return statistics(t, p.Socket).TXInvalid == 4 })
	eventually(t, "the kernel has moved on", func() bool { p.Kick(); return !p.Pending() })
	transfer(t, p, g, 100, 60)
	if err := p.umem.Audit(); err != nil {
		t.Error(err)
	}
	if c := p.Counters(); c.CompletionInvalid != 0 && c.CompletionInvalid != 4 {
		t.Errorf("counters %+v: want no completion of the four, or all refused", c)
	}
}

// sink is a program on an interface that counts and drops all packets.
func sink(t *testing.T, name string) (count func() uint64) {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.StoreImm(asm.RFP, -4, 0, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"), // XDP_DROP
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: device(t, name).Attrs().Index, Flags: link.XDPDriverMode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); p.Close(); m.Close() })
	return func() (n uint64) {
		if err := m.Lookup(uint32(0), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// redirectTo is a program, for flood, that sends every frame out of an interface.
func redirectTo(t *testing.T, name string) *ebpf.Program {
	t.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R1, int32(device(t, name).Attrs().Index)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// A flood of XDP frames, far more than one core forwards: a million of them go
// out of the other port, the others are lost, and no frame of the UMEM is.
func TestVethMillionPacketsForwardedAndEveryFrameAccountedFor(t *testing.T) {
	million := uint64(1_000_000)
	if testing.Short() {
		million = 50_000
	}
	newWire(t)
	u, _ := open(t, xsk.Config{TXBudget: 64}, "g0", "g1")
	seen := sink(t, "p1")
	prog := redirectTo(t, "p0")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- forward(ctx, u) }()
	start, runs := time.Now(), uint32(0)
	const run = 1 << 18
	for seen() < million && time.Since(start) < time.Minute {
		flood(t, prog, "p0", run, 60)
		runs++
	}
	took := time.Since(start)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	checkQuiet(t, u)
	in, out := u.Sockets()[0], u.Sockets()[1]
	cin, cout, arrived := in.Counters(), out.Counters(), seen()
	if arrived < million || cin.RX < cout.TX || cout.TX < arrived {
		t.Errorf("offered %d, received %d, sent %d, arrived %d, want %d", runs*run, cin.RX, cout.TX, arrived, million)
	}
	t.Logf("offered %d, received %d, sent %d, arrived %d in %v; %+v; in %+v", runs*run, cin.RX, cout.TX, arrived,
		took.Round(time.Millisecond), cout, statistics(t, in))
}
