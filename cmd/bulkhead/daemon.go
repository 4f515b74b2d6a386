// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane"
)

const (
	readyEvery = 50 * time.Millisecond // how often a starting gateway is asked whether its wires forward
	stopWithin = 10 * time.Second      // how long stopping may take before the process ends without
)

// daemon is the life of `bulkhead run`. Its steps, in their order:
//
//  1. plan and policy are read; a mistake in them ends it before anything is touched
//  2. the run directory is taken (lock), and the control socket made in it
//  3. privileges are dropped: from here on it could not make those two
//  4. the engine opens: ports attached, queues bound, nothing passes
//  5. the policy is published
//  6. the control socket is served
//  7. `ready`, when both ports of all wires forward
//
// and backwards at the end: whoever asks is turned away before the gateway
// goes.
type daemon struct {
	*system
	plan *plan
	log  *slog.Logger

	gateway *gateway
	closers []func() error // what is to be undone, in the order of doing
	reloads sync.WaitGroup // policies being read again
	stop    context.CancelFunc
}

// run runs a gateway until a signal ends it.
func (s *system) run(p *plan, level string) error {
	stderr := &lines{w: s.stderr}
	d := &daemon{system: s, plan: p, log: newLog(stderr, s.terminal, level)}
	// The last mistake in a file shows here: nothing has been touched yet.
	policy, err := readPolicy(p.policy, p.wires())
	if err != nil {
		return err
	}
	signals := s.signals() // before anything that a signal would leave behind
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	served, err := d.start(policy)
	if err == nil {
		err = d.wait(ctx, stderr, signals, served)
	}
	return errors.Join(err, d.end())
}

// start does the steps from the run directory to the control socket, whose end
// it sends on served.
func (d *daemon) start(policy *loaded) (served <-chan error, err error) {
	dir, err := api.OpenRunDir(d.plan.runDir, d.plan.group)
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, dir.Close)
	l, err := dir.Listen()
	if err != nil {
		return nil, err
	}
	d.closers = append(d.closers, func() error { return ignoreClosed(l.Close()) })
	if err := d.drop(); err != nil {
		return nil, fmt.Errorf("drop privileges: %w", err)
	}
	if err := d.openEngine(); err != nil {
		return nil, err
	}
	applied, err := d.gateway.publish(policy, d.plan.policy, d.now())
	if err != nil {
		return nil, err
	}
	d.log.Info("policy in force", "file", d.plan.policy, "answer", applied)
	return d.serve(l), nil
}

// openEngine opens the data plane. When it returns, frames reach us and none
// passes: there is no policy yet.
func (d *daemon) openEngine() error {
	if err := d.checkBPFFS(); err != nil {
		return err
	}
	e, err := d.open(d.plan.engine, d.log)
	if err != nil {
		return err
	}
	d.closers = append(d.closers, e.Close)
	d.gateway = newGateway(e, d.plan, d.now)
	return nil
}

// serve serves the control socket. Whoever connected since it was made is
// answered now. At the end the server goes first, then reloads are waited for,
// and only then may the engine close.
func (d *daemon) serve(l net.Listener) <-chan error {
	server := api.NewServer(d.gateway, d.log)
	served := make(chan error, 1)
	d.closers = append(d.closers,
		func() error { d.reloads.Wait(); return nil },
		func() error { server.Close(); return nil })
	go func() { served <- server.Serve(l) }()
	return served
}

// wait says when the wires forward, reloads when told, and returns when the
// gateway is to end: nil after a signal, or what broke.
func (d *daemon) wait(ctx context.Context, stderr io.Writer, signals <-chan os.Signal, served <-chan error) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		select {
		case s := <-signals:
			if s != unix.SIGHUP {
				d.log.Info("stopping", "signal", s.String())
				return nil
			}
			// Not here: a publication that hangs must not keep a signal from us.
			d.reloads.Go(func() { d.reload(ctx) })
		case err := <-d.gateway.engine.Failed():
			return fmt.Errorf("the gateway has failed: %w", err)
		case err := <-served:
			return fmt.Errorf("control socket: %w", err)
		case <-tick.C:
			if d.forwarding() {
				fmt.Fprintln(stderr, "ready")
				tick.Stop()
			}
		}
	}
}

// forwarding tells whether both ports of all wires forward. A degraded wire
// does; what ails it is in the log and in the status.
func (d *daemon) forwarding() bool {
	for _, w := range d.gateway.engine.Status().Wires {
		if w.State == dataplane.Down {
			return false
		}
	}
	return true
}

// reload reads the gateway's policy file again. A bad one changes nothing.
func (d *daemon) reload(ctx context.Context) {
	log := d.log.With("file", d.plan.policy)
	text, err := readText(d.plan.policy)
	if err == nil {
		var applied api.Applied
		applied, err = d.gateway.Apply(ctx, api.Change{File: d.plan.policy, Text: text})
		if err == nil {
			log.Info("policy reloaded", "answer", applied)
			return
		}
	}
	var problems api.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			log.Error("policy not reloaded, the one in force stays", "cause", p.String())
		}
		return
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: a running gateway has not root's privileges: make the file readable, or use 'bulkhead apply'", err)
	}
	log.Error("policy not reloaded, the one in force stays", "cause", err)
}

// end undoes what start did, backwards. What hangs is left behind, and said.
func (d *daemon) end() error {
	d.stop() // reloads that have not begun
	done := make(chan error, 1)
	go func() {
		var errs []error
		for i := len(d.closers) - 1; i >= 0; i-- {
			errs = append(errs, d.closers[i]())
		}
		done <- errors.Join(errs...)
	}()
	limit := time.NewTimer(stopWithin)
	defer limit.Stop()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		return nil
	case <-limit.C:
		return fmt.Errorf("stop: not done within %v: programs may still be attached ('ip link' shows them); the next start clears them", stopWithin)
	}
}

// The listener is closed twice at the end, by its server and by us, since there
// may have been no server yet.

// ignoreClosed drops the error of closing a listener that its server closed.
func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
