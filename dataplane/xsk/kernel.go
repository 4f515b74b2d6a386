// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// kernel is the two system calls of the packet path; a test may stand in.
type kernel interface {
	// send lets the kernel take from the TX ring (copy mode) or wakes the driver.
	send(fd int) syscall.Errno
	// receive wakes the driver's receive side where it sleeps, or polls it.
	receive(fd int) syscall.Errno
}

// system is the real kernel. Both calls return at once (MSG_DONTWAIT), so they
// are made without telling Go's scheduler: that would cost more than the call
// and may take the worker's processor away from it.
type system struct{}

func (system) send(fd int) syscall.Errno {
	_, _, err := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return err
}

func (system) receive(fd int) syscall.Errno {
	_, _, err := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	return err
}
