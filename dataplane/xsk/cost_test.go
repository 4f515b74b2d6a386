// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

// carry moves up to n frames from the fill ring to the RX ring and as many from
// the TX ring to the completion ring: a kernel in as few instructions as can be.
func carry(in, out *fakeKernel, n uint32) {
	p, c := *in.rx.producer, *in.fill.consumer
	n = min(n, atomic.LoadUint32(in.fill.producer)-c, in.rx.size-(p-atomic.LoadUint32(in.rx.consumer)))
	for i := range n {
		in.rx.descs[(p+i)&(in.rx.size-1)] = Desc{Addr: in.fill.addrs[(c+i)&(in.fill.size-1)] + Headroom, Len: 60}
	}
	atomic.StoreUint32(in.fill.consumer, c+n)
	atomic.StoreUint32(in.rx.producer, p+n)
	p, c = *out.completion.producer, *out.tx.consumer
	n = min(atomic.LoadUint32(out.tx.producer)-c, out.completion.size-(p-atomic.LoadUint32(out.completion.consumer)))
	for i := range n {
		out.completion.addrs[(p+i)&(out.completion.size-1)] = out.tx.descs[(c+i)&(out.tx.size-1)].Addr
	}
	atomic.StoreUint32(out.tx.consumer, c+n)
	atomic.StoreUint32(out.completion.producer, p+n)
}

// turn is one turn of a worker in one direction, over a fake kernel.
func turn(in, out *Socket, batch []Desc) int {
	in.Refill()
	in.Wake()
	n := in.Receive(batch)
	sent := out.Send(batch[:n])
	for _, d := range batch[sent:n] {
		in.umem.Give(d.Addr)
	}
	out.Kick()
	out.Complete()
	return n
}

func TestAWorkersTurnAllocatesNothing(t *testing.T) {
	u, ks := newFake(t, Config{}, 2, 0)
	in, out := u.Sockets()[0], u.Sockets()[1]
	sock, _, w := pipeSocket(t)
	p := newPoller(t, sock)
	if _, err := w.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	batch := make([]Desc, 64)
	var sum int
	if n := testing.AllocsPerRun(1000, func() {
		carry(ks[0], ks[1], 64)
		sum += turn(in, out, batch)
		if addr, ok := u.Take(); ok {
			sum += len(u.Frame(addr, 60))
			u.Give(addr)
		}
		ready, _ := p.Wait(0)
		sum += ready + u.Frames().Free + int(in.Counters().RX)
		in.Check()
	}); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
	checkFrames(t, u)
}

// What is called for each packet or descriptor must cost no call.
func TestHotFunctionsAreInlined(t *testing.T) {
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build -gcflags=-m: %v\n%s", err, out)
	}
	for _, f := range []string{
		"(*producer).room", "(*producer).submit", "(*producer).pending", "(*consumer).ready", "(*consumer).release",
		"(*Umem).move", "(*Umem).give", "(*Umem).take", "(*Umem).inFrame", "(*Umem).Give", "(*Umem).Take", "(*Umem).Frame",
		"(*rxRing).claim", "(*Socket).Pending", "(*Socket).Complete", "(*Socket).Room",
	} {
		if !strings.Contains(string(out), "can inline "+f+"\n") {
			t.Errorf("%s is not inlined any more", f)
		}
	}
}

// BenchmarkRings is all that this package does for a packet that is forwarded:
// four rings and the owner's book, with the fake kernel's work (BenchmarkKernel).
func BenchmarkRings(b *testing.B) {
	u, ks := newFake(b, Config{}, 2, 0)
	in, out := u.Sockets()[0], u.Sockets()[1]
	batch := make([]Desc, 64)
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		carry(ks[0], ks[1], 64)
		total += turn(in, out, batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/packet")
}

// BenchmarkKernel is the fake kernel's part of BenchmarkRings.
func BenchmarkKernel(b *testing.B) {
	u, ks := newFake(b, Config{}, 2, 0)
	in, out := u.Sockets()[0], u.Sockets()[1]
	in.Refill()
	out.Send(takeFrames(b, u, 64))
	b.ReportAllocs()
	for b.Loop() {
		carry(ks[0], ks[1], 64)
		*ks[0].fill.consumer -= 64 // and everything as it was
		*ks[0].rx.producer -= 64
		*ks[1].tx.consumer -= 64
		*ks[1].completion.producer -= 64
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(64*b.N), "ns/packet")
}

func BenchmarkReceiveAndGiveBack(b *testing.B) {
	u, ks := newFake(b, Config{}, 2, 0)
	in := u.Sockets()[0]
	batch := make([]Desc, 64)
	b.ReportAllocs()
	total := 0
	for b.Loop() {
		in.Refill()
		carry(ks[0], ks[1], 64)
		n := in.Receive(batch)
		for _, d := range batch[:n] {
			u.Give(d.Addr)
		}
		total += n
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(total), "ns/packet")
}

func BenchmarkFrames(b *testing.B) {
	u, _ := newFake(b, Config{}, 2, 0)
	b.ReportAllocs()
	free := 0
	for b.Loop() {
		free += u.Frames().Free
	}
	if free == 0 {
		b.Error("no frame is free")
	}
}
