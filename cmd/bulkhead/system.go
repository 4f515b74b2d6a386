// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"bulkhead/dataplane"
)

// system is all that the command touches outside of itself.
type system struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	terminal       bool // stderr is one: log for a person
	now            func() time.Time

	// signals delivers SIGINT, SIGTERM and SIGHUP from its call on.
	signals func() <-chan os.Signal
	// drop gives up the privileges that a gateway does not need.
	drop func() error
	// open opens a gateway's data plane.
	open func(dataplane.Config, *slog.Logger) (engine, error)
}

// engine is the data plane of a running gateway; *dataplane.Gateway has the
// contracts. All methods are called concurrently.
type engine interface {
	Publish(dataplane.Policy) (dataplane.Published, error)
	Status() dataplane.Status
	Failed() <-chan error
	Close() error
}

func realSystem() *system {
	return &system{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())),
		now:      time.Now,
		signals:  signals,
		drop:     dataplane.DropPrivileges,
		open:     openEngine,
	}
}

// openEngine is dataplane.Open; a nil *Gateway must not become an engine.
func openEngine(c dataplane.Config, log *slog.Logger) (engine, error) {
	g, err := dataplane.Open(c, log)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// signals catches what ends or reloads the daemon, to the end of the process:
// a second Ctrl-C does not interrupt the cleaning up. A reader of our standard
// error that goes away does not end us.
func signals() <-chan os.Signal {
	signal.Ignore(unix.SIGPIPE)
	c := make(chan os.Signal, 16)
	signal.Notify(c, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	return c
}
