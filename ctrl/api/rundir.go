// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// A run directory, with its default name, looks like this while a gateway runs:
//
//	/run/bulkhead                  0750 root:GROUP
//	/run/bulkhead/bulkhead.lock    0640, locked (flock) by the gateway, holds its PID
//	/run/bulkhead/bulkhead.sock    0660 root:GROUP
//
// The lock, not the socket, decides who owns the directory: it goes with the
// process, while a socket's file stays behind when the process is killed.

// The names in a run directory.
const (
	socketName = "bulkhead.sock"
	lockName   = "bulkhead.lock"
)

// SocketPath gives the path of the control socket in a run directory.
func SocketPath(dir string) string { return filepath.Join(dir, socketName) }

// RunDir is the directory of one running gateway: its lock and its control
// socket. It is not safe for concurrent use.
type RunDir struct {
	path string
	gid  int      // of the group that may use the socket; -1: the process's own
	lock *os.File // held while the gateway runs
	made []string // directories that were not there before, outermost first
}

// OpenRunDir takes a run directory for this process. What is missing of the
// path is made (0750 at its end, with the group if one is named) and removed
// again by Close. A directory that others could write to is refused, and so is
// one whose gateway lives.
func OpenRunDir(path, group string) (*RunDir, error) {
	gid, err := lookupGroup(group)
	if err != nil {
		return nil, fmt.Errorf("run directory %s: %w", path, err)
	}
	d := &RunDir{path: path, gid: gid}
	err = d.open()
	switch {
	case err == nil:
		return d, nil
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w: run bulkhead as root, or choose another run directory", err)
	}
	return nil, errors.Join(fmt.Errorf("run directory %s: %w", path, err), d.Close())
}

// open does what OpenRunDir says; what it has done is in d, also on an error.
func (d *RunDir) open() error {
	if err := d.makeAll(d.path); err != nil {
		return err
	}
	if len(d.made) > 0 {
		if err := d.own(); err != nil {
			return err
		}
	}
	if err := d.check(); err != nil {
		return err
	}
	return d.takeLock()
}

// makeAll makes what is missing of path and remembers what it made.
func (d *RunDir) makeAll(path string) error {
	if parent := filepath.Dir(path); parent != path {
		if _, err := os.Stat(parent); errors.Is(err, fs.ErrNotExist) {
			if err := d.makeAll(parent); err != nil {
				return err
			}
		}
	}
	err := os.Mkdir(path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		d.made = append(d.made, path)
	}
	return err
}

// own gives a directory that we made its group and its mode. A directory that
// was there before keeps both: it may be /run itself, named by mistake.
func (d *RunDir) own() error {
	if d.gid >= 0 {
		if err := os.Chown(d.path, -1, d.gid); err != nil {
			return err
		}
	}
	return os.Chmod(d.path, 0o750)
}

// check refuses a directory in which others could put a socket of their own in
// the place of ours, and one that the socket's group cannot enter.
func (d *RunDir) check() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return errors.New("not a directory")
	}
	// Who owns a directory can rename what is in it, whoever made that.
	owner, mode := info.Sys().(*syscall.Stat_t), info.Mode()
	if owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("it belongs to uid %d: choose one that belongs to root or to uid %d", owner.Uid, os.Geteuid())
	}
	if mode&0o022 != 0 {
		return fmt.Errorf("others can write to it (mode %v): choose one of its own, or chmod go-w %s", mode, d.path)
	}
	if d.gid >= 0 && mode&0o001 == 0 && (int(owner.Gid) != d.gid || mode&0o010 == 0) {
		return fmt.Errorf("group %d cannot enter it (mode %v, group %d): chgrp %d %s && chmod 0750 %s",
			d.gid, mode, owner.Gid, d.gid, d.path, d.path)
	}
	return nil
}

// takeLock locks the lock file, or says whose it is. The lock goes with the
// process, whatever becomes of the file.
func (d *RunDir) takeLock() error {
	path := filepath.Join(d.path, lockName)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o640)
		if err != nil {
			return err
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			return lockError(f, err)
		}
		if !isFile(f, path) { // the one before removed it between our open and our lock
			f.Close()
			continue
		}
		d.lock = f
		if err := f.Truncate(0); err != nil {
			return err
		}
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		return err
	}
}

// lockError closes the lock file and says who holds it.
func lockError(f *os.File, err error) error {
	defer f.Close()
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("lock: %w", err)
	}
	// The owner may be between taking the lock and writing its number.
	line, _ := io.ReadAll(io.LimitReader(f, 20))
	owner := "another bulkhead"
	if pid, err := strconv.Atoi(string(bytes.TrimSpace(line))); err == nil {
		owner = fmt.Sprintf("bulkhead with pid %d", pid)
	}
	return fmt.Errorf("%s runs in it: stop that one, or give this one a run directory of its own", owner)
}

// isFile tells whether path still leads to f.
func isFile(f *os.File, path string) bool {
	ours, err1 := f.Stat()
	there, err2 := os.Lstat(path)
	return err1 == nil && err2 == nil && os.SameFile(ours, there)
}

// Close gives up the lock and removes what OpenRunDir made, except directories
// into which somebody else has put files, and those whose parents a process
// that has dropped its privileges can no longer change. The listener is to be
// closed before.
func (d *RunDir) Close() error {
	var errs []error
	// The file goes before its lock: who opens it in between finds out by isFile.
	if d.lock != nil {
		errs = append(errs, os.Remove(d.lock.Name()), d.lock.Close())
		d.lock = nil
	}
	for i := len(d.made) - 1; i >= 0; i-- {
		if err := os.Remove(d.made[i]); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EACCES) {
			errs = append(errs, err)
		}
	}
	d.made = nil
	return errors.Join(errs...)
}

// lookupGroup gives the number of a group that is named or numbered; -1: none.
func lookupGroup(group string) (int, error) {
	if group == "" {
		return -1, nil
	}
	if gid, err := strconv.ParseUint(group, 10, 31); err == nil {
		return int(gid), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("no group %q on this machine: make it (groupadd), or name another", group)
	}
	return strconv.Atoi(g.Gid)
}
