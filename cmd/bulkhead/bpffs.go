// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// checkBPFFS sees to it that programs are pinned only where pins can be. A
// wire that fails open needs them: without, its program goes with the daemon
// and the wire is cut.
func (d *daemon) checkBPFFS() error {
	conf := &d.plan.engine
	err := isBPFFS(conf.BPFFS)
	if err == nil {
		return nil
	}
	for _, w := range conf.Wires {
		if w.FailOpen {
			return fmt.Errorf("wire %s fails open, for which programs are pinned: %w", w.Name, err)
		}
	}
	if conf.BPFFS != "" {
		d.log.Warn("programs are not pinned: if the daemon dies, its wires are cut until it starts again", "cause", err)
	}
	conf.BPFFS = ""
	return nil
}

// A path that looks right may still be none: in a network namespace made by
// `ip netns exec`, /sys is mounted anew and has no bpffs in it, and what is
// pinned into one mounted there is seen by nobody else.

// isBPFFS returns an error with the cure unless path is in a mounted bpffs.
func isBPFFS(path string) error {
	if path == "" {
		return errors.New("no bpffs is named (--bpffs)")
	}
	var fs unix.Statfs_t
	err := unix.Statfs(path, &fs)
	switch {
	case err != nil:
		return fmt.Errorf("bpffs %s: %w: make the directory and 'mount -t bpf bpf %s'", path, err, path)
	case fs.Type != unix.BPF_FS_MAGIC:
		return fmt.Errorf("bpffs %s: nothing of the kind is mounted there: 'mount -t bpf bpf %s'", path, path)
	}
	return nil
}
