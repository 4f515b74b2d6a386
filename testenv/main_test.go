// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain also proves that no goroutine is left when all tests are through.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && strings.HasPrefix(os.Args[1], childPrefix) {
		os.Exit(child(strings.TrimPrefix(os.Args[1], childPrefix)))
	}
	os.Exit(Main(func() int {
		ours := goleak.IgnoreCurrent() // the one of Main
		code := m.Run()
		if err := goleak.Find(ours); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
		return code
	}))
}

// childPrefix marks the argument with which this test binary plays another program.
const childPrefix = "child:"

// childCommand is this test binary in one of the roles of child.
func childCommand(role string) *exec.Cmd { return exec.Command(os.Args[0], childPrefix+role) }

// child is what tests start as another process. Each role says on stderr what it has made.
func child(role string) int {
	signal.Notify(usr1, syscall.SIGUSR1)
	switch role {
	case "ready": // a well-behaved gateway
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		fmt.Fprintln(os.Stderr, "not yet ready\nready")
		<-ctx.Done()
		fmt.Fprintln(os.Stderr, "bye")
		return 3
	case "broken":
		fmt.Fprintln(os.Stderr, "no such port")
		return 7
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Fprintln(os.Stderr, "ready")
		select {}
	case "hold": // a lab with a process in it, until killed
		return childLab(New, func(context.Context) error { select {} })
	case "until-signal": // a main program
		return childLab(NewNamed, func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
	case "deaf": // one that does not heed the first signal
		return childLab(NewNamed, func(context.Context) error { select {} })
	case "panics":
		return childLab(NewNamed, func(context.Context) error {
			onUSR1()
			panic("on purpose")
		})
	case "test": // a test binary
		return Main(func() int {
			return childWork(NewNamed, func(context.Context) error { select {} })(context.Background())
		})
	case "forgets":
		return Main(func() int {
			return childWork(New, func(context.Context) error { onUSR1(); return nil })(context.Background())
		})
	}
	return 99
}

// usr1 is caught from the start, so that it never ends a child.
var usr1 = make(chan os.Signal, 1)

func onUSR1() { <-usr1 }

func childLab(make func(string) (*NS, error), rest func(context.Context) error) int {
	code := 0
	err := Run(context.Background(), func(ctx context.Context) error {
		code = childWork(make, rest)(ctx)
		return nil
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// childWork makes a namespace with a process in it, says so, and does the rest.
func childWork(make func(string) (*NS, error), rest func(context.Context) error) func(context.Context) int {
	return func(ctx context.Context) int {
		n, err := make("child")
		var p *Process
		if err == nil {
			p, err = n.Start(childCommand("ready"))
		}
		if err == nil {
			_, err = p.WaitLine(ctx, func(line string) bool { return line == "ready" })
		}
		if err == nil {
			fmt.Fprintf(os.Stderr, "made %s %s %d\n", inodeOf(n.Path()), or(n.Name(), "-"), p.Pid())
			err = rest(ctx)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			fmt.Fprintln(os.Stderr, err)
			return 5
		}
		return 0
	}
}

// soon is the limit of what must happen at once; a machine under load may need a part of it.
func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// brief is the limit of what must not happen.
func brief(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx := soon(t)
	for !condition() {
		if pause(ctx, time.Millisecond) != nil {
			t.Fatalf("never: %s", what)
		}
	}
}

// inodeOf names the namespace that a path leads to, as in net:[4026531840].
func inodeOf(path string) string {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("net:[%d]", st.Ino)
}
