// SPDX-License-Identifier: Apache-2.0

package xdp_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"bulkhead/dataplane/xdp"
	"bulkhead/testenv"
)

const beatLimit = 200 * time.Millisecond

// bench is a lab whose gateway has the program on one port or on both, and
// nobody who listens behind it.
type bench struct {
	t     *testing.T
	lab   *testenv.Lab
	beats *xdp.Beats
	index [2]int
	progs [2]*xdp.Program
}

// newBench attaches the program to both ports with a lane each.
func newBench(t *testing.T, a, b xdp.Lane) *bench {
	t.Helper()
	cfg := testenv.TwoHosts()
	cfg.ExactCapture = true
	s := &bench{t: t, lab: testenv.LabForTest(t, cfg)}
	s.beats = must(xdp.NewBeats())(t)
	t.Cleanup(func() { s.beats.Close() })
	for i := range s.index {
		s.index[i] = must(s.lab.Gateway.Index(s.lab.Ports[i]))(t)
	}
	a.PeerIf, b.PeerIf = s.index[1], s.index[0]
	for i, lane := range []xdp.Lane{a, b} {
		s.progs[i] = must(s.attach(i, lane, ""))(t)
		t.Cleanup(func() { s.progs[i].Close() })
	}
	return s
}

// attach puts the program on a port. Links belong to the namespace of the
// thread that makes them.
func (s *bench) attach(port int, lane xdp.Lane, pins string) (p *xdp.Program, err error) {
	err = s.lab.Gateway.Do(func() error {
		p, err = xdp.Attach(s.beats, xdp.Options{
			Interface: s.lab.Ports[port], Index: s.index[port], MaxFrame: xdp.SmallFrame,
			BeatLimit: beatLimit, Lanes: []xdp.Lane{lane}, Pins: pins,
		})
		return err
	})
	return p, err
}

// send sends one frame from host a and says whether host b receives want.
func (s *bench) send(frame, want []byte) bool {
	s.t.Helper()
	from := must(s.lab.Host("a").OpenRaw("eth0"))(s.t)
	to := must(s.lab.Host("b").OpenRaw("eth0"))(s.t)
	defer from.Close()
	defer to.Close()
	if err := from.Send(frame); err != nil {
		s.t.Fatal(err)
	}
	return to.RecvFrame(want, 300*time.Millisecond) == nil
}

// count gives how often the program on host a's port had a cause.
func (s *bench) count(lane int, cause xdp.Cause) uint64 {
	s.t.Helper()
	return must(s.progs[0].Counts())(s.t)[lane][cause]
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func frame(tags ...testenv.Layer) []byte {
	layers := append([]testenv.Layer{testenv.Ether{}}, tags...)
	return testenv.Frame(append(layers, testenv.IPv4{}, testenv.UDP{}, testenv.Bytes("through the bulkhead"))...)
}

func TestQueueWithoutSocketDropsWhileTheGatewayBeats(t *testing.T) {
	s := newBench(t, xdp.Lane{Open: true}, xdp.Lane{Open: true})
	s.beats.BeatGateway(xdp.Now() + int64(time.Hour)) // ahead: fresh for the whole test
	if s.send(frame(), frame()) {
		t.Error("a frame passed a queue without a socket")
	}
	if s.count(1, xdp.QueueUnbound) == 0 {
		t.Error("queue_unbound counted no frame")
	}
}

func TestOversizeFrameIsDroppedAndCounted(t *testing.T) {
	s := newBench(t, xdp.Lane{}, xdp.Lane{})
	s.beats.Beat(0, xdp.Now()+int64(time.Hour))
	if err := s.lab.Gateway.SetMTU(s.lab.Ports[0], 3000); err != nil {
		t.Fatal(err)
	}
	if err := s.lab.Host("a").SetMTU("eth0", 3000); err != nil {
		t.Fatal(err)
	}
	s.send(testenv.Pad(frame(), 1793), nil)
	if n := s.count(1, xdp.Oversize); n != 1 {
		t.Errorf("oversize counted %d frames, want 1", n)
	}
	s.send(testenv.Pad(frame(), 1792), nil)
	if n := s.count(1, xdp.Oversize); n != 1 {
		t.Error("a frame of exactly the largest size was called oversize")
	}
}

func TestWireFailsClosedWhenNobodyBeats(t *testing.T) {
	s := newBench(t, xdp.Lane{}, xdp.Lane{})
	if s.send(frame(), frame()) {
		t.Error("a frame passed a closed wire whose gateway is gone")
	}
	if s.count(1, xdp.FailClosed) == 0 {
		t.Error("fail_closed counted no frame")
	}
}

// TestWireFailsOpenWithTheTagOfThePeer holds the four ways in which the tags
// of two ports can differ.
func TestWireFailsOpenWithTheTagOfThePeer(t *testing.T) {
	for _, c := range []struct {
		name    string
		a, b    xdp.Lane
		in, out []byte
	}{
		{"untagged to untagged", xdp.Lane{}, xdp.Lane{}, frame(), frame()},
		{"tags of others stay", xdp.Lane{}, xdp.Lane{}, frame(testenv.Tag(7)), frame(testenv.Tag(7))},
		{"tag rewritten", xdp.Lane{VLAN: 10, PeerVLAN: 20}, xdp.Lane{VLAN: 20, PeerVLAN: 10},
			frame(testenv.VLAN{ID: 10, Priority: 5}), frame(testenv.VLAN{ID: 20, Priority: 5})},
		{"tag taken off", xdp.Lane{VLAN: 10}, xdp.Lane{PeerVLAN: 10}, frame(testenv.Tag(10)), frame()},
		{"tag put on", xdp.Lane{PeerVLAN: 20}, xdp.Lane{VLAN: 20}, frame(), frame(testenv.Tag(20))},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.a.Open, c.b.Open = true, true
			s := newBench(t, c.a, c.b)
			if !s.send(c.in, c.out) {
				t.Error("the frame did not come out as it should")
			}
			if s.count(1, xdp.FailOpen) == 0 {
				t.Error("fail_open counted no frame")
			}
		})
	}
}

