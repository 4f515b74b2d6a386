// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// endSignals are the signals that end a program in an orderly way.
var endSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}

// Run runs the body of a main program, and removes all that it made when it returns, panics or
// is told to end by a signal. The first SIGINT, SIGTERM or SIGHUP cancels the context; a second one
// does not wait for fn any more: it removes everything and exits with 130.
// Leftovers of dead runs are swept first. The error is fn's, or that of the removal.
func Run(ctx context.Context, fn func(context.Context) error) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer onSignals(func(n int, sig os.Signal) {
		if n == 1 {
			cancel(fmt.Errorf("ended by %v", sig))
			return
		}
		closeAndExit()
	})()
	defer func() { err = errors.Join(err, CloseAll()) }()
	if err := Sweep(); err != nil {
		return err
	}
	return fn(ctx)
}

// Main is for TestMain: os.Exit(testenv.Main(m.Run)). It sweeps the leftovers of dead runs, runs the tests,
// and removes what they left, also on a signal. If tests left something open, stderr says so, and the
// exit code is not 0.
func Main(run func() int) (code int) {
	defer onSignals(func(int, os.Signal) { closeAndExit() })()
	defer func() { _ = CloseAll() }()
	if err := Sweep(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		return 1
	}
	code = run()
	if err := builds.remove(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	if n := process.count(); n > 0 {
		fmt.Fprintf(os.Stderr, "testenv: the tests left %d things open (namespaces, mounts)\n", n)
		code = max(code, 1)
	}
	return code
}

// count is how many things the owner holds.
func (o *owner) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.things)
}

// onSignals calls handle with the number of signals so far and the latest one, until stopped.
func onSignals(handle func(n int, sig os.Signal)) (stop func()) {
	ch := make(chan os.Signal, 2)
	quit, gone := make(chan struct{}), make(chan struct{})
	signal.Notify(ch, endSignals...)
	go func() {
		defer close(gone)
		for n := 1; ; n++ {
			select {
			case sig := <-ch:
				handle(n, sig)
			case <-quit:
				return
			}
		}
	}()
	return func() {
		signal.Stop(ch)
		close(quit)
		<-gone
	}
}

func closeAndExit() {
	if err := CloseAll(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
	}
	os.Exit(130)
}
