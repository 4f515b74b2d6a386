// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestChildRunsInTheNamespace(t *testing.T) {
	n := NSForTest(t, "n")
	out, err := n.Output(soon(t), "readlink", "/proc/self/ns/net")
	if err != nil || strings.TrimSpace(out) != inodeOf(n.Path()) {
		t.Errorf("child in %q, want %s: %v", out, inodeOf(n.Path()), err)
	}
	if out, err = n.Output(soon(t), "sh", "-c", "echo out; echo err >&2; exit 4"); err == nil ||
		out != "out\nerr\n" || !strings.Contains(err.Error(), "code 4") {
		t.Errorf("got %q %v, want both outputs and code 4", out, err)
	}
	if _, err := n.Output(brief(t), "sleep", "1000"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sleep: got %v, want deadline exceeded", err)
	}
	if _, err := n.Command("no-such-program"); err == nil {
		t.Error("a program that does not exist was started")
	}
}

func TestGatewayIsAwaitedAndStopped(t *testing.T) {
	n := NSForTest(t, "n")
	p, err := StartGateway(soon(t), n, os.Args[0], childPrefix+"ready")
	must(t, err)
	if p.ExitCode() != -1 || !running(p.Pid()) || !strings.Contains(p.Log(), "ready") {
		t.Errorf("code %d, log %q", p.ExitCode(), p.Log())
	}
	must(t, p.Signal(syscall.SIGSTOP))
	code, err := p.Stop(20 * time.Second) // continues it
	if err != nil || code != 3 || !strings.HasSuffix(p.Log(), "bye\n") {
		t.Errorf("code %d, log %q: %v", code, p.Log(), err)
	}
	if code, err := p.Stop(time.Second); err != nil || code != 3 {
		t.Errorf("stopped again: %d %v", code, err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v", err)
	}
	must(t, p.Kill())
}

func TestGatewayThatDoesNotStartShowsItsLog(t *testing.T) {
	n := NSForTest(t, "n")
	_, err := StartGateway(soon(t), n, os.Args[0], childPrefix+"broken")
	if err == nil || !strings.Contains(err.Error(), "code 7") || !strings.Contains(err.Error(), "no such port") {
		t.Errorf("got %v, want code 7 and the log", err)
	}
	_, err = StartGateway(brief(t), n, "sh", "-c", "echo hm; exec sleep 1000")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded", err)
	}
}

func TestStubbornChildIsKilledWithItsChildren(t *testing.T) {
	n := NSForTest(t, "n")
	p, err := StartGateway(soon(t), n, os.Args[0], childPrefix+"stubborn")
	must(t, err)
	if code, err := p.Stop(50 * time.Millisecond); err == nil || code != 128+9 || !strings.Contains(err.Error(), "did not end") {
		t.Errorf("code %d, %v", code, err)
	}
	p, err = n.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	must(t, err)
	line, err := p.WaitLine(soon(t), func(line string) bool { return line != "" })
	must(t, err)
	grandchild, err := strconv.Atoi(line)
	must(t, err)
	must(t, p.Kill())
	if code := p.ExitCode(); code != 128+9 {
		t.Errorf("code %d", code)
	}
	eventually(t, "the child's child ends", func() bool { return !running(grandchild) })
}

func TestWaitLineFindsWholeLinesOnly(t *testing.T) {
	n := NSForTest(t, "n")
	p, err := n.Command("sh", "-c", "printf 're'; printf 'ady\\nlast'")
	must(t, err)
	for _, want := range []string{"ready", "last"} {
		if _, err := p.WaitLine(soon(t), func(line string) bool { return line == want }); err != nil {
			t.Error(err)
		}
	}
	if line, err := p.WaitLine(soon(t), func(line string) bool { return line == "re" }); err == nil {
		t.Errorf("found %q", line)
	}
	must(t, p.Kill())
}

func TestLogIsBounded(t *testing.T) {
	l := processLog{changed: make(chan struct{})}
	for range 20 {
		if n, err := l.Write(make([]byte, 1<<20)); n != 1<<20 || err != nil {
			t.Fatal(n, err)
		}
	}
	if n := len(l.String()); n != logLimit {
		t.Errorf("%d bytes kept", n)
	}
}

func TestBuiltOnceAndRemoved(t *testing.T) {
	const pkg = "bulkhead/testenv/testdata/hello"
	bin, err := Build(soon(t), pkg)
	must(t, err)
	again, err := Build(soon(t), pkg)
	if err != nil || again != bin {
		t.Errorf("built again as %s: %v", again, err)
	}
	n := NSForTest(t, "n")
	p, err := StartGateway(soon(t), n, bin)
	must(t, err)
	if code, err := p.Stop(20 * time.Second); code != 0 || err != nil {
		t.Errorf("code %d: %v", code, err)
	}
	if _, err := Build(soon(t), "bulkhead/testenv/testdata/nothing"); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("got %v", err)
	}
	must(t, builds.remove())
	if _, err := os.Stat(bin); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s: %v", bin, err)
	}
}

// recorder is a TB that notes what a test would have come to.
type recorder struct {
	*testing.T
	failed  string
	cleanup []func()
}

func (r *recorder) Errorf(format string, _ ...any) { r.failed = format }
func (r *recorder) Cleanup(f func())               { r.cleanup = append(r.cleanup, f) }

func TestGatewayThatEndsByItselfFailsTheTest(t *testing.T) {
	n := NSForTest(t, "n")
	start := func() *Process {
		p, err := StartGateway(soon(t), n, os.Args[0], childPrefix+"ready")
		must(t, err)
		return p
	}
	for name, tc := range map[string]struct {
		end    func(p *Process) error
		failed bool
	}{
		"stopped by the test": {func(p *Process) error { _, err := p.Stop(time.Minute); return err }, false},
		"killed by the test":  {(*Process).Kill, false},
		"ends by itself":      {func(p *Process) error { return syscall.Kill(p.Pid(), syscall.SIGKILL) }, true},
		"ends with 3":         {func(*Process) error { return nil }, true},
	} {
		r := &recorder{T: t}
		p := start()
		stopForTest(r, p)
		must(t, tc.end(p))
		if name == "ends by itself" {
			<-p.Done()
		}
		for _, f := range r.cleanup {
			f()
		}
		if (r.failed != "") != tc.failed {
			t.Errorf("%s: the test failed with %q", name, r.failed)
		}
	}
}
