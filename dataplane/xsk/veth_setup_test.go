// SPDX-License-Identifier: Apache-2.0

package xsk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"bulkhead/dataplane/xsk"
)

func TestVethZeroCopyIsRefusedAndAutoFallsBackToCopy(t *testing.T) {
	newWire(t)
	q := []xsk.Queue{{Interface: "g0"}, {Interface: "g1"}}
	_, err := xsk.Open(xsk.Config{Mode: xsk.ZeroCopy}, q...)
	if !errors.Is(err, unix.EOPNOTSUPP) || !strings.Contains(err.Error(), `g0 queue 0: bind in zero-copy mode`) ||
		!strings.Contains(err.Error(), `use mode "copy" or "auto"`) {
		t.Errorf("zero-copy on veth: %v", err)
	}
	u, err := xsk.Open(xsk.Config{BindTimeout: patience}, q...) // auto; binds the same queue at once
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	if u.Mode() != xsk.Copy || !errors.Is(u.Refusal(), unix.EOPNOTSUPP) {
		t.Errorf("auto: mode %v, refusal %v: want copy, and the reason", u.Mode(), u.Refusal())
	}
}

func TestVethOpenNamesWhatIsWrong(t *testing.T) {
	newWire(t)
	open(t, xsk.Config{}, "g1")
	for _, row := range []struct {
		name  string
		queue []xsk.Queue
		want  error
		text  string
	}{
		{"queue in use", []xsk.Queue{{Interface: "g1"}}, unix.EBUSY, "g1 queue 0: bind in copy mode: device or resource busy: the queue has"},
		{"second queue in use", []xsk.Queue{{Interface: "g0"}, {Interface: "g1"}}, unix.EBUSY, "g1 queue 0"},
		{"no such queue", []xsk.Queue{{Interface: "g0", ID: 7}}, unix.EINVAL, "g0 queue 7: bind in copy mode: invalid argument: the interface has no such queue"},
		{"no such index", []xsk.Queue{{Interface: "x", Index: 4711}}, unix.ENODEV, "x queue 0: bind in copy mode: no such device: the interface is gone"},
		{"no such name", []xsk.Queue{{Interface: "nix0"}}, nil, `interface "nix0"`},
		{"named twice", []xsk.Queue{{Interface: "g0"}, {Interface: "g0"}}, nil, "g0 queue 0 is named twice"},
	} {
		u, err := xsk.Open(xsk.Config{Mode: xsk.Copy, BindTimeout: time.Millisecond}, row.queue...)
		if err == nil {
			u.Close()
		}
		if err == nil || row.want != nil && !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: %v, want %q", row.name, err, row.text)
		}
	}
	open(t, xsk.Config{}, "g0") // nothing was left behind by what failed
}

// A worker without CAP_IPC_LOCK and with little locked memory is told so.
func TestVethTooLittleLockedMemoryIsSaid(t *testing.T) {
	newWire(t) // and the thread is locked: what it gives up, it gives up alone
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &before); err != nil {
		t.Fatal(err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps, less [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	less = caps
	less[0].Effective &^= 1 << unix.CAP_IPC_LOCK
	if err := unix.Capset(&header, &less[0]); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 1 << 16, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := xsk.Open(xsk.Config{Mode: xsk.Copy}, xsk.Queue{Interface: "g0"})
	if err := errors.Join(unix.Setrlimit(unix.RLIMIT_MEMLOCK, &before), unix.Capset(&header, &caps[0])); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, unix.ENOBUFS) {
		t.Fatalf("open with 64 KiB of locked memory: %v, want ENOBUFS", err)
	}
	for _, want := range []string{"g0 queue 0: register packet memory", "needs 2097152 bytes", "limit is 65536 bytes", "CAP_IPC_LOCK", "LimitMEMLOCK="} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("message lacks %q: %v", want, err)
		}
	}
}

// [TEARDOWN, XDP_PROG_CLEANUP] Closed and opened again at once, ten times, with
// packets arriving: the queue is free again, the socket is out of the XSKMAP.
func TestVethTeardownThenBindAgainAtOnce(t *testing.T) {
	newWire(t)
	p := openPort(t, xsk.Config{}, "p0")
	queues := []xsk.Queue{{Interface: "g0"}, {Interface: "g1"}}
	var m *ebpf.Map
	for i := range 10 {
		u, err := xsk.Open(xsk.Config{Mode: xsk.Copy, BindTimeout: patience}, queues...)
		if err != nil {
			t.Fatalf("open %d: %v", i, err)
		}
		g := &port{Socket: u.Sockets()[0], umem: u, next: p.next}
		if m == nil {
			var l interface{ Close() error }
			if m, l, err = redirect(g.Socket); err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			defer l.Close()
		} else if err := m.Update(uint32(0), uint32(g.FD()), ebpf.UpdateNoExist); err != nil {
			t.Fatalf("open %d: the old socket is still in the map: %v", i, err)
		}
		transfer(t, p, g, 50, 60)
		p.send(t, 32, 60) // these may be on the way when the socket goes
		if err := u.Close(); err != nil {
			t.Fatalf("close %d: %v", i, err)
		}
		if err := u.Close(); err != nil {
			t.Errorf("second close %d: %v", i, err)
		}
		p.send(t, 32, 60) // these find no socket
	}
	checkQuiet(t, p.umem)
}

