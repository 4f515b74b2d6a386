// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// pendingWait is the longest sleep while the kernel has packets to send. In copy
// mode it sends only when asked, and being polled counts as being asked.
const pendingWait = time.Millisecond

const pollFault = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL

// Poller sleeps until one of a worker's sockets has received something. It
// belongs to the worker, except for Interrupt. Wait allocates nothing.
type Poller struct {
	sockets []*Socket
	fds     []unix.PollFd // of the sockets in order, then the bell
	bell    int           // eventfd: Interrupt rings it
	timeout unix.Timespec
	rung    bool // the last Wait ended by the bell
	idler   *idler
}

// NewPoller makes a Poller for sockets, of one UMEM or several.
func NewPoller(sockets ...*Socket) (*Poller, error) {
	bell, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("xsk: make poller: eventfd: %w", err)
	}
	p := &Poller{sockets: sockets, bell: bell}
	for _, s := range sockets {
		p.fds = append(p.fds, unix.PollFd{Fd: int32(s.fd), Events: unix.POLLIN})
	}
	p.fds = append(p.fds, unix.PollFd{Fd: int32(bell), Events: unix.POLLIN})
	if p.idler, err = newIdler(p.fds); err != nil {
		unix.Close(bell)
		return nil, err
	}
	return p, nil
}

// Wait sleeps until a socket has something to receive, Interrupt is called, or
// the timeout is over (negative: no timeout), and says how many sockets have
// something. While packets wait to be sent it returns after a millisecond.
//
// An interface that goes down or away is no reason to return: after a timeout
// Socket.State tells, and Wait never spins on a socket that has only errors to
// report. The error is not about sockets and means that polling is broken.
func (p *Poller) Wait(timeout time.Duration) (int, error) {
	if p.pending() && (timeout < 0 || timeout > pendingWait) {
		timeout = pendingWait
	}
	p.rung = false
	p.timeout = unix.NsecToTimespec(int64(max(0, timeout)))
	limit := &p.timeout
	if timeout < 0 {
		limit = nil
	}
	for {
		// The kernel leaves in p.timeout what remains of it, so that going on
		// after a signal or a fault does not start again.
		n, err := ppoll(p.fds, limit)
		switch {
		case err == unix.EINTR:
			continue
		case err != 0:
			return 0, fmt.Errorf("xsk: ppoll: %w", err)
		case n == 0:
			p.check()
			return 0, nil
		}
		got, rung := p.collect()
		if got > 0 || rung {
			p.rung = rung
			return got, nil
		}
	}
}

// pending reports whether a socket that is up has packets for the kernel to take.
func (p *Poller) pending() bool {
	for _, s := range p.sockets {
		if s.state == Up && s.Pending() {
			return true
		}
	}
	return false
}

// collect counts the sockets that have something, mutes those that only have an
// error, and answers the bell.
func (p *Poller) collect() (ready int, rung bool) {
	for i, s := range p.sockets {
		switch r := p.fds[i].Revents; {
		case r&pollFault != 0:
			p.mute(i)
		case r&unix.POLLIN != 0:
			s.state = Up
			ready++
		}
	}
	if p.fds[len(p.sockets)].Revents != 0 {
		var count [8]byte
		_, _ = unix.Read(p.bell, count[:]) // empty if someone else was quicker: rung all the same
		return ready, true
	}
	return ready, false
}

// mute makes ppoll overlook a socket with an error until check finds it well.
// Older kernels report the deletion of an interface so, and for ever.
func (p *Poller) mute(i int) {
	s := p.sockets[i]
	_, _ = unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR) // reading clears it
	p.fds[i].Fd = -1
	if s.Check() == Up {
		s.state = Down // its state is not known better
	}
}

// check asks for the state of each socket and listens again to those that are up.
func (p *Poller) check() {
	for i, s := range p.sockets {
		if s.Check() == Up {
			p.fds[i].Fd = int32(s.fd)
		}
	}
}

// Interrupt makes the present or next Wait return. It may be called from any
// goroutine until Close.
func (p *Poller) Interrupt() {
	var one [8]byte
	binary.NativeEndian.PutUint64(one[:], 1)
	_, _ = unix.Write(p.bell, one[:]) // full means that it has been rung often enough
}

// Close ends the Poller, before the sockets are closed.
func (p *Poller) Close() error {
	if err := errors.Join(p.idler.file.Close(), unix.Close(p.bell)); err != nil {
		return fmt.Errorf("xsk: close poller: %w", err)
	}
	return nil
}
