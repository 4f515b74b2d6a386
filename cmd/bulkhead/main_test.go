// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"bulkhead/dataplane"
)

var update = flag.Bool("update", false, "write the golden files")

// leakless fails a run that leaves a goroutine behind.
type leakless struct{ *testing.M }

func (m leakless) Run() int {
	code := m.M.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func TestMain(m *testing.M) {
	testscript.Main(leakless{m}, map[string]func(){"bulkhead": main})
}

// TestScripts runs the whole command as people do, mistakes and all.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		UpdateScripts:       *update,
	})
}

// fakeEngine is a data plane without packets. Its wires are up unless told
// otherwise.
type fakeEngine struct {
	mu        sync.Mutex // guards all below
	status    dataplane.Status
	published []dataplane.Policy
	err       error  // of the next Publish
	onPublish func() // called while publishing
	closed    bool

	failed chan error
}

func newFakeEngine() *fakeEngine { return &fakeEngine{failed: make(chan error, 1)} }

// open takes the place of dataplane.Open.
func (e *fakeEngine) open(c dataplane.Config, _ *slog.Logger) (engine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status.Name = c.Name
	for _, w := range c.Wires {
		fail := "closed"
		if w.FailOpen {
			fail = "open"
		}
		e.status.Wires = append(e.status.Wires, dataplane.WireStatus{
			Name: w.Name, State: dataplane.Up, Fail: fail,
			A: dataplane.PortStatus{Port: w.A}, B: dataplane.PortStatus{Port: w.B},
		})
	}
	return e, nil
}

func (e *fakeEngine) Publish(p dataplane.Policy) (dataplane.Published, error) {
	e.mu.Lock()
	call := e.onPublish
	e.mu.Unlock()
	if call != nil {
		call()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err != nil {
		return dataplane.Published{}, e.err
	}
	e.published = append(e.published, p)
	e.status.Generation++
	e.status.Rules = len(p.Program.Rules)
	e.status.Hits = make([]uint64, len(p.Program.Rules))
	return dataplane.Published{Generation: e.status.Generation}, nil
}

func (e *fakeEngine) Status() dataplane.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	s.Wires = append([]dataplane.WireStatus(nil), s.Wires...)
	return s
}

func (e *fakeEngine) Failed() <-chan error { return e.failed }

func (e *fakeEngine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

// set changes the engine while it runs.
func (e *fakeEngine) set(f func(*fakeEngine)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(e)
}

// buffer is an output that several goroutines write and the test reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// fakeSystem is a system whose parts a test holds.
type fakeSystem struct {
	*system
	out, err buffer
	engine   *fakeEngine
	signal   chan os.Signal
}

func newFakeSystem() *fakeSystem {
	f := &fakeSystem{engine: newFakeEngine(), signal: make(chan os.Signal, 16)}
	f.system = &system{
		stdin: strings.NewReader(""), stdout: &f.out, stderr: &f.err,
		now:     time.Now,
		signals: func() <-chan os.Signal { return f.signal },
		drop:    func() error { return nil },
		open:    f.engine.open,
	}
	return f
}

// run runs one command in a system of its own, as the gateway's neighbours do.
func runCommand(args ...string) (code int, out, err string) {
	f := newFakeSystem()
	code = f.main(args)
	return code, f.out.String(), f.err.String()
}

// write makes a file in a directory.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits for something that other goroutines bring about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !ok() {
		if ctx.Err() != nil {
			t.Fatalf("in vain: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
