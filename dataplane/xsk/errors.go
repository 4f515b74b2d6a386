// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	opBind         = "bind in copy mode"
	opBindZeroCopy = "bind in zero-copy mode"
)

// bindOp is the name of bind in a mode, for messages.
func bindOp(m Mode) string {
	if m == ZeroCopy {
		return opBindZeroCopy
	}
	return opBind
}

// Error says which step of opening a socket failed, where, and if known what to
// do about it. errors.Is finds the kernel's error number in it.
type Error struct {
	Op        string // what was tried
	Interface string
	Queue     uint32
	Err       error  // why it failed
	Hint      string // what to do, or empty
}

// Error is one line: what, where, why, what to do.
func (e *Error) Error() string {
	s := fmt.Sprintf("xsk: %s queue %d: %s: %v", e.Interface, e.Queue, e.Op, e.Err)
	if e.Hint != "" {
		s += ": " + e.Hint
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// opError wraps the error of one step, with a hint where the cause is known.
func opError(op string, q Queue, err error) error {
	return &Error{Op: op, Interface: q.Interface, Queue: q.ID, Err: err, Hint: hint(op, err)}
}

// hint says what usually is behind an error number of net/xdp.
func hint(op string, err error) string {
	bind := op == opBind || op == opBindZeroCopy
	switch {
	case op == "socket" && errors.Is(err, unix.EPERM):
		return "opening AF_XDP sockets needs CAP_NET_RAW"
	case op == "socket" && errors.Is(err, unix.EAFNOSUPPORT):
		return "this kernel is built without CONFIG_XDP_SOCKETS (Linux 4.18 or later can have it)"
	case bind && errors.Is(err, unix.EBUSY):
		return "the queue has an AF_XDP socket: stop the process that uses it, or if that has just ended try again"
	case bind && errors.Is(err, unix.ENODEV):
		return "the interface is gone"
	case bind && errors.Is(err, unix.ENETDOWN):
		return "the interface is down: set it up"
	case op == opBindZeroCopy && errors.Is(err, unix.EOPNOTSUPP):
		return `the driver cannot do zero-copy: use mode "copy" or "auto"`
	case op == opBindZeroCopy && errors.Is(err, unix.EINVAL):
		return "the interface has no such queue, or its MTU is too large for the frame size"
	case op == opBind && errors.Is(err, unix.EINVAL):
		return "the interface has no such queue"
	case op == "set busy poll" && errors.Is(err, unix.EPERM):
		return "busy polling needs CAP_NET_ADMIN"
	}
	return ""
}

// refusesZeroCopy reports whether err means that a device cannot do zero-copy,
// rather than that opening would fail in copy mode as well.
func refusesZeroCopy(err error) bool {
	var e *Error
	if !errors.As(err, &e) || e.Op != opBindZeroCopy {
		return false
	}
	return !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENODEV)
}

// memoryError adds to the error of XDP_UMEM_REG what it means. ENOBUFS is the
// limit of locked memory, which counts all UMEMs of the user together.
func memoryError(err error, size int) error {
	if !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	limit := "unknown"
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &r) == nil {
		limit = fmt.Sprintf("%d", r.Cur)
	}
	return fmt.Errorf("%w: locked memory: this worker needs %d bytes and the limit is %s bytes for all workers together: "+
		"give CAP_IPC_LOCK, or raise the limit (LimitMEMLOCK= in the systemd unit, ulimit -l in a shell)", err, size, limit)
}