func TestFrameOfNobodysVLANDropsInEveryMode(t *testing.T) {
	s := newBench(t, xdp.Lane{VLAN: 10, Open: true}, xdp.Lane{Open: true})
	for _, in := range [][]byte{frame(), frame(testenv.Tag(11)), frame(testenv.Tag(0))} {
		if s.send(in, in) {
			t.Error("a frame of no port's VLAN passed")
		}
	}
	if n := s.count(0, xdp.NoLane); n < 3 { // hosts say things of their own as well
		t.Errorf("no_lane counted %d frames, want at least 3", n)
	}
}

func TestForeignProgramIsNamedAndLeftAlone(t *testing.T) {
	lab := testenv.LabForTest(t, testenv.TwoHosts())
	s := &bench{t: t, lab: lab, beats: must(xdp.NewBeats())(t)}
	t.Cleanup(func() { s.beats.Close() })
	s.index[0] = must(lab.Gateway.Index(lab.Ports[0]))(t)
	other := must(ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}))(t)
	defer other.Close()
	var theirs link.Link
	err := lab.Gateway.Do(func() (err error) {
		theirs, err = link.AttachXDP(link.XDPOptions{Program: other, Interface: s.index[0], Flags: link.XDPDriverMode})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	_, err = s.attach(0, xdp.Lane{PeerIf: s.index[0]}, "")
	var foreign *xdp.ForeignError
	if !errors.As(err, &foreign) || foreign.Program != "somebody_else" {
		t.Fatalf("attach over a foreign program: got %v, want a ForeignError that names it", err)
	}
	if info, err := theirs.Info(); err != nil || int(info.XDP().Ifindex) != s.index[0] {
		t.Error("the foreign program is no longer attached")
	}
}

func TestPinnedLinkOutlivesItsOwnerAndIsSwept(t *testing.T) {
	fs := testenv.BPFFSForTest(t)
	pins := filepath.Join(fs, "bulkhead", "gw")
	lab := testenv.LabForTest(t, testenv.TwoHosts())
	s := &bench{t: t, lab: lab, beats: must(xdp.NewBeats())(t)}
	t.Cleanup(func() { s.beats.Close() })
	s.index[0] = must(lab.Gateway.Index(lab.Ports[0]))(t)
	lock := must(xdp.LockPins(pins))(t)
	if _, err := xdp.LockPins(pins); !errors.Is(err, xdp.ErrPinsInUse) {
		t.Fatalf("a second lock on the pins: %v, want ErrPinsInUse", err)
	}
	if _, err := s.attach(0, xdp.Lane{PeerIf: s.index[0]}, pins); err != nil {
		t.Fatal(err)
	}
	if _, err := s.attach(0, xdp.Lane{PeerIf: s.index[0]}, pins); err == nil {
		t.Fatal("a second gateway attached over the pinned link of the first")
	}
	// The first is forgotten without Close, as by a crash.
	if n, err := xdp.Sweep(pins); n != 1 || err != nil {
		t.Fatalf("Sweep = %d, %v, want 1, nil", n, err)
	}
	if err := xdp.UnlockPins(lock); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(fs, "bulkhead")); !os.IsNotExist(err) {
		t.Errorf("the folders of the pins are still there: %v", err)
	}
}

func TestSweepLeavesWhatIsNotOurs(t *testing.T) {
	fs := testenv.BPFFSForTest(t)
	m := must(ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}))(t)
	defer m.Close()
	dir := filepath.Join(fs, "theirs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := m.Pin(filepath.Join(dir, "map")); err != nil {
		t.Fatal(err)
	}
	if _, err := xdp.Sweep(dir); err == nil {
		t.Error("a pinned map of someone else was swept")
	}
	if _, err := os.Stat(filepath.Join(dir, "map")); err != nil {
		t.Errorf("the pinned map of someone else is gone: %v", err)
	}
}

func TestLanesThatCannotBeToldApartAreRefused(t *testing.T) {
	beats := must(xdp.NewBeats())(t)
	defer beats.Close()
	for name, lanes := range map[string][]xdp.Lane{
		"none":             {},
		"whole and a VLAN": {{}, {VLAN: 3}},
		"the same twice":   {{VLAN: 3}, {VLAN: 3}},
		"VLAN 4095":        {{VLAN: 4095}},
		"too many":         make([]xdp.Lane, xdp.MaxLanes),
	} {
		if p, err := xdp.Attach(beats, xdp.Options{Interface: "none", Lanes: lanes}); err == nil {
			p.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
