// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// namesDir is where named network namespaces live, as with ip-netns(8).
const namesDir = "/run/netns"

// ourName matches what uniqueName makes, and nothing else.
var ourName = regexp.MustCompile(`^bh-([1-9][0-9]*)-[0-9]+-`)

var names atomic.Uint64

// uniqueName is bh-PID-N-LABEL: ours, by whom, and which.
func uniqueName(label string) string {
	return fmt.Sprintf("bh-%d-%d-%s", os.Getpid(), names.Add(1), label)
}

// Sweep removes what dead runs of programs that use this package have left: namespaces with names,
// bpffs mounts and temporary folders. It touches only names that begin with bh-PID-N- where no process
// PID exists, leaves what belongs to another user, and never ends a process. (Programs in another PID namespace that share /run look dead.)
func Sweep() error {
	return errors.Join(sweepNamespaces(), sweepMounts(), sweepFolders())
}

func sweepNamespaces() error {
	var errs []error
	for _, name := range leftovers(filepath.Join(namesDir, "bh-*")) {
		// A file that is not mounted on (the maker died between the two steps) needs no unmount.
		err := netns.DeleteNamed(filepath.Base(name))
		if errors.Is(err, unix.EINVAL) {
			err = os.Remove(name)
		}
		errs = append(errs, gone(err))
	}
	return wrap("sweep namespaces", errors.Join(errs...))
}

func sweepMounts() error {
	mounts, err := bpffsMounts()
	if err != nil {
		return wrap("sweep bpffs mounts", err)
	}
	var errs []error
	for _, dir := range mounts {
		if deadOwner(filepath.Base(dir)) {
			errs = append(errs, gone(unix.Unmount(dir, unix.MNT_DETACH)), gone(os.Remove(dir)))
		}
	}
	return wrap("sweep bpffs mounts", errors.Join(errs...))
}

func sweepFolders() error {
	var errs []error
	for _, dir := range leftovers(filepath.Join(os.TempDir(), "bh-*")) {
		errs = append(errs, gone(os.RemoveAll(dir)))
	}
	return wrap("sweep folders", errors.Join(errs...))
}

// leftovers are the paths that match pattern and whose maker is dead.
func leftovers(pattern string) []string {
	var dead []string
	paths, _ := filepath.Glob(pattern) // the only error is a bad pattern
	for _, p := range paths {
		if deadOwner(filepath.Base(p)) {
			dead = append(dead, p)
		}
	}
	return dead
}

// deadOwner tells whether name is one of ours and the process that made it is gone.
func deadOwner(name string) bool {
	m := ourName.FindStringSubmatch(name)
	if m == nil {
		return false
	}
	pid, err := strconv.Atoi(m[1])
	return err == nil && errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}

// bpffsMounts lists the mount points of type bpf, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
func bpffsMounts() ([]string, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var dirs []string
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		before, after, ok := strings.Cut(sc.Text(), " - ")
		fields := strings.Fields(before)
		if ok && len(fields) >= 5 && strings.HasPrefix(after, "bpf ") {
			dirs = append(dirs, fields[4])
		}
	}
	return dirs, sc.Err()
}

// gone forgives what somebody else has removed first, and what is not this user's to remove.
func gone(err error) error { return ignore(err, os.ErrNotExist, unix.EINVAL, os.ErrPermission) }

// wrap puts the operation in front of an error, if there is one.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", op, err)
}
