// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

// readyLine is what the gateway prints alone on a line of stderr when all its ports forward.
const readyLine = "ready"

// StartGateway starts the gateway's binary inside the namespace and waits until it says that it is ready. The
// context bounds only the waiting; on an error the child has been ended, and the error has its exit code or
// the end of its log.
func StartGateway(ctx context.Context, n *NS, binary string, args ...string) (*Process, error) {
	p, err := n.Command(binary, args...)
	if err != nil {
		return nil, wrap("gateway", err)
	}
	if _, err := p.WaitLine(ctx, func(line string) bool { return line == readyLine }); err != nil {
		_, stopErr := p.Stop(closeLimit)
		return nil, errors.Join(wrap("gateway: wait for the line "+readyLine, err), stopErr)
	}
	return p, nil
}

// builds are the binaries that this process has built, in a folder that is removed at its end.
var builds buildDir

type buildDir struct {
	mu     sync.Mutex
	dir    string            // guarded by mu; empty: none yet
	done   map[string]string // guarded by mu: package to binary
	forget func() error      // guarded by mu: removes the folder
}

// BuildGateway builds the bulkhead command as it is shipped, without cgo, once for each process, and returns
// the binary's path. It needs the go command, and to run somewhere inside the module.
func BuildGateway(ctx context.Context) (string, error) {
	return builds.build(ctx, "bulkhead/cmd/bulkhead")
}

// Build builds a package's command, once for each process: see BuildGateway.
func Build(ctx context.Context, pkg string) (string, error) { return builds.build(ctx, pkg) }

func (d *buildDir) build(ctx context.Context, pkg string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if bin, ok := d.done[pkg]; ok {
		return bin, nil
	}
	if err := d.prepare(); err != nil {
		return "", wrap("build "+pkg, err)
	}
	bin := filepath.Join(d.dir, filepath.Base(pkg))
	cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", pkg, err, bytes.TrimSpace(out))
	}
	d.done[pkg] = bin
	return bin, nil
}

// prepare makes the folder, if there is none.
func (d *buildDir) prepare() (err error) {
	if d.dir != "" {
		return nil
	}
	dir, err := os.MkdirTemp("", uniqueName("build"))
	if err != nil {
		return err
	}
	if d.forget, err = process.own(func() error { return os.RemoveAll(dir) }); err != nil {
		return err
	}
	d.dir, d.done = dir, map[string]string{}
	return nil
}

// remove removes the folder; later builds begin anew.
func (d *buildDir) remove() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dir == "" {
		return nil
	}
	d.dir, d.done = "", nil
	return d.forget()
}
