// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// layout is where a kernel of today has the indices and entries of a ring.
var layout = unix.XDPRingOffset{Producer: 0, Consumer: 128, Flags: 256, Desc: 320}

// fakeRing is the kernel's view of a ring. It is written from the drawing in
// net/xdp/xsk_queue.h and shares no code with the rings that it tests.
type fakeRing struct {
	producer, consumer, flags *uint32
	addrs                     []uint64
	descs                     []Desc
	size                      uint32
}

// fakeKernel is the other side of one socket, over plain memory.
type fakeKernel struct {
	fill, rx, tx, completion fakeRing

	onSend    func() syscall.Errno // what sendto does; nil: nothing, successfully
	onReceive func() syscall.Errno
	sends     int
	receives  int
}

func (k *fakeKernel) send(int) syscall.Errno {
	k.sends++
	if k.onSend == nil {
		return 0
	}
	return k.onSend()
}

func (k *fakeKernel) receive(int) syscall.Errno {
	k.receives++
	if k.onReceive == nil {
		return 0
	}
	return k.onReceive()
}

// newFake makes a UMEM on the heap with n sockets whose ring indices start at
// start, and the kernel's side of each socket. It is in copy mode.
func newFake(t testing.TB, c Config, n int, start uint32) (*Umem, []*fakeKernel) {
	t.Helper()
	c = c.withDefaults(n)
	if err := c.check(n); err != nil {
		t.Fatal(err)
	}
	u := newUmem(c, n, heapMemory(uint64(c.Frames)*uint64(c.FrameSize)))
	u.mode = Copy
	kernels := make([]*fakeKernel, n)
	for i := range kernels {
		k := &fakeKernel{}
		m := ringMemory{offsets: unix.XDPMmapOffsets{Rx: layout, Tx: layout, Fr: layout, Cr: layout}}
		m.fill, k.fill = newFakeRing(c.FillSize, addrSize, start)
		m.rx, k.rx = newFakeRing(c.RXSize, descSize, start)
		m.tx, k.tx = newFakeRing(c.TXSize, descSize, start)
		m.completion, k.completion = newFakeRing(c.CompletionSize, addrSize, start)
		*k.tx.flags = unix.XDP_RING_NEED_WAKEUP
		s := &Socket{fd: -1, kernel: k, copies: true, queue: Queue{Interface: "fake", ID: uint32(i)}}
		u.sockets = append(u.sockets, s)
		u.attach(s, m, c)
		kernels[i] = k
	}
	return u, kernels
}

// newFakeRing makes a ring of size entries of entry bytes and the kernel's view of it.
func newFakeRing(size uint32, entry uint64, start uint32) ([]byte, fakeRing) {
	mem := heapMemory(layout.Desc + uint64(size)*entry)
	r := fakeRing{
		producer: wordAt(mem, layout.Producer),
		consumer: wordAt(mem, layout.Consumer),
		flags:    wordAt(mem, layout.Flags),
		size:     size,
	}
	*r.producer, *r.consumer = start, start
	if entry == addrSize {
		r.addrs = addrsAt(mem, layout, size)
	} else {
		r.descs = descsAt(mem, layout, size)
	}
	return mem, r
}

// takeFill takes up to n addresses from the fill ring.
func (k *fakeKernel) takeFill(n int) []uint64 {
	r := &k.fill
	p, c := atomic.LoadUint32(r.producer), atomic.LoadUint32(r.consumer)
	var out []uint64
	for ; c != p && len(out) < n; c++ {
		out = append(out, r.addrs[c%r.size])
	}
	atomic.StoreUint32(r.consumer, c)
	return out
}

// deliver puts descriptors on the RX ring and says how many fit.
func (k *fakeKernel) deliver(descs ...Desc) int {
	r := &k.rx
	p, c := atomic.LoadUint32(r.producer), atomic.LoadUint32(r.consumer)
	n := 0
	for ; p-c < r.size && n < len(descs); p++ {
		r.descs[p%r.size] = descs[n]
		n++
	}
	atomic.StoreUint32(r.producer, p)
	return n
}

// receiveInto takes n frames from the fill ring and delivers a packet of length
// bytes in each, with the kernel's headroom.
func (k *fakeKernel) receiveInto(n int, length uint32) int {
	addrs := k.takeFill(n)
	for _, a := range addrs {
		k.deliver(Desc{Addr: a + Headroom, Len: length})
	}
	return len(addrs)
}

// takeTX takes up to n descriptors from the TX ring.
func (k *fakeKernel) takeTX(n int) []Desc {
	r := &k.tx
	p, c := atomic.LoadUint32(r.producer), atomic.LoadUint32(r.consumer)
	var out []Desc
	for ; c != p && len(out) < n; c++ {
		out = append(out, r.descs[c%r.size])
	}
	atomic.StoreUint32(r.consumer, c)
	return out
}

// complete puts addresses on the completion ring and says how many fit.
func (k *fakeKernel) complete(addrs ...uint64) int {
	r := &k.completion
	p, c := atomic.LoadUint32(r.producer), atomic.LoadUint32(r.consumer)
	n := 0
	for ; p-c < r.size && n < len(addrs); p++ {
		r.addrs[p%r.size] = addrs[n]
		n++
	}
	atomic.StoreUint32(r.producer, p)
	return n
}

// transmit takes up to n packets from the TX ring and completes them at once. As
// the kernel does, it takes no more than the completion ring has room for.
func (k *fakeKernel) transmit(n int) []Desc {
	r := &k.completion
	room := r.size - (atomic.LoadUint32(r.producer) - atomic.LoadUint32(r.consumer))
	descs := k.takeTX(min(n, int(room)))
	for _, d := range descs {
		k.complete(d.Addr)
	}
	return descs
}

// checkFrames fails the test unless all frames are accounted for.
func checkFrames(t testing.TB, u *Umem) {
	t.Helper()
	if err := u.Audit(); err != nil {
		t.Fatal(err)
	}
	if u.Misuse() != 0 {
		t.Fatalf("misuse = %d, want 0", u.Misuse())
	}
}
