// SPDX-License-Identifier: Apache-2.0

// Command demo shows a gateway at work: three tiers on the two sides of a wire, real traffic between them, what of
// it passes and by which rule, a change of the policy under traffic, and the counters that say why.
//
//	go run ./testenv/demo [--bulkhead BINARY]
//
// It makes its network namespaces itself, changes nothing outside of them, and removes all of it at the end, also
// after Ctrl-C. It needs root. It exits with 0 if everything was as it should be, 1 if not, 2 if it was
// called wrongly, 130 if a signal ended it.
//
// The files in the order of the story: topology.go the hosts; policies.go and policies/ who may reach whom;
// gateway.go starts and stops the gateway; traffic.go, judged.go what is tried and which rule decides; reload.go,
// stream.go the change under traffic; why.go the counters; report.go how it is shown.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/ctrl/policy"
	"bulkhead/testenv"
)

// limit ends a demo that hangs. Without an answer to wait for, it takes some five seconds.
const limit = 50 * time.Second

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the command: it returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	binary := flags.String("bulkhead", "", "the gateway's `binary`; without it, the demo builds one")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "demo: %q: it takes no arguments beside --bulkhead\n", flags.Arg(0))
		return 2
	}
	if err := testenv.Privileged(); err != nil {
		fmt.Fprintf(stderr, "demo: %v\nIt makes network namespaces and runs a gateway in one of them: try sudo make demo\n", err)
		return 1
	}
	d := &demo{report: newReport(stdout), binary: *binary, begin: time.Now()}
	return d.run(stderr)
}

// demo is one showing. One goroutine uses it.
type demo struct {
	*report
	binary string
	begin  time.Time

	dir     string         // temporary
	runDir  string         // in it: the gateway's
	bpffs   string         // in it: for the gateway's pins
	policy  *policy.Policy // the one that the gateway starts with
	lab     *testenv.Lab
	servers map[place]*testenv.Server

	filesBefore []string // in runDir and bpffs, before the gateway
	gateway     *testenv.Process
	client      *api.Client

	starvedBefore uint64 // see starved: before the streams
}

// run shows everything, cleans up whatever happens, looks that nothing is left, and returns the exit code.
func (d *demo) run(stderr io.Writer) int {
	// A reader that goes away (demo | head) makes writing fail, instead of ending the demo without cleaning up.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	before, err := testenv.Belongings()
	interrupted := false
	if err == nil {
		err = testenv.Run(context.Background(), func(ctx context.Context) error {
			err := d.show(ctx)
			if interrupted = ctx.Err() != nil; interrupted {
				return context.Cause(ctx) // whatever it was that did not go on
			}
			return err
		})
	}
	if err != nil {
		fmt.Fprintf(stderr, "\ndemo: %v\n", err)
	}
	if left := d.nothingLeft(before); left != nil {
		fmt.Fprintf(stderr, "demo: %v\n", left)
		err = left
	}
	switch {
	case interrupted:
		return 130
	case err != nil:
		return 1
	}
	return d.summary()
}

// show is the story, chapter by chapter. The error is about what could not be shown; what was shown and is not as it
// should be is in the report.
func (d *demo) show(ctx context.Context) (err error) {
	if err := d.findBinary(ctx); err != nil {
		return err
	}
	d.begin = time.Now() // without the building
	d.print(d.paint(bold, "bulkhead: a gateway in the cable between two segments; three tiers, and who may reach whom"))
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %v", limit))
	defer cancel()
	defer func() { err = d.withLog(err) }()
	for _, chapter := range []func(context.Context) error{
		d.prepare, d.buildLab, d.startGateway, d.showPolicy, d.sendTraffic, d.changePolicy, d.showWhy, d.stopGateway,
	} {
		if err := errors.Join(chapter(ctx), d.report.err, context.Cause(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// findBinary sees that there is a gateway to run, and builds it if none was named.
func (d *demo) findBinary(ctx context.Context) (err error) {
	if d.binary == "" {
		d.say("Building bulkhead ...")
		d.binary, err = testenv.BuildGateway(ctx)
		return err
	}
	if d.binary, err = filepath.Abs(d.binary); err != nil {
		return err
	}
	switch info, err := os.Stat(d.binary); {
	case err != nil:
		return fmt.Errorf("--bulkhead: %w: build it with make build, or leave the flag out and the demo builds one", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("--bulkhead: %s is no program", d.binary)
	}
	return nil
}

// prepare makes the folders and writes the first policy.
func (d *demo) prepare(context.Context) (err error) {
	if d.dir, err = testenv.TempDir("demo"); err != nil {
		return err
	}
	d.runDir = filepath.Join(d.dir, "run")
	if d.bpffs, _, err = testenv.MountBPFFS(d.dir); err != nil {
		return err
	}
	if d.policy, err = policy.Parse(firstPolicy, text(firstPolicy), policy.Options{Wires: wires}); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(d.dir, firstPolicy), text(firstPolicy), 0o600)
}

// withLog adds the end of the gateway's log to an error: it may say why.
func (d *demo) withLog(err error) error {
	if err == nil || d.gateway == nil {
		return err
	}
	select {
	case <-d.gateway.Done():
		return fmt.Errorf("%w\nthe gateway has ended with code %d; its log:\n%s", err, d.gateway.ExitCode(), d.gateway.Log())
	default:
		return err
	}
}
