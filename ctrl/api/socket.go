// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxSocketPath is what struct sockaddr_un holds, without the final zero.
const maxSocketPath = 107

// Listen makes the control socket: 0660, of the run directory's group. The
// socket of a process that died is replaced, that of a live one is an error
// that names it. Closing the listener removes the socket.
//
// Clients can connect from here on, and wait until Serve is called.
func (d *RunDir) Listen() (net.Listener, error) {
	path := SocketPath(d.path)
	l, err := listen(path, d.gid)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return l, nil
}

// listen makes the socket at path.
func listen(path string, gid int) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path has %d bytes, a socket's has at most %d: choose a shorter run directory", len(path), maxSocketPath)
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode of the descriptor is the mode that bind(2) gives the file, less
	// the umask: at no moment may others connect.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return onFD(c, func(fd int) error { return unix.Fchmod(fd, 0o660) })
	}}
	l, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	s := &socket{UnixListener: l.(*net.UnixListener), path: path}
	s.SetUnlinkOnClose(false) // by its path it would remove another's too
	if err := s.own(gid); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// socket is a listener that removes its own file, and no other, when closed.
type socket struct {
	*net.UnixListener
	path string
	file fs.FileInfo // what path led to when it was made
}

// own remembers the file and gives it its group and mode.
func (s *socket) own(gid int) (err error) {
	if gid >= 0 {
		if err := os.Lchown(s.path, -1, gid); err != nil {
			return err
		}
	}
	if err := os.Chmod(s.path, 0o660); err != nil { // the umask may have taken the group's
		return err
	}
	s.file, err = os.Lstat(s.path)
	return err
}

// Close closes the listener and removes its file.
func (s *socket) Close() error {
	there, err := os.Lstat(s.path)
	if err == nil && (s.file == nil || os.SameFile(s.file, there)) {
		os.Remove(s.path)
	}
	return s.UnixListener.Close()
}

// removeStale removes a socket on which nobody listens. The lock says already
// that no gateway owns the directory; this is about other programs, and about
// files that are none of ours.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("something is there that is not a socket: move it away")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	case err != nil: // it listens, but does not accept
		return fmt.Errorf("a process listens there: stop it, or choose another run directory: %w", err)
	}
	defer c.Close()
	// To who connects, the peer is the process that called listen(2).
	p, err := peerOf(c.(*net.UnixConn))
	if err != nil {
		return err
	}
	return fmt.Errorf("the process with pid %d listens there: stop it, or choose another run directory", p.PID)
}

// peerOf asks the kernel who is at the other end.
func peerOf(c *net.UnixConn) (p Peer, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	err = onFD(raw, func(fd int) error {
		cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			p = Peer{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid}
		}
		return err
	})
	if err != nil {
		return Peer{}, fmt.Errorf("peer credentials: %w", err)
	}
	return p, nil
}

// onFD calls f with the descriptor of c.
func onFD(c syscall.RawConn, f func(fd int) error) error {
	var err error
	if cerr := c.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}
