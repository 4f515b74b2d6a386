// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/google/go-cmp/cmp"

	"bulkhead/testenv"
)

// traces is all that a gateway could leave behind: programs, promiscuity, state
// and offloads of its ports, and files.
func (g *gate) traces() map[string]string {
	g.t.Helper()
	all := map[string]string{}
	for _, dev := range g.lab.Ports {
		a := attributes(g.t, g.lab.Gateway, dev)
		program := uint32(0)
		if a.Xdp != nil && a.Xdp.Attached {
			program = a.Xdp.ProgId
		}
		all[dev] = fmt.Sprintf("program %d, promiscuity %d, %v, MTU %d, offloads %v",
			program, a.Promisc, a.Flags, a.MTU, get(g.lab.Gateway.Offloads(dev))(g.t))
	}
	patterns := []string{g.runDir(), g.runDir() + "/*"}
	if g.bpffs != "" {
		patterns = append(patterns, g.bpffs+"/*", g.bpffs+"/*/*", g.bpffs+"/*/*/*")
	}
	for _, pattern := range patterns {
		for _, path := range get(filepath.Glob(pattern))(g.t) {
			all[path] = "is there"
		}
	}
	return all
}

func (g *gate) isAsBefore(before map[string]string) {
	g.t.Helper()
	if diff := cmp.Diff(before, g.traces()); diff != "" {
		g.t.Errorf("not as it was before (-before +now):\n%s", diff)
	}
}

func TestSignalsLeaveNothingBehind(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			g := prepare(t, setup{policy: allowAll, bpffs: testenv.BPFFSForTest(t)})
			must(t, g.lab.Gateway.SetUp("w1", false)) // the gateway sets it up, and down again
			before := g.traces()
			g.run()
			ordinaryPing(t, g)
			if during := g.traces(); len(during) == len(before) {
				t.Errorf("while it runs there is nothing to be left behind: %v", during)
			}
			program := ebpf.ProgramID(attributes(t, g.lab.Gateway, "w0").Xdp.ProgId)
			must(t, g.proc.Signal(sig))
			if code, err := g.proc.Wait(soon(t)); err != nil || code != 0 {
				t.Errorf("ended with code %d: %v; its log:\n%s", code, err, g.proc.Log())
			}
			g.isAsBefore(before)
			eventually(t, "the program is unloaded", func() bool {
				p, err := ebpf.NewProgramFromID(program)
				if err == nil {
					must(t, p.Close())
				}
				return err != nil
			})
		})
	}
}

func ordinaryPing(t testing.TB, g *gate) {
	t.Helper()
	_, err := g.lab.Host("a").Ping(soon(t), g.lab.Host("b").IPv4, testenv.PingConfig{})
	must(t, err)
}

// TestKilledGatewayLeavesItsWiresInTheirFailMode, counted, and the next one puts
// itself in the place of what is left.
func TestKilledGatewayLeavesItsWiresInTheirFailMode(t *testing.T) {
	for _, fail := range []string{"closed", "open"} {
		t.Run(fail, func(t *testing.T) {
			g := quiet(t, setup{policy: policyA(), fail: fail, beat: time.Second, bpffs: testenv.BPFFSForTest(t)})
			ab, _ := g.paths("a", "b")
			allowed, denied := probe(1, portAlways), probe(1, portNever)
			ab.passes(allowed)
			ab.drops(denied)
			before := g.kernel("w0")
			must(t, g.proc.Kill())
			g.awaitFailMode(fail)
			ab, _ = g.paths("a", "b")
			if fail == "open" {
				ab.passes(allowed, denied)
			} else {
				for range 3 { // no marker passes either
					must(t, ab.from.Send(allowed))
				}
				eventually(t, "dropped frames are counted", func() bool { return g.kernel("w0").failClosed >= before.failClosed+3 })
			}
			g.run()
			if !strings.Contains(g.proc.Log(), "replaced") {
				t.Errorf("nothing is said of the predecessor:\n%s", g.proc.Log())
			}
			ab, _ = g.paths("a", "b")
			ab.passes(allowed)
			ab.drops(denied)
			g.stop()
			if _, err := os.Stat(g.bpffs + "/bulkhead"); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("pins are left: %v", err)
			}
		})
	}
}

// awaitFailMode sends frames that the policy denies until the kernel's program
// does with them what the wire's fail mode says.
func (g *gate) awaitFailMode(fail string) {
	g.t.Helper()
	from, to := g.end("a"), g.end("b")
	before := g.kernel("w0")
	eventually(g.t, "the wire fails "+fail, func() bool {
		must(g.t, from.Send(probe(1, portNever)))
		now := g.kernel("w0")
		if fail == "open" {
			return now.failOpen > before.failOpen && to.RecvFrame(probe(1, portNever), patience) == nil
		}
		return now.failClosed > before.failClosed
	}, func() any { return g.kernel("w0") })
}

// TestKilledGatewayLeavesAnOpenTrunkPassing from one VLAN of an interface to the
// other, by the kernel alone.
func TestKilledGatewayLeavesAnOpenTrunkPassing(t *testing.T) {
	lab := twoHosts()
	lab.Ports = lab.Ports[:1]
	g := quiet(t, setup{lab: lab, wires: []string{"w0@10:w0@20"}, fail: "open", beat: time.Second, bpffs: testenv.BPFFSForTest(t)})
	must(t, g.proc.Kill())
	from, to := g.end("a"), g.end("a")
	in, out := fromA(testenv.Tag(10), toB4, testenv.UDP{}), fromA(testenv.Tag(20), toB4, testenv.UDP{})
	eventually(t, "frames pass", func() bool {
		must(t, from.Send(in))
		return to.RecvFrame(out, 50*time.Millisecond) == nil
	}, func() any { return g.kernel("w0") })
	must(t, from.Send(fromA(testenv.Tag(30), toB4, testenv.UDP{})))
	eventually(t, "frames of other VLANs do not", func() bool { return g.kernel("w0").noLane > 0 })
}

// TestKilledGatewayWithoutPinsCutsItsWires: its programs go with it.
func TestKilledGatewayWithoutPinsCutsItsWires(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	must(t, g.proc.Kill())
	for _, dev := range g.lab.Ports {
		eventually(t, "the program is gone from "+dev, func() bool {
			a := attributes(t, g.lab.Gateway, dev)
			return a.Xdp == nil || !a.Xdp.Attached
		})
	}
	g.run() // the lock and the socket of the dead one are no hindrance
	ab, _ := g.paths("a", "b")
	ab.passes(probe(1, 1))
}
