// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const ownNamespace = "/proc/thread-self/ns/net"

func TestDoRunsInsideAndTheCallerStaysOutside(t *testing.T) {
	home := inodeOf(ownNamespace)
	spaces := []*NS{NSForTest(t, "one"), NSForTest(t, "two")}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			n := spaces[i%2]
			var inside string
			err := n.Do(func() error {
				runtime.Gosched()
				inside = inodeOf(ownNamespace)
				return nil
			})
			if want := inodeOf(n.Path()); err != nil || inside != want || inside == home {
				t.Errorf("inside %s, want %s (home %s): %v", inside, want, home, err)
			}
			if after := inodeOf(ownNamespace); after != home {
				t.Errorf("after Do: in %s, want %s", after, home)
			}
		})
	}
	wg.Wait()
}

func TestDoPassesOnErrorPanicAndGoexit(t *testing.T) {
	n := NSForTest(t, "n")
	wrong := errors.New("wrong")
	if err := n.Do(func() error { return wrong }); !errors.Is(err, wrong) {
		t.Errorf("error: got %v, want %v", err, wrong)
	}
	func() {
		defer func() {
			if got := fmt.Sprint(recover()); !strings.Contains(got, "boom") || !strings.Contains(got, "netns_test.go") {
				t.Errorf("panic: got %q, want boom and where it was", got)
			}
		}()
		_ = n.Do(func() error { panic("boom") })
	}()
	ended := make(chan bool, 1)
	go func() {
		defer func() { ended <- recover() == nil }()
		_ = n.Do(func() error { runtime.Goexit(); return nil })
		panic("Do returned after Goexit")
	}()
	if !<-ended {
		t.Error("Goexit inside Do did not end the caller")
	}
}

func TestNamespaceStartsQuiet(t *testing.T) {
	n := NSForTest(t, "n")
	must(t, n.Do(func() error {
		for _, s := range quietHost {
			got, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/"))
			if errors.Is(err, os.ErrNotExist) && !s.always {
				continue
			}
			if err != nil || strings.TrimSpace(string(got)) != s.value {
				t.Errorf("%s: %q %v, want %s", s.name, got, err, s.value)
			}
		}
		return nil
	}))
	if err := n.Sysctl("net.no.such.thing", "1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("unknown sysctl: got %v, want not exist", err)
	}
	if outside, err := os.ReadFile("/proc/sys/net/ipv4/icmp_ratelimit"); err == nil && strings.TrimSpace(string(outside)) == "0" {
		t.Log("icmp_ratelimit is 0 outside as well: that it is the namespace's own is not shown here")
	}
}

func TestClosedNamespaceHoldsNothingAndTakesNothing(t *testing.T) {
	n := NSForTest(t, "n")
	inode := inodeOf(n.Path())
	server, err := n.ServeTCPEcho(7)
	must(t, err)
	_, err = n.ServeUDPEcho(7)
	must(t, err)
	_, err = n.ServeStream(80)
	must(t, err)
	raw, err := n.OpenRaw("lo")
	must(t, err)
	p, err := n.Start(childCommand("ready"))
	must(t, err)
	_, err = p.WaitLine(soon(t), func(line string) bool { return line == "ready" })
	must(t, err)

	must(t, n.Close())
	if code := p.ExitCode(); code != 3 {
		t.Errorf("the child ended with %d, want 3 (by SIGTERM)", code)
	}
	if _, err := raw.Recv(soon(t), nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("raw socket: got %v, want closed", err)
	}
	if users := usersOf(inode); users != nil {
		t.Errorf("the namespace is still used by %v", users)
	}
	must(t, server.Close())
	must(t, n.Close())
	if err := n.Do(func() error { return nil }); !errors.Is(err, errClosed) {
		t.Errorf("Do: got %v, want closed", err)
	}
	if _, err := n.Listen("tcp", ":1"); !errors.Is(err, errClosed) {
		t.Errorf("Listen: got %v, want closed", err)
	}
	if err := n.SetUp("lo", false); !errors.Is(err, errClosed) {
		t.Errorf("SetUp: got %v, want closed", err)
	}
}

// usersOf lists the descriptors, tasks and mounts of this machine that hold a namespace.
func usersOf(inode string) (users []string) {
	for _, pattern := range []string{"/proc/[0-9]*/fd/*", "/proc/[0-9]*/task/*/ns/net"} {
		paths, _ := filepath.Glob(pattern)
		for _, p := range paths {
			if target, err := os.Readlink(p); err == nil && target == inode {
				users = append(users, p)
			}
		}
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(mounts), inode) {
		users = append(users, "a mount")
	}
	return users
}

func TestNamedNamespaceIsSeenByNameUntilClosed(t *testing.T) {
	RequireForTest(t)
	n, err := NewNamed("named")
	must(t, err)
	path := filepath.Join(namesDir, n.Name())
	if inodeOf(path) != inodeOf(n.Path()) || !strings.HasPrefix(n.Name(), fmt.Sprintf("bh-%d-", os.Getpid())) {
		t.Errorf("name %q leads to %s, want %s", n.Name(), inodeOf(path), inodeOf(n.Path()))
	}
	must(t, n.Close())
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v, want not exist", path, err)
	}
}

func TestSweepRemovesOnlyWhatDeadRunsLeft(t *testing.T) {
	n := NSForTest(t, "n")
	dead := deadPid(t)
	leftNS, leftFile := fmt.Sprintf("bh-%d-1-left", dead), fmt.Sprintf("bh-%d-2-empty", dead)
	alive, foreign := uniqueName("alive"), fmt.Sprintf("bh-%d", dead)
	for _, name := range []string{leftNS, alive, foreign} {
		must(t, n.Do(func() error { return bindName(name) }))
	}
	must(t, os.WriteFile(filepath.Join(namesDir, leftFile), nil, 0o444))
	mount := filepath.Join(t.TempDir(), fmt.Sprintf("bh-%d-3-bpffs", dead))
	must(t, os.Mkdir(mount, 0o700))
	must(t, unix.Mount("bpf", mount, "bpf", 0, ""))
	build := filepath.Join(os.TempDir(), fmt.Sprintf("bh-%d-4-build123", dead))
	must(t, os.MkdirAll(filepath.Join(build, "x"), 0o700))

	must(t, Sweep())
	for _, gone := range []string{filepath.Join(namesDir, leftNS), filepath.Join(namesDir, leftFile), mount, build} {
		if _, err := os.Lstat(gone); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there (%v)", gone, err)
		}
	}
	for _, name := range []string{alive, foreign} {
		path := filepath.Join(namesDir, name)
		if inodeOf(path) != inodeOf(n.Path()) {
			t.Errorf("%s is gone", name)
		}
		must(t, unix.Unmount(path, unix.MNT_DETACH))
		must(t, os.Remove(path))
	}
}

// deadPid is the number of a process that has ended.
func deadPid(t *testing.T) int {
	cmd := childCommand("broken")
	_ = cmd.Run()
	pid := cmd.Process.Pid
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Fatalf("pid %d: %v, want no such process", pid, err)
	}
	return pid
}

func TestBPFFSIsPrivateAndGoesAway(t *testing.T) {
	var path string
	t.Run("mounted", func(t *testing.T) {
		path = BPFFSForTest(t)
		var st unix.Statfs_t
		must(t, unix.Statfs(path, &st))
		if st.Type != unix.BPF_FS_MAGIC {
			t.Errorf("%s has type %#x, want bpffs", path, st.Type)
		}
		must(t, os.Mkdir(filepath.Join(path, "pins"), 0o700))
	})
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there (%v)", path, err)
	}
}
