// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// open takes a run directory until the end of the test.
func open(t *testing.T, path, group string) *RunDir {
	t.Helper()
	d, err := OpenRunDir(path, group)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func TestSocketAndDirectoryAreClosedToOthers(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077)) // the strictest must not lock the group out
	path := filepath.Join(t.TempDir(), "deep", "run")
	d := open(t, path, fmt.Sprint(os.Getgid()))
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for file, want := range map[string]fs.FileMode{path: fs.ModeDir | 0o750, SocketPath(path): fs.ModeSocket | 0o660} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%s has mode %v, want %v", file, info.Mode(), want)
		}
	}
}

func TestGroupOwnsDirectoryAndSocket(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: gives files to another group")
	}
	path := filepath.Join(t.TempDir(), "run")
	d := open(t, path, "12345")
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, file := range []string{path, SocketPath(path)} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if gid := info.Sys().(*syscall.Stat_t).Gid; gid != 12345 {
			t.Errorf("%s has group %d", file, gid)
		}
	}
}

func TestNothingIsLeftBehind(t *testing.T) {
	top := t.TempDir()
	path := filepath.Join(top, "deep", "run")
	d := open(t, path, "")
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(top); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestDirectoryOfOthersIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	d := open(t, path, "")
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory is now %v, %v", info, err)
	}
}

func TestUnfitDirectoriesAreRefusedWithTheCure(t *testing.T) {
	top := t.TempDir()
	mk := func(name string, mode fs.FileMode) string {
		path := filepath.Join(top, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := filepath.Join(top, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, path, group, want string }{
		{"writable by all", mk("w", 0o777|fs.ModeSticky), "", "chmod go-w"},
		{"writable by its group", mk("g", 0o770), "", "chmod go-w"},
		{"group cannot enter", mk("e", 0o700), "54321", "chgrp 54321"},
		{"a file", file, "", "not a directory"},
		{"below a file", filepath.Join(file, "run"), "", "not a directory"},
		{"unknown group", filepath.Join(top, "u"), "no-such-group", "groupadd"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := OpenRunDir(c.path, c.group)
			if err == nil {
				d.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("error is %q, want it to name the directory and %q", err, c.want)
			}
		})
	}
}

func TestSecondInstanceIsRefusedWithTheFirstsPID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	first := open(t, path, "")
	_, err := OpenRunDir(path, "")
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Fatalf("second instance: %v", err)
	}
	if _, err := os.Stat(filepath.Join(path, lockName)); err != nil {
		t.Errorf("the refused instance took the lock file away: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, "")
}

func TestLockFileOfADeadProcessIsTaken(t *testing.T) {
	path := t.TempDir()
	os.Chmod(path, 0o700)
	if err := os.WriteFile(filepath.Join(path, lockName), []byte("999999\nold\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	open(t, path, "")
	got, err := os.ReadFile(filepath.Join(path, lockName))
	if want := fmt.Sprintln(os.Getpid()); err != nil || string(got) != want {
		t.Errorf("lock file says %q, want %q", got, want)
	}
}

func TestStaleSocketIsReplaced(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"), "")
	old, err := net.Listen("unix", SocketPath(d.path))
	if err != nil {
		t.Fatal(err)
	}
	old.(*net.UnixListener).SetUnlinkOnClose(false)
	old.Close()
	l, err := d.Listen()
	if err != nil {
		t.Fatalf("a dead process's socket is in the way: %v", err)
	}
	l.Close()
}

func TestLiveSocketIsNotTaken(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"), "")
	live, err := net.Listen("unix", SocketPath(d.path))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if _, err := d.Listen(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("a live socket: %v", err)
	}
	if c, err := net.Dial("unix", SocketPath(d.path)); err != nil {
		t.Errorf("the live socket was disturbed: %v", err)
	} else {
		c.Close()
	}
}

func TestWhatIsNoSocketIsNotRemoved(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"), "")
	if err := os.WriteFile(SocketPath(d.path), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Listen(); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("a file in the socket's place: %v", err)
	}
	if got, _ := os.ReadFile(SocketPath(d.path)); string(got) != "mine" {
		t.Error("the file was touched")
	}
}

func TestCloseRemovesOnlyItsOwnSocket(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), "run"), "")
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(SocketPath(d.path), SocketPath(d.path)+".away"); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", SocketPath(d.path))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	l.Close()
	if _, err := os.Lstat(SocketPath(d.path)); err != nil {
		t.Errorf("another's socket was removed: %v", err)
	}
}

func TestLongPathIsRefusedWithTheLimit(t *testing.T) {
	d := open(t, filepath.Join(t.TempDir(), strings.Repeat("x", 120)), "")
	if _, err := d.Listen(); err == nil || !strings.Contains(err.Error(), "107") {
		t.Errorf("a path of %d bytes: %v", len(SocketPath(d.path)), err)
	}
}

func TestWhoMayConnectAndWhoTheKernelSaysItIs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: connects as other users")
	}
	top, err := os.MkdirTemp("", "bulkhead-api-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(top)
	if err := os.Chmod(top, 0o755); err != nil { // the run directory alone decides
		t.Fatal(err)
	}
	d := open(t, filepath.Join(top, "run"), "54321")
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	clients := &conns{Listener: l, max: 2}
	defer clients.Close()
	for _, c := range []struct {
		name     string
		uid, gid int
		want     error
	}{
		{"root", 0, 0, nil},
		{"member of the group", 65534, 54321, nil},
		{"stranger", 65534, 65533, unix.EACCES},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := connectAs(c.uid, c.gid, SocketPath(d.path)); err != c.want {
				t.Fatalf("connect: %v, want %v", err, c.want)
			}
			if c.want != nil {
				return
			}
			got, err := clients.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			want := Peer{UID: uint32(c.uid), GID: uint32(c.gid), PID: int32(os.Getpid())}
			if p := got.(*conn).peer; p != want {
				t.Errorf("the peer is %v, want %v", p, want)
			}
		})
	}
}

// connectAs connects with other credentials and closes again. They are those
// of a thread, which ends with the goroutine that it is locked to.
func connectAs(uid, gid int, path string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		unix.RawSyscall(unix.SYS_SETGROUPS, 0, 0, 0)
		unix.RawSyscall(unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
		unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
			unix.Close(fd)
		}
		result <- err
	}()
	return <-result
}