// The mode, busy polling and TX budget that were asked for are accepted by this
// kernel; whether busy polling does anything is another question, and NAPIID
// answers it.
func TestVethOptionsAreAccepted(t *testing.T) {
	newWire(t)
	c := xsk.Config{TXBudget: 256, BusyPoll: xsk.BusyPoll{Microseconds: 20, Budget: 64}}
	p, g := openPort(t, c, "p0"), openPort(t, c, "g0")
	transfer(t, p, g, 300, 60)
	g.Wake()
	if g.Counters().Wakes != 1 {
		t.Errorf("%d wakes, want 1: busy polling is on", g.Counters().Wakes)
	}
	for _, s := range []*port{p, g} {
		id, err := s.NAPIID()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%v: NAPI id %d", s, id)
	}
}

func TestVethOneSystemCallSendsAsMuchAsTheBudget(t *testing.T) {
	newWire(t)
	sink(t, "g0")
	probe := openPort(t, xsk.Config{}, "p1")
	if unix.SetsockoptInt(probe.FD(), unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, 64) == unix.ENOPROTOOPT {
		t.Skip("needs XDP_MAX_TX_SKB_BUDGET: Linux 6.17")
	}
	for _, row := range []struct{ budget, calls uint32 }{{32, 4}, {0, 2}, {64, 2}, {128, 1}} {
		u, err := xsk.Open(xsk.Config{TXBudget: row.budget, BindTimeout: patience}, xsk.Queue{Interface: "p0"})
		if err != nil {
			t.Fatal(err)
		}
		p := &port{Socket: u.Sockets()[0], umem: u}
		if got := p.send(t, 128, 60); got != 128 || p.Counters().Kicks != uint64(row.calls) {
			t.Errorf("budget %d: sent %d of 128 in %d calls, want %d", row.budget, got, p.Counters().Kicks, row.calls)
		}
		checkQuiet(t, p.umem)
		if err := p.umem.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestVethInterfaceThatGoesDownIsReportedAndComesBack(t *testing.T) {
	newWire(t)
	p, g := openPort(t, xsk.Config{}, "p0"), openPort(t, xsk.Config{}, "g0")
	poller, err := xsk.NewPoller(g.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer poller.Close()
	transfer(t, p, g, 10, 60)
	setUp(t, "g0", false)
	if n, err := poller.Wait(time.Millisecond); n != 0 || err != nil || g.State() != xsk.Down {
		t.Errorf("after g0 went down: ready %d, %v, state %v", n, err, g.State())
	}
	addr, _ := g.umem.Take()
	g.Send([]xsk.Desc{{Addr: addr, Len: 60}})
	g.Kick()
	if c := g.Counters(); c.KicksFailed != 1 || g.State() != xsk.Down {
		t.Errorf("kick while down: %+v, state %v", c, g.State())
	}
	if p.Check() != xsk.Up {
		t.Errorf("state of p0 is %v: only its carrier is gone", p.State())
	}
	setUp(t, "g0", true)
	if got := g.Check(); got != xsk.Up {
		t.Errorf("after g0 came up: state %v", got)
	}
	transfer(t, p, g, 100, 60)
	checkQuiet(t, g.umem) // the packet of before goes out now
}

func TestVethInterfaceThatIsDeletedIsGoneAndEverythingCanBeClosed(t *testing.T) {
	newWire(t)
	u, err := xsk.Open(xsk.Config{}, xsk.Queue{Interface: "g0"}, xsk.Queue{Interface: "g1"})
	if err != nil {
		t.Fatal(err)
	}
	poller, err := xsk.NewPoller(u.Sockets()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkDel(device(t, "g0")); err != nil {
		t.Fatal(err)
	}
	gone, other := u.Sockets()[0], u.Sockets()[1]
	for range 3 {
		if n, err := poller.Wait(time.Millisecond); n != 0 || err != nil {
			t.Errorf("wait: %d, %v", n, err)
		}
	}
	if gone.State() != xsk.Gone || other.State() != xsk.Up {
		t.Errorf("states %v and %v, want gone and up", gone.State(), other.State())
	}
	if f := u.Frames(); f.Sum() != f.Total {
		t.Errorf("frames %+v", f)
	}
	if err := errors.Join(poller.Close(), u.Close()); err != nil {
		t.Error(err)
	}
}
