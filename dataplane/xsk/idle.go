// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// idler waits by Go's own poller: an epoll instance over the sockets and the
// bell that is itself a file which the runtime watches. The goroutine parks and
// its processor is free at once, so that an idle process really sleeps. Waking
// takes two threads instead of one, which only the first frame after a long
// silence pays.
type idler struct {
	file   *os.File // the epoll instance
	conn   syscall.RawConn
	events [1]unix.EpollEvent
	ready  func(fd uintptr) bool // made once, since a method value allocates
}

func newIdler(fds []unix.PollFd) (*idler, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("xsk: make idler: epoll: %w", err)
	}
	for _, f := range fds {
		if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(f.Fd), &unix.EpollEvent{Events: unix.EPOLLIN, Fd: f.Fd}); err != nil {
			unix.Close(epoll)
			return nil, fmt.Errorf("xsk: make idler: add to epoll: %w", err)
		}
	}
	_ = unix.SetNonblock(epoll, true) // so that os.NewFile hands it to the runtime's poller
	i := &idler{file: os.NewFile(uintptr(epoll), "idle sockets")}
	i.ready = func(fd uintptr) bool {
		n, err := unix.EpollWait(int(fd), i.events[:], 0)
		return n > 0 || err != nil && err != unix.EINTR
	}
	if i.conn, err = i.file.SyscallConn(); err != nil {
		i.file.Close()
		return nil, fmt.Errorf("xsk: make idler: %w", err)
	}
	return i, nil
}

// wait parks until something is ready or the time is over.
func (i *idler) wait(timeout time.Duration) error {
	if err := i.file.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("xsk: idle: %w", err)
	}
	if err := i.conn.Read(i.ready); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("xsk: idle: %w", err)
	}
	return nil
}

// Idle is Wait for a worker that has had nothing to do for long: it costs the
// process far less, and the first frame some microseconds more.
func (p *Poller) Idle(timeout time.Duration) (ready int, err error) {
	if p.pending() || timeout <= 0 {
		return p.Wait(timeout)
	}
	began := time.Now()
	if err := p.idler.wait(timeout); err != nil {
		return 0, err
	}
	ready, err = p.Wait(0)
	if left := timeout - time.Since(began); ready == 0 && !p.rung && left > time.Millisecond {
		return p.Wait(left) // a socket that has only an error to report, which Wait mutes
	}
	return ready, err
}
