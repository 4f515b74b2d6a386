// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// MountBPFFS mounts a bpffs of its own on a new folder under dir and returns the folder, and a function that unmounts
// and removes it, with every pin in it; CloseAll does that at the latest.
// It is seen by children in any network namespace (but not under ip netns exec, which has other mounts).
func MountBPFFS(dir string) (path string, unmount func() error, err error) {
	path = filepath.Join(dir, uniqueName("bpffs"))
	if err := os.Mkdir(path, 0o700); err != nil {
		return "", nil, wrap("mount bpffs", err)
	}
	if err := unix.Mount("bpf", path, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=0700"); err != nil {
		return "", nil, errors.Join(wrap("mount bpffs on "+path, err), os.Remove(path))
	}
	unmount, err = process.own(func() error {
		// Detached, because a process that has died just now may still be in it.
		return wrap("unmount "+path, errors.Join(unix.Unmount(path, unix.MNT_DETACH), os.Remove(path)))
	})
	return path, unmount, err
}
