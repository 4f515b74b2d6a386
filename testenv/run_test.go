// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNothingIsLeftWhateverHappens(t *testing.T) {
	for _, tc := range []struct {
		role    string
		signals []syscall.Signal
		code    int
		says    string
	}{
		{"hold", []syscall.Signal{syscall.SIGKILL}, 128 + 9, ""},
		{"until-signal", []syscall.Signal{syscall.SIGINT}, 5, "ended by interrupt"},
		{"until-signal", []syscall.Signal{syscall.SIGTERM}, 5, "ended by terminated"},
		{"deaf", []syscall.Signal{syscall.SIGTERM, syscall.SIGINT}, 130, ""},
		{"panics", []syscall.Signal{syscall.SIGUSR1}, 2, "on purpose"},
		{"test", []syscall.Signal{syscall.SIGTERM}, 130, ""},
		{"forgets", []syscall.Signal{syscall.SIGUSR1}, 1, "left 1 things open"},
	} {
		t.Run(fmt.Sprint(tc.role, tc.signals), func(t *testing.T) {
			n := NSForTest(t, "n")
			p, err := n.Start(childCommand(tc.role))
			must(t, err)
			inode, name, pid := made(t, p)
			for _, sig := range tc.signals {
				must(t, p.Signal(sig))
			}
			code, err := p.Wait(soon(t))
			if err != nil || code != tc.code || !strings.Contains(p.Log(), tc.says) {
				t.Errorf("ended with %d, want %d and %q: %v\n%s", code, tc.code, tc.says, err, p.Log())
			}
			if _, err := os.Lstat(filepath.Join(namesDir, name)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the name %s is still there", name)
			}
			eventually(t, "the child's child ends", func() bool { return !running(pid) })
			eventually(t, "the namespace has no users", func() bool { return usersOf(inode) == nil })
		})
	}
}

// made waits until a child has said what it made: a namespace, its name, and a process in it.
func made(t *testing.T, p *Process) (inode, name string, pid int) {
	t.Helper()
	line, err := p.WaitLine(soon(t), func(line string) bool { return strings.HasPrefix(line, "made ") })
	must(t, err)
	if _, err := fmt.Sscanf(line, "made %s %s %d", &inode, &name, &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	if usersOf(inode) == nil || !running(pid) {
		t.Fatalf("%q: no such namespace or process", line)
	}
	return inode, name, pid
}

// running tells whether a process exists and is not a zombie that waits for its heir.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(after, "Z")
}

func TestOwnerClosesTheNewestFirstAndOnce(t *testing.T) {
	var o owner
	var closed []int
	var closers []func() error
	for i := range 4 {
		c, err := o.own(func() error {
			closed = append(closed, i)
			return nil
		})
		must(t, err)
		closers = append(closers, c)
	}
	must(t, closers[1]())
	must(t, o.closeAll())
	must(t, closers[2]())
	if got := fmt.Sprint(closed); got != "[1 3 2 0]" {
		t.Errorf("closed in the order %s", got)
	}
	late := false
	_, err := o.own(func() error { late = true; return nil })
	if !late || !errors.Is(err, errOwnerClosed) {
		t.Errorf("a closed owner: closed what came late: %v, error %v", late, err)
	}
}

func TestClosingTwiceAtOnceWaits(t *testing.T) {
	var o owner
	begun, finish := make(chan bool), make(chan bool)
	closed := false
	_, err := o.own(func() error {
		close(begun)
		<-finish
		closed = true
		return nil
	})
	must(t, err)
	go func() { _ = o.closeAll() }()
	<-begun
	close(finish)
	must(t, o.closeAll())
	if !closed {
		t.Error("the second caller did not wait for the first")
	}
}

func TestRunSaysWhatWentWrong(t *testing.T) {
	wrong := errors.New("wrong")
	if err := Run(context.Background(), func(context.Context) error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("got %v", err)
	}
}
