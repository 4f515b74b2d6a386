// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// gate is a gateway in a lab.
type gate struct {
	t      testing.TB
	lab    *testenv.Lab
	proc   *testenv.Process
	client *api.Client
	args   []string
	dir    string // of its files
	bpffs  string
}

func (g *gate) runDir() string     { return filepath.Join(g.dir, "run") }
func (g *gate) policyFile() string { return filepath.Join(g.dir, "policy.toml") }

// setup says which gateway a test needs. The zero value is one wire between
// hosts a and b on ports w0 and w1, that denies everything.
type setup struct {
	lab    testenv.LabConfig // zero: hosts a and b, who know each other's MACs
	in     *testenv.Lab      // a lab that is there already
	policy string            // text; empty: deny everything
	wires  []string          // as on the command line; nil: w0:w1
	fail   string            // closed or open
	extra  string            // more tables of the configuration
	// beat is the beat limit. The zero value is long, so that a machine that is
	// busy with other things puts no wire into its fail mode.
	beat  time.Duration
	bpffs string // empty: nothing is pinned
	name  string // of the gateway
	group string // of all wires
}

// denyAll and allowAll are the two simplest policies.
const (
	denyAll  = `default = "deny"`
	allowAll = `default = "allow"`
)

// twoHosts are hosts a and b, who know each other's MACs and whose captures
// are exact.
func twoHosts() testenv.LabConfig {
	c := testenv.TwoHosts()
	c.StaticNeighbours, c.ExactCapture = true, true
	return c
}

// start starts the gateway and waits until it is ready.
func start(t testing.TB, s setup) *gate {
	t.Helper()
	g := prepare(t, s)
	g.run()
	return g
}

// quiet is start with hosts that say nothing of their own: only the frames of
// the test are on the wire, and in the counters.
func quiet(t testing.TB, s setup) *gate {
	t.Helper()
	g := prepare(t, s)
	g.silence()
	g.run()
	return g
}

// silence keeps the hosts from saying anything of their own: they do by IPv6.
func (g *gate) silence() {
	g.t.Helper()
	for _, h := range g.lab.Hosts {
		must(g.t, h.Sysctl("net.ipv6.conf.all.disable_ipv6", "1"))
	}
}

// prepare makes the lab and the files.
func prepare(t testing.TB, s setup) *gate {
	t.Helper()
	if s.in == nil {
		if s.lab.Ports == nil {
			s.lab = twoHosts()
		}
		s.in = testenv.LabForTest(t, s.lab)
	}
	g := &gate{t: t, lab: s.in, dir: tempDir(t), bpffs: s.bpffs}
	g.client = api.NewClient(g.runDir())
	config := filepath.Join(g.dir, "bulkhead.toml")
	write(t, g.policyFile(), or(s.policy, denyAll))
	write(t, config, s.config(g.policyFile()))
	g.args = []string{"run", "--config", config, "--run-dir", g.runDir(), "--bpffs", g.bpffs}
	return g
}

// tempDir is a folder for the time of the test, with a name shorter than that
// of t.TempDir: paths in configurations are limited.
func tempDir(t testing.TB) string {
	t.Helper()
	dir := get(os.MkdirTemp("", "e2e-"))(t)
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// config is the text of the configuration file.
func (s *setup) config(policy string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[gateway]\nname = %q\npolicy = %q\nbeat_limit = %q\n",
		or(s.name, "e2e"), policy, or(s.beat, 20*time.Second))
	if s.wires == nil {
		s.wires = []string{"w0:w1"}
	}
	for i, w := range s.wires {
		fmt.Fprintf(&b, "[[wire]]\nname = \"wire%d\"\nfail = %q\ngroup = %q\n", i, or(s.fail, "closed"), s.group)
		a, z, _ := strings.Cut(w, ":")
		for side, port := range map[string]string{"a": a, "b": z} {
			dev, vlan, tagged := strings.Cut(port, "@")
			fmt.Fprintf(&b, "%s = %q\n", side, dev)
			if tagged {
				fmt.Fprintf(&b, "%s_vlan = %s\n", side, vlan)
			}
		}
	}
	return b.String() + s.extra
}

// run starts the gateway in its lab; once more after it has ended.
func (g *gate) run() {
	g.t.Helper()
	g.proc = testenv.GatewayForTest(g.t, g.lab.Gateway, g.args...)
}

// refused starts a gateway that must not start, and gives what it says.
func (g *gate) refused() string {
	g.t.Helper()
	binary := get(testenv.BuildGateway(soon(g.t)))(g.t)
	p := get(g.lab.Gateway.Command(binary, g.args...))(g.t)
	defer p.Kill()
	if code, err := p.Wait(soon(g.t)); err != nil || code != 1 {
		g.t.Errorf("the gateway ended with code %d, want 1: %v; its log:\n%s", code, err, p.Log())
	}
	return p.Log()
}

// stop ends the gateway in order.
func (g *gate) stop() {
	g.t.Helper()
	if code, err := g.proc.Stop(patience); err != nil || code != 0 {
		g.t.Errorf("the gateway ended with code %d: %v; its log:\n%s", code, err, g.proc.Log())
	}
}

// status is what the gateway says of itself.
func (g *gate) status() api.Status {
	g.t.Helper()
	return get(g.client.Status(soon(g.t)))(g.t)
}

// wire is the first wire's status.
func (g *gate) wire() api.Wire {
	g.t.Helper()
	return g.status().Wires[0]
}

// awaitState waits until the first wire is UP, DEGRADED or DOWN.
func (g *gate) awaitState(state string) {
	g.t.Helper()
	eventually(g.t, "the wire is "+state, func() bool { return g.wire().State == state },
		func() any { return g.wire() }, func() any { return g.proc.Log() })
}

// apply brings a policy into force.
func (g *gate) apply(policy string) api.Applied {
	g.t.Helper()
	return get(g.client.Apply(context.Background(), "test.toml", []byte(policy)))(g.t)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
}

// or is a if it is set, else b.
func or[T comparable](a, b T) T {
	var zero T
	if a == zero {
		return b
	}
	return a
}
