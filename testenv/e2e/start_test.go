// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"bulkhead/testenv"
)

// TestNothingDeniedPassesFromTheFirstAttachOn starts and stops the gateway under
// a stream of denied and allowed packets, again and again (GHSA-r5x6-w42p-jhpp).
func TestNothingDeniedPassesFromTheFirstAttachOn(t *testing.T) {
	g := prepare(t, setup{policy: policyA()})
	g.silence()
	o := testenv.NewOracle(2 * time.Second)
	stop := o.Receive(g.end("b"))
	denied, allowed := o.Class("denied", testenv.MustDrop), o.Class("allowed", testenv.MayPass)
	ctx, cancel := context.WithCancel(within(t, 10*patience))
	sent := make(chan error, 1)
	go func() {
		sent <- o.Send(ctx, g.end("a"), 5000, 1<<30, stream(denied, portNever), stream(allowed, portAlways))
	}()
	arrived := func() uint64 { return o.Report()[1].Received }
	for range quickOr(10, 100) {
		before := arrived()
		g.run()
		eventually(t, "allowed packets pass", func() bool { return arrived() > before })
		eventually(t, "denied packets are counted", func() bool { return g.dropped()["a default_deny"] > 0 })
		g.stop()
	}
	cancel()
	if err := <-sent; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	must(t, stop())
	for _, r := range o.Report() {
		t.Log(r)
		if !r.OK() {
			t.Error(r)
		}
	}
}

// TestWhatCannotWorkIsRefusedWithItsCure and leaves the ports as they were.
func TestWhatCannotWorkIsRefusedWithItsCure(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup setup
		spoil func(g *gate)
		says  []string
	}{
		{"a port that does not exist", setup{wires: []string{"w0:nosuch"}}, nil,
			[]string{"nosuch", "interfaces here:", "w0", "w1"}},
		{"an MTU beyond a frame", setup{lab: withMTU(9000)}, nil,
			[]string{"w0", "9000", "largest MTU is", "ip link set dev"}},
		{"an MTU beyond the driver", setup{lab: withMTU(3600)}, nil,
			[]string{"w0", "MTU", "3498"}},
		{"unequal MTUs", setup{}, func(g *gate) { must(g.t, g.lab.Gateway.SetMTU("w1", 1400)) },
			[]string{"w0", "1500", "w1", "1400", "ip link set dev"}},
		{"unequal queues", setup{lab: withQueues(2)}, func(g *gate) { setChannels(g.t, g.lab.Gateway, "w1", 1) },
			[]string{"w0", "w1", "2", "1", "ethtool -L"}},
		{"one port twice", setup{wires: []string{"w0:w0"}}, nil,
			[]string{"w0"}},
		{"a port in two wires", setup{wires: []string{"w0:w1", "w1@5:w0@5"}}, nil,
			[]string{"w1"}},
		{"fail open without pins", setup{fail: "open"}, nil,
			[]string{"wire0", "bpffs"}},
		{"a policy that is not there", setup{}, func(g *gate) { must(g.t, os.Remove(g.policyFile())) },
			[]string{"policy.toml", "no such file"}},
		{"a policy that is wrong", setup{policy: "default = \"maybe\""}, nil,
			[]string{"policy.toml:1:11", "maybe"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := prepare(t, c.setup)
			if c.spoil != nil {
				c.spoil(g)
			}
			before := g.traces()
			said := g.refused()
			for _, part := range c.says {
				if !strings.Contains(said, part) {
					t.Errorf("it said\n%s\nwithout %q", said, part)
				}
			}
			g.isAsBefore(before)
		})
	}
}

// TestLargestMTUInTheMessageIsOneThatWorks follows the advice until it starts.
func TestLargestMTUInTheMessageIsOneThatWorks(t *testing.T) {
	g := prepare(t, setup{lab: withMTU(9000), policy: allowAll})
	said := g.refused()
	largest := regexp.MustCompile(`largest MTU is (\d+)`).FindStringSubmatch(said)
	if largest == nil {
		t.Fatalf("no largest MTU in\n%s", said)
	}
	mtu := get(strconv.Atoi(largest[1]))(t)
	for _, end := range []struct {
		ns  *testenv.NS
		dev string
	}{{g.lab.Gateway, "w0"}, {g.lab.Gateway, "w1"}, {g.lab.Host("a").NS, "eth0"}, {g.lab.Host("b").NS, "eth0"}} {
		must(t, end.ns.SetMTU(end.dev, min(mtu, 3498))) // a veth takes no more
	}
	g.run()
	ab, _ := g.paths("a", "b")
	ab.passes(fromA(toB4, testenv.UDP{Dst: 1}, testenv.Bytes(random(t, min(mtu, 3498)-28))))
}

func withMTU(mtu int) testenv.LabConfig {
	c := twoHosts()
	c.MTU = mtu
	return c
}

func withQueues(n int) testenv.LabConfig {
	c := twoHosts()
	c.Queues = n
	return c
}

// TestSecondGatewayIsRefusedAndTheFirstGoesOn names who is there already.
func TestSecondGatewayIsRefusedAndTheFirstGoesOn(t *testing.T) {
	fs := testenv.BPFFSForTest(t)
	first := quiet(t, setup{policy: allowAll, bpffs: fs})
	again := *first
	if said := again.refused(); !strings.Contains(said, "pid "+strconv.Itoa(first.proc.Pid())) {
		t.Errorf("in the same run directory it said\n%s\nwithout the pid %d", said, first.proc.Pid())
	}
	named := prepare(t, setup{in: first.lab, bpffs: fs})
	if said := named.refused(); !strings.Contains(said, "e2e") {
		t.Errorf("of the same name it said\n%s", said)
	}
	other := prepare(t, setup{in: first.lab, name: "other", bpffs: fs})
	if said := other.refused(); !strings.Contains(said, "w0 has another XDP program") || !strings.Contains(said, "bulkhead") {
		t.Errorf("on the same ports it said\n%s", said)
	}
	ab, _ := first.paths("a", "b")
	ab.passes(fromA(toB4, testenv.UDP{Dst: 53}))
	if pins := get(filepath.Glob(fs + "/bulkhead/*/*"))(t); len(pins) != 2 {
		t.Errorf("pinned are %v, want the two links of the first", pins)
	}
}

// TestForeignProgramIsNamedAndStays: a program that somebody else has attached.
func TestForeignProgramIsNamedAndStays(t *testing.T) {
	g := prepare(t, setup{})
	prog := get(ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "somebody_else", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()},
	}))(t)
	defer prog.Close()
	index := get(g.lab.Gateway.Index("w1"))(t)
	var theirs link.Link
	must(t, g.lab.Gateway.Do(func() (err error) {
		theirs, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: index, Flags: link.XDPDriverMode})
		return err
	}))
	defer theirs.Close()
	before := g.traces()
	info := get(prog.Info())(t)
	id, _ := info.ID()
	if said := g.refused(); !strings.Contains(said, fmt.Sprintf("w1 has another XDP program (id %d", id)) {
		t.Errorf("it said\n%s\nwithout the interface or the program's id, %d", said, id)
	}
	g.isAsBefore(before)
}
