// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// pinPath is where the link of an interface is pinned. A bpffs refuses names
// with a dot (EPERM), so it is written as a colon, which no interface name has.
func pinPath(dir, name string) string {
	return filepath.Join(dir, "link:"+strings.ReplaceAll(name, ".", ":"))
}

// ErrPinsInUse is returned by LockPins when a gateway lives that has the lock.
var ErrPinsInUse = errors.New("another gateway of this name is running here")

// LockPins makes a directory for pins and locks it for this process, until the
// file is closed. The lock ends with the process, however that ends.
func LockPins(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for pins: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("open the directory of pins: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			err = ErrPinsInUse
		}
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return f, nil
}

// UnlockPins gives the lock back and removes the directory, if nothing is
// pinned there.
func UnlockPins(f *os.File) error {
	removeEmpty(f.Name())
	return f.Close()
}

// Sweep removes the links that a gateway of the same name left pinned when it
// died, and so detaches its programs. The caller has the lock, which says that
// no such gateway lives. A directory that is not there is no error.
func Sweep(dir string) (removed int, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for pinned links: %w", err)
	}
	for _, e := range entries {
		if err := sweepOne(filepath.Join(dir, e.Name())); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// removeEmpty removes a directory of pins and the one above it, that of all
// gateways, as far as nothing else is pinned there.
func removeEmpty(dir string) {
	if os.Remove(dir) == nil {
		_ = os.Remove(filepath.Dir(dir))
	}
}

// sweepOne removes one pin. What is not an XDP link is not ours: refused, and
// left as it was.
func sweepOne(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
	if err != nil {
		return fmt.Errorf("%s: not a link of ours: %w (look at it, and remove it if it is not needed)", path, err)
	}
	defer l.Close()
	info, err := l.Info()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if info.Type != link.XDPType {
		return fmt.Errorf("%s: not a link of ours: not an XDP link (look at it, and remove it if it is not needed)", path)
	}
	return l.Unpin()
}
