// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/cilium/ebpf"
)

// kernelCounts is what the XDP program of a port has counted by itself, over all
// VLANs: enum cause in dataplane/xdp/bpf/bulkhead.c.
type kernelCounts struct{ queueUnbound, failClosed, failOpen, oversize, noLane uint64 }

// kernel reads the counters of a port's program from the kernel, whether the
// daemon lives or not.
func (g *gate) kernel(dev string) (c kernelCounts) {
	g.t.Helper()
	a := attributes(g.t, g.lab.Gateway, dev)
	if a.Xdp == nil || !a.Xdp.Attached {
		g.t.Fatalf("%s has no program", dev)
	}
	counts := mapOf(g.t, ebpf.ProgramID(a.Xdp.ProgId), "counts")
	defer counts.Close()
	words := []*uint64{&c.queueUnbound, &c.failClosed, &c.failOpen, &c.oversize, &c.noLane}
	for key := range counts.MaxEntries() {
		var perCPU []uint64
		must(g.t, counts.Lookup(key, &perCPU))
		for _, n := range perCPU {
			*words[int(key)%len(words)] += n
		}
	}
	return c
}

// mapOf opens a program's map by its name.
func mapOf(t testing.TB, id ebpf.ProgramID, name string) *ebpf.Map {
	t.Helper()
	prog := get(ebpf.NewProgramFromID(id))(t)
	defer prog.Close()
	maps, _ := get(prog.Info())(t).MapIDs()
	for _, id := range maps {
		m := get(ebpf.NewMapFromID(id))(t)
		if get(m.Info())(t).Name == name {
			return m
		}
		must(t, m.Close())
	}
	t.Fatalf("program %d has no map %s", id, name)
	return nil
}
