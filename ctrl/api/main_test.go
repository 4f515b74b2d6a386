// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"flag"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a gateway with fixed answers.
type fake struct {
	status Status
	rules  RuleList
	apply  func(context.Context, Change) (Applied, error)
}

func (f *fake) Status() Status  { return f.status }
func (f *fake) Rules() RuleList { return f.rules }
func (f *fake) Apply(ctx context.Context, c Change) (Applied, error) {
	return f.apply(ctx, c)
}

// buffer is a log that several goroutines write.
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

// running is a server on a socket in a directory of its own.
type running struct {
	*Server
	dir string
	log *buffer
}

// start serves g until the end of the test; set changes the server before.
func start(t *testing.T, g Gateway, set ...func(*Server)) running {
	t.Helper()
	r := running{dir: filepath.Join(t.TempDir(), "run"), log: new(buffer)}
	r.Server = NewServer(g, slog.New(slog.NewJSONHandler(r.log, nil)))
	for _, f := range set {
		f(r.Server)
	}
	d, err := OpenRunDir(r.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := d.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- r.Serve(l) }()
	t.Cleanup(func() {
		r.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if err := d.Close(); err != nil {
			t.Errorf("close run directory: %v", err)
		}
	})
	return r
}

// dial connects to the server and closes the connection at the end.
func (r running) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", SocketPath(r.dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// within gives a context that ends long after anything here should have.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
