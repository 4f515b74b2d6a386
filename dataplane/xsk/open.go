// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Open makes a UMEM and a socket for each queue, bound and with their fill rings
// full. They receive nothing until the caller puts them into an XSKMAP and an
// XDP program redirects to it. Interfaces are those of the calling thread's
// network namespace. It needs CAP_NET_RAW, and CAP_IPC_LOCK or enough locked
// memory; nothing needs a capability later.
//
// In Auto mode, if one device refuses zero-copy, all sockets are closed again
// and opened in copy mode; Umem.Refusal has the reason.
func Open(c Config, queues ...Queue) (*Umem, error) {
	c = c.withDefaults(len(queues))
	if err := c.check(len(queues)); err != nil {
		return nil, err
	}
	queues, err := lookUp(queues)
	if err != nil {
		return nil, err
	}
	if c.Mode == Copy {
		return openAll(c, queues)
	}
	wish := c.Mode
	c.Mode = ZeroCopy
	u, err := openAll(c, queues)
	if wish == ZeroCopy || !refusesZeroCopy(err) {
		return u, err
	}
	c.Mode = Copy
	u, cerr := openAll(c, queues)
	if cerr != nil {
		return nil, cerr
	}
	u.refusal = err
	return u, nil
}

// lookUp fills in missing interface indices and refuses a queue named twice.
func lookUp(queues []Queue) ([]Queue, error) {
	out := make([]Queue, len(queues))
	seen := make(map[[2]int]bool)
	for i, q := range queues {
		if q.Index == 0 {
			ifc, err := net.InterfaceByName(q.Interface)
			if err != nil {
				return nil, fmt.Errorf("xsk: interface %q: %w", q.Interface, err)
			}
			q.Index = ifc.Index
		}
		key := [2]int{q.Index, int(q.ID)}
		if seen[key] {
			return nil, fmt.Errorf("xsk: %s queue %d is named twice", q.Interface, q.ID)
		}
		seen[key] = true
		out[i] = q
	}
	return out, nil
}

// openAll makes a UMEM with all its sockets in one mode, or nothing.
func openAll(c Config, queues []Queue) (*Umem, error) {
	mapping, mem, err := mapPacketMemory(int(c.Frames) * int(c.FrameSize))
	if err != nil {
		return nil, err
	}
	u := newUmem(c, len(queues), mem)
	u.mapping = mapping
	for _, q := range queues {
		if err := u.addSocket(c, q); err != nil {
			return nil, errors.Join(err, u.Close())
		}
	}
	u.mode = Copy
	if !u.sockets[0].copies {
		u.mode = ZeroCopy
	}
	return u, nil
}

// addSocket opens the next socket of a UMEM. The first registers the memory.
func (u *Umem) addSocket(c Config, q Queue) error {
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return opError("socket", q, err)
	}
	first := len(u.sockets) == 0
	s := &Socket{fd: fd, kernel: system{}, queue: q, busyPoll: c.BusyPoll.Budget > 0}
	u.sockets = append(u.sockets, s) // from here on Close knows it
	if first {
		if err := registerMemory(fd, u.mem, c.FrameSize); err != nil {
			return opError("register packet memory", q, memoryError(err, len(u.mem)))
		}
	}
	rings, err := mapRings(s, c)
	if err != nil {
		return err
	}
	u.attach(s, rings, c)
	if err := setOptions(s, c); err != nil {
		return err
	}
	s.Refill() // a zero-copy driver takes its first frames at bind
	if err := s.bind(c, u.sockets[0].fd); err != nil {
		return err
	}
	return s.learnMode()
}

// setOptions sets what must be known before the socket is bound.
func setOptions(s *Socket, c Config) error {
	if c.TXBudget > 0 {
		err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, unix.XDP_MAX_TX_SKB_BUDGET, int(c.TXBudget))
		if err != nil && err != unix.ENOPROTOOPT { // not known before Linux 6.17: Kick calls more often
			return opError("set TX budget", s.queue, err)
		}
	}
	if !s.busyPoll {
		return nil
	}
	for _, o := range []struct{ name, value int }{
		{unix.SO_PREFER_BUSY_POLL, 1},
		{unix.SO_BUSY_POLL, int(c.BusyPoll.Microseconds)},
		{unix.SO_BUSY_POLL_BUDGET, int(c.BusyPoll.Budget)},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, o.name, o.value); err != nil {
			return opError("set busy poll", s.queue, err)
		}
	}
	return nil
}

// bind ties the socket to its queue. While the queue is busy it tries again: its
// last user may just have closed it, and the kernel, which frees it after an RCU
// grace period and from a work queue, takes 20 ms for that when idle and was seen
// to take seconds when all processors were busy.
func (s *Socket) bind(c Config, first int) error {
	addr := &unix.SockaddrXDP{Ifindex: uint32(s.queue.Index), QueueID: s.queue.ID}
	if first == s.fd {
		addr.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_COPY
		if c.Mode == ZeroCopy {
			addr.Flags = unix.XDP_USE_NEED_WAKEUP | unix.XDP_ZEROCOPY
		}
	} else {
		addr.Flags, addr.SharedUmemFD = unix.XDP_SHARED_UMEM, uint32(first) // any other flag is EINVAL
	}
	for end := time.Now().Add(c.BindTimeout); ; time.Sleep(5 * time.Millisecond) {
		err := unix.Bind(s.fd, addr)
		if err == nil {
			return nil
		}
		if err != unix.EBUSY || time.Now().After(end) {
			return opError(bindOp(c.Mode), s.queue, err)
		}
	}
}

// learnMode asks the kernel in which mode the socket is.
func (s *Socket) learnMode() error {
	var options uint32 // struct xdp_options
	if err := getsockopt(s.fd, unix.XDP_OPTIONS, &options); err != nil {
		return opError("read mode", s.queue, err)
	}
	s.copies = options&unix.XDP_OPTIONS_ZEROCOPY == 0
	return nil
}
