// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkhead/dataplane"
)

func TestWithoutABPFFSOnlyWiresThatFailClosedRun(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name, path string
		failOpen   bool
		err, warn  string
	}{
		{"closed, not mounted", dir, false, "", "not pinned"},
		{"closed, none wanted", "", false, "", ""},
		{"closed, no such directory", dir + "/none", false, "", "no such file"},
		{"open, not mounted", dir, true, "mount -t bpf bpf " + dir, ""},
		{"open, none wanted", "", true, "--bpffs", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log buffer
			d := daemon{log: slog.New(slog.NewTextHandler(&log, nil)), plan: &plan{engine: dataplane.Config{
				BPFFS: c.path, Wires: []dataplane.Wire{{Name: "w0"}, {Name: "w1", FailOpen: c.failOpen}},
			}}}
			err := d.checkBPFFS()
			if c.err == "" && (err != nil || d.plan.engine.BPFFS != "") {
				t.Errorf("error %v, pinned in %q", err, d.plan.engine.BPFFS)
			}
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "w1")) {
				t.Errorf("error %v, want wire w1 and %q", err, c.err)
			}
			if got := log.String(); !strings.Contains(got, c.warn) || (c.warn == "" && got != "") {
				t.Errorf("logged %q, want %q", got, c.warn)
			}
		})
	}
}

func TestMountedBPFFSIsUsed(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: mounts a bpffs")
	}
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, 0)
	d := daemon{plan: &plan{engine: dataplane.Config{BPFFS: dir, Wires: []dataplane.Wire{{FailOpen: true}}}}}
	if err := d.checkBPFFS(); err != nil || d.plan.engine.BPFFS != dir {
		t.Errorf("%v, pinned in %q", err, d.plan.engine.BPFFS)
	}
}
