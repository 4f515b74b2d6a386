// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m.Run)) }

// gateways are what joins the two hosts, by name: the peers first.
var gateways = []struct {
	name string
	join func(b *testing.B, l *testenv.Lab)
}{
	{"bridge", joinBridge},
	{"bulkhead", joinBulkhead},
}

// joinBridge joins the ports by a Linux bridge. A veth takes XDP frames only
// with GRO (or an XDP program), and a new one that says it has it has not got
// it until it was turned off and on.
func joinBridge(b *testing.B, l *testenv.Lab) {
	for _, port := range l.Ports {
		for _, on := range []bool{false, true} {
			if err := l.Gateway.SetOffloads(port, map[string]bool{"rx-gro": on}); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := l.Join(); err != nil {
		b.Fatal(err)
	}
}

// policy lets the benchmarks' packets pass by a rule on labels.
const policy = `
default = "deny"
workload.left  = { addresses = ["198.18.0.0/16"], labels = { side = "left" } }
workload.right = { addresses = ["198.19.0.0/16"], labels = { side = "right" } }
service.bench = { udp = ["1-65535"] }
[[rule]]
name = "bench"
from = "side=left"
to = "side=right"
services = ["bench"]
action = "allow"
`

func joinBulkhead(b *testing.B, l *testenv.Lab) {
	dir := b.TempDir()
	file := filepath.Join(dir, "policy.toml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		b.Fatal(err)
	}
	p := testenv.GatewayForTest(b, l.Gateway, "run", "--wire", l.Ports[0]+":"+l.Ports[1],
		"--policy", file, "--run-dir", dir, "--bpffs", testenv.BPFFSForTest(b))
	pinProcess(b, p.Pid(), runtime.NumCPU()-1)
}

// newLab is two hosts in one subnet, left and right of the gateway.
func newLab(b *testing.B) *testenv.Lab {
	cfg := testenv.LabConfig{
		StaticNeighbours: true,
		Ports: []testenv.PortConfig{
			{Hosts: []testenv.HostConfig{{Name: "left", Addrs: prefixes("198.18.0.2/15")}}},
			{Hosts: []testenv.HostConfig{{Name: "right", Addrs: prefixes("198.19.0.2/15")}}},
		},
	}
	return testenv.LabForTest(b, cfg)
}

// pinProcess keeps all threads of a process on one processor.
func pinProcess(b *testing.B, pid, cpu int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Fatal(err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	for _, t := range tasks {
		tid, _ := strconv.Atoi(t.Name())
		if err := unix.SchedSetaffinity(tid, &set); err != nil && err != unix.ESRCH {
			b.Fatal(err)
		}
	}
}

// soon bounds what a benchmark may wait for.
func soon(b *testing.B) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.Cleanup(cancel)
	return ctx
}
