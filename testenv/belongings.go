// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Belongings lists what this process holds of the kernel and of the file system that a run may leave behind: its children,
// its sockets and its descriptors of namespaces, its threads in other network namespaces, and the network
// namespaces, mounts and folders that have its name. Two lists, from before and after, show what is left; a namespace
// that nothing in them refers to is gone, with all interfaces and sockets in it.
func Belongings() ([]string, error) {
	var list []string
	for _, find := range []func() ([]string, error){children, descriptors, strayThreads, named} {
		found, err := find()
		if err != nil {
			return nil, wrap("list belongings", err)
		}
		list = append(list, found...)
	}
	slices.Sort(list)
	return list, nil
}

// children are the processes whose parent is this one, dead ones that nobody waited for included.
func children() (list []string, err error) {
	paths, err := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended in between
		}
		// PID (NAME) STATE PPID ...: proc_pid_stat(5). A name may have spaces and parentheses.
		end := bytes.LastIndexByte(stat, ')')
		fields := bytes.Fields(stat[end+1:])
		if len(fields) > 1 && string(fields[1]) == strconv.Itoa(os.Getpid()) {
			list = append(list, fmt.Sprintf("process %s)", stat[:end]))
		}
	}
	return list, err
}

// descriptors are the open sockets and namespaces.
func descriptors() (list []string, err error) {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue // the one with which the folder was read
		}
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(target, "socket:") || strings.HasPrefix(target, "net:") || strings.HasPrefix(target, namesDir) {
			list = append(list, "open "+target)
		}
	}
	return list, err
}

// strayThreads are the threads that are not in the network namespace of the process.
func strayThreads() (list []string, err error) {
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	paths, err := filepath.Glob("/proc/self/task/*/ns/net")
	for _, path := range paths {
		if at, err := os.Readlink(path); err == nil && at != home { // else it has ended in between
			list = append(list, "thread in "+at)
		}
	}
	return list, err
}

// named are the things with names that uniqueName has made for this process.
func named() (list []string, err error) {
	mounts, err := bpffsMounts()
	if err != nil {
		return nil, err
	}
	ours := fmt.Sprintf("bh-%d-", os.Getpid())
	for _, dir := range mounts {
		if strings.HasPrefix(filepath.Base(dir), ours) {
			list = append(list, "mount "+dir)
		}
	}
	for _, dir := range []string{namesDir, os.TempDir()} {
		paths, err := filepath.Glob(filepath.Join(dir, ours+"*"))
		if err != nil {
			return nil, err
		}
		list = append(list, paths...)
	}
	return list, nil
}
