// SPDX-License-Identifier: Apache-2.0

package xsk_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"bulkhead/dataplane/xsk"
)

// The tests on real sockets use this, in a network namespace of their own which
// has no name and goes away with the test's thread:
//
//	p0 --veth-- g0   [gateway]   g1 --veth-- p1
//
// All have one queue. Whatever a test opens is on one of the four.

// patience is for what the kernel does in its own time, on a machine that may be
// busy with other things.
const patience = 2 * time.Minute

// newWire makes the namespace and the two veth pairs, all up.
func newWire(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: network namespaces, AF_XDP sockets and XDP programs")
	}
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(before); err != nil {
			t.Fatal(err) // the thread stays locked and ends with the goroutine
		}
		ns.Close()
		before.Close()
		runtime.UnlockOSThread()
	})
	for _, file := range []string{"all", "default"} { // no packets but ours
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/"+file+"/disable_ipv6", []byte("1"), 0); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	for _, pair := range [][2]string{{"p0", "g0"}, {"p1", "g1"}} {
		v := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: pair[0]}, PeerName: pair[1]}
		if err := netlink.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
		setUp(t, pair[0], true)
		setUp(t, pair[1], true)
	}
}

// device finds an interface of the test's namespace.
func device(t testing.TB, name string) netlink.Link {
	t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// setUp sets an interface up or down.
func setUp(t testing.TB, name string, up bool) {
	t.Helper()
	set := netlink.LinkSetUp
	if !up {
		set = netlink.LinkSetDown
	}
	if err := set(device(t, name)); err != nil {
		t.Fatal(err)
	}
}

// open opens a UMEM in copy mode on queue 0 of the named interfaces, with all
// their packets redirected to it, until the test ends or calls what it returns.
func open(t testing.TB, c xsk.Config, names ...string) (*xsk.Umem, func()) {
	t.Helper()
	if c.Mode == xsk.Auto {
		c.Mode = xsk.Copy
	}
	c.BindTimeout = patience
	queues := make([]xsk.Queue, len(names))
	for i, n := range names {
		queues[i].Interface = n
	}
	u, err := xsk.Open(c, queues...)
	if err != nil {
		t.Fatal(err)
	}
	closers := []func() error{u.Close}
	for _, s := range u.Sockets() {
		m, l, err := redirect(s)
		if err != nil {
			t.Fatal(err)
		}
		closers = append(closers, m.Close, l.Close)
	}
	done := false
	closeAll := func() {
		if done {
			return
		}
		done = true
		for i := len(closers) - 1; i >= 0; i-- { // programs first, sockets last
			if err := closers[i](); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(closeAll)
	return u, closeAll
}

// port is one open UMEM with one socket, as the host's side of a wire.
type port struct {
	*xsk.Socket
	umem *xsk.Umem
	next uint64 // number of the next packet to make or to expect
}

func openPort(t testing.TB, c xsk.Config, name string) *port {
	t.Helper()
	u, _ := open(t, c, name)
	return &port{Socket: u.Sockets()[0], umem: u}
}

// packet writes packet number n, with bytes that depend on n, into b.
func packet(b []byte, n uint64) {
	for i := range b {
		b[i] = byte(uint64(i) * (n + 1))
	}
	copy(b, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5") // EtherType for experiments
	binary.BigEndian.PutUint64(b[14:], n)
}

// send makes and sends n packets of a length and gives up when there is no room.
func (p *port) send(t testing.TB, n, length int) (sent int) {
	t.Helper()
	for ; sent < n && p.Room() > 0; sent++ {
		addr, ok := p.umem.Take()
		if !ok {
			break
		}
		packet(p.umem.Frame(addr, uint32(length)), p.next)
		if p.Send([]xsk.Desc{{Addr: addr, Len: uint32(length)}}) != 1 {
			t.Fatal("Send refused although there was room")
		}
		p.next++
	}
	p.Kick()
	p.Complete()
	return sent
}

// expect receives what there is, checks that it is the next packets of a length
// in order and whole, and gives the frames back.
func (p *port) expect(t testing.TB, length int) (n int) {
	t.Helper()
	want := make([]byte, length)
	batch := make([]xsk.Desc, 64)
	p.Refill()
	for _, d := range batch[:p.Receive(batch)] {
		packet(want, p.next)
		if got := p.umem.Frame(d.Addr, d.Len); !bytes.Equal(got, want) {
			t.Fatalf("packet %d of %d bytes came as %d bytes % x", p.next, length, len(got), got[:min(len(got), 32)])
		}
		p.next++
		n++
		p.umem.Give(d.Addr)
	}
	return n
}

// eventually calls f until it says true, and fails the test if it never does.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		if f() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

// transfer sends n packets from one port to another, in small bites so that no
// ring on the way is too small, and checks every one.
func transfer(t testing.TB, from, to *port, n, length int) {
	t.Helper()
	for sent, got := 0, 0; got < n; {
		sent += from.send(t, min(32, n-sent), length)
		eventually(t, "packets arrive", func() bool {
			from.Kick()
			from.Complete()
			got += to.expect(t, length)
			return got == sent
		})
	}
}

// checkQuiet fails the test unless all frames are accounted for, none is held by
// the test, and after a while none is being sent.
func checkQuiet(t testing.TB, u *xsk.Umem) {
	t.Helper()
	eventually(t, "all packets sent come back", func() bool {
		for _, s := range u.Sockets() {
			s.Kick()
			s.Complete()
		}
		f := u.Frames()
		return f.TX+f.Completion == 0
	})
	if err := u.Audit(); err != nil {
		t.Error(err)
	}
	if f := u.Frames(); f.Held != 0 || f.Sum() != f.Total || u.Misuse() != 0 {
		t.Errorf("frames %+v, misuse %d", f, u.Misuse())
	}
	for _, s := range u.Sockets() {
		if c := s.Counters(); c.RXInvalid+c.RXMulti+c.TXInvalid+c.CompletionInvalid != 0 {
			t.Errorf("%v: counters %+v", s, c)
		}
	}
}

// statistics reads the kernel's counters of a socket.
func statistics(t testing.TB, s *xsk.Socket) xsk.Statistics {
	t.Helper()
	st, err := s.Statistics()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// setMTU sets the MTU of both ends of a pair.
func setMTU(t testing.TB, mtu int, names ...string) {
	t.Helper()
	for _, n := range names {
		if err := netlink.LinkSetMTU(device(t, n), mtu); err != nil {
			t.Fatal(err)
		}
	}
}

// flood runs prog n times on live frames of packet number 0, as a driver would
// receive them on the named interface.
func flood(t testing.TB, prog *ebpf.Program, name string, n, length uint32) {
	t.Helper()
	data := make([]byte, length)
	packet(data, 0)
	ctx := struct{ Data, DataEnd, DataMeta, IngressIfindex, RxQueue, EgressIfindex uint32 }{
		DataEnd: length, IngressIfindex: uint32(device(t, name).Attrs().Index),
	}
	if _, err := prog.Run(&ebpf.RunOptions{Data: data, Context: ctx, Repeat: n, Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES}); err != nil {
		t.Fatal(err)
	}
}
