// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// setupCaps is all that a gateway needs: CAP_NET_ADMIN to attach programs and
// set interfaces, CAP_NET_RAW for AF_XDP sockets, CAP_BPF to load programs and
// CAP_IPC_LOCK for packet memory. Packet workers need none of them: they work
// on descriptors and memory that are open already.
const setupCaps = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_BPF | 1<<unix.CAP_IPC_LOCK

// How far the process goes ahead of what else the machine does, as nice
// values: a worker that had to wait for a processor would be thought hung.
const (
	workerNice  = -20
	processNice = -10 // the timers that wake idle workers run on any thread
)

// raisePriority raises the priority of all threads, and lets workers raise
// theirs when the capability for that has gone. Refused, the gateway is slower
// on a busy machine, and not wrong.
func raisePriority() {
	const limit = 20 - workerNice // as RLIMIT_NICE counts
	_ = unix.Setrlimit(unix.RLIMIT_NICE, &unix.Rlimit{Cur: limit, Max: limit})
	nice := processNice
	_ = allThreads("raise priority", unix.SYS_SETPRIORITY, unix.PRIO_PROCESS, 0, uintptr(nice))
}

// DropPrivileges leaves the process, all threads of it, those capabilities of
// setupCaps that it has and no others, and sees to it that no program that it
// might start gets more (no_new_privs). Call it once, at the start. It must
// not be called in a program built with cgo.
func DropPrivileges() error {
	have, err := permitted()
	if err != nil {
		return err
	}
	if missing := setupCaps &^ have; missing != 0 {
		return fmt.Errorf("the gateway needs CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK: run it as root, or give it these capabilities: %w", unix.EPERM)
	}
	raisePriority()
	if err := allThreads("set no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return err
	}
	if err := dropBounding(); err != nil {
		return err
	}
	if err := allThreads("clear ambient capabilities", unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL); err != nil {
		return err
	}
	return setAllThreads(setupCaps)
}

// dropBounding empties the bounding set of what is not needed, where the
// process may: without CAP_SETPCAP there is nothing more to lose.
func dropBounding() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if setupCaps&(1<<c) != 0 {
			continue
		}
		err := allThreads("drop a capability from the bounding set", unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, c)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
			return nil // beyond the last that this kernel knows, or not ours to drop
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// allThreads makes a system call on every thread.
func allThreads(what string, trap uintptr, args ...uintptr) error {
	var a [3]uintptr
	copy(a[:], args)
	_, _, errno := syscall.AllThreadsSyscall6(trap, a[0], a[1], a[2], 0, 0, 0)
	if errno == unix.ENOTSUP {
		return fmt.Errorf("%s: this program was built with cgo, whose threads cannot be reached: build it with CGO_ENABLED=0, as make does: %w", what, errno)
	}
	if errno != 0 {
		return fmt.Errorf("%s: %w", what, errno)
	}
	return nil
}

// permitted reads the capabilities that the calling thread may use.
func permitted() (uint64, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return 0, fmt.Errorf("read capabilities: %w", err)
	}
	return uint64(data[0].Permitted) | uint64(data[1].Permitted)<<32, nil
}

// capData is a set of capabilities as the kernel takes it.
func capData(set uint64) [2]unix.CapUserData {
	lo, hi := uint32(set), uint32(set>>32)
	return [2]unix.CapUserData{{Effective: lo, Permitted: lo}, {Effective: hi, Permitted: hi}}
}

// dropThreadPrivileges takes all capabilities from the calling thread, which
// stays locked to its goroutine: threads that the runtime makes are not cloned
// from it.
func dropThreadPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := capData(0)
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("drop capabilities of a thread: %w", err)
	}
	return nil
}
