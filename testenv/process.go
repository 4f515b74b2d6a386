// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Process is a child in a namespace, which it does not outlive; nor this process, not even after kill -9.
// Safe for concurrent use.
//
//	running --exit, Signal, Kill--> ended     Done is closed, ExitCode and Log are final
type Process struct {
	cmd   *exec.Cmd
	log   *processLog
	close func() error

	done  chan struct{} // closed when the child has ended
	asked atomic.Bool   // somebody has ended it, or tried to
}

// closeLimit is how long a closing namespace gives a child to end by itself.
const closeLimit = 5 * time.Second

// Command starts a program, looked up in PATH, inside the namespace: see Start.
func (n *NS) Command(name string, args ...string) (*Process, error) {
	return n.Start(exec.Command(name, args...))
}

// Output runs a program inside the namespace to its end and returns what it wrote to stdout and stderr. A context that
// ends, and an exit code other than 0, are errors.
func (n *NS) Output(ctx context.Context, name string, args ...string) (string, error) {
	p, err := n.Command(name, args...)
	if err != nil {
		return "", err
	}
	code, err := p.Wait(ctx)
	if err == nil && code != 0 {
		err = fmt.Errorf("%s: %s ended with code %d:\n%s", n, name, code, p.log.tail())
	}
	return p.Log(), errors.Join(err, p.Kill())
}

// Start starts a prepared command inside the namespace. What the command does not send elsewhere, stdout and
// stderr, is kept as its log. It gets a process group of its own, so that ^C at a terminal reaches only its
// starter, which ends it in order. Its mounts are those of this process: /sys/class/net shows the interfaces of
// the namespace in which /sys was mounted, and /sys/fs/bpf is the usual one.
func (n *NS) Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, log: &processLog{changed: make(chan struct{})}, done: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = p.log
	}
	if cmd.Stderr == nil {
		cmd.Stderr = p.log
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	cmd.WaitDelay = or(cmd.WaitDelay, closeLimit) // a grandchild may hold on to the log
	started := make(chan error, 1)
	go p.live(n, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", n, cmd.Path, err)
	}
	var err error
	if p.close, err = n.owner.own(func() error { return p.end(closeLimit) }); err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", n, cmd.Path, err)
	}
	return p, nil
}

// live is the child's life. A child inherits the namespace of the thread that forks it, and its death signal comes
// when that thread ends (prctl(2), PR_SET_PDEATHSIG): so the thread stays locked here until the child has ended.
func (p *Process) live(n *NS, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := excursion(func() error { return n.inside(p.cmd.Start) }); err != nil {
		started <- err
		return
	}
	started <- nil
	_ = p.cmd.Wait() // how it ended is in ProcessState
	p.log.finish()
	close(p.done)
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Done is closed when the child has ended and its log is complete.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is the exit code, -1 while the child runs, and 128 plus the signal's number if one ended it.
func (p *Process) ExitCode() int {
	select {
	case <-p.done:
	default:
		return -1
	}
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// Wait waits for the child to end and returns its exit code, or the context's cause.
func (p *Process) Wait(ctx context.Context) (code int, err error) {
	select {
	case <-p.done:
		return p.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("wait for %s: %w", p.name(), context.Cause(ctx))
	}
}

// Signal sends a signal, such as SIGSTOP; it is an error if the child has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	if sig != syscall.SIGSTOP && sig != syscall.SIGCONT {
		p.asked.Store(true)
	}
	return wrap(fmt.Sprintf("send %v to %s", sig, p.name()), p.cmd.Process.Signal(sig))
}

// Stop asks the child to end by SIGTERM, waits at most limit, then kills it, and returns its exit code.
// Having to kill it is an error. A stopped child is continued. Stopping an ended child only returns its code.
func (p *Process) Stop(limit time.Duration) (code int, err error) {
	p.asked.Store(true)
	err = p.end(limit)
	return p.ExitCode(), errors.Join(err, p.close())
}

// Kill ends the child and its own children at once by SIGKILL and waits for it.
func (p *Process) Kill() error {
	p.asked.Store(true)
	err := p.killGroup()
	return errors.Join(err, p.close())
}

// end is SIGTERM, and after the limit SIGKILL.
func (p *Process) end(limit time.Duration) error {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGCONT} {
		if err := p.cmd.Process.Signal(sig); errors.Is(err, os.ErrProcessDone) {
			<-p.done
			return nil
		}
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-p.done:
		return nil
	case <-t.C:
	}
	err := p.killGroup()
	return errors.Join(fmt.Errorf("%s did not end within %v of SIGTERM; killed; its log ends:\n%s",
		p.name(), limit, p.log.tail()), err)
}

// killGroup kills the child's process group, which is its own, and waits for the child.
func (p *Process) killGroup() (err error) {
	select {
	case <-p.done: // its number may be somebody else's by now
	default:
		err = ignore(syscall.Kill(-p.Pid(), syscall.SIGKILL), syscall.ESRCH)
	}
	<-p.done
	return err
}

func (p *Process) name() string { return fmt.Sprintf("%s[%d]", p.cmd.Path, p.cmd.Process.Pid) }

// Log is what the child has written so far.
func (p *Process) Log() string { return p.log.String() }

// WaitLine waits for a line of the log that match accepts, from the log's beginning, and returns it. It is an
// error if the child ends, or the context, before one came; the error has the end of the log.
func (p *Process) WaitLine(ctx context.Context, match func(line string) bool) (string, error) {
	for {
		text, complete, changed := p.log.state()
		for line := range strings.Lines(text) {
			if line, whole := strings.CutSuffix(line, "\n"); (whole || complete) && match(line) {
				return line, nil
			}
		}
		if complete {
			return "", fmt.Errorf("%s ended with code %d; its log ends:\n%s", p.name(), p.exitCodeSoon(), p.log.tail())
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", fmt.Errorf("%s: %w; its log ends:\n%s", p.name(), context.Cause(ctx), p.log.tail())
		}
	}
}

// exitCodeSoon is the exit code of a child whose log is complete: the end follows at once.
func (p *Process) exitCodeSoon() int {
	<-p.done
	return p.ExitCode()
}

// logLimit is how much of a child's output is kept, in bytes: the rest is swallowed.
const logLimit = 16 << 20

// processLog keeps what a child writes and tells who waits.
type processLog struct {
	mu       sync.Mutex
	buf      bytes.Buffer  // guarded by mu
	complete bool          // guarded by mu
	changed  chan struct{} // guarded by mu; closed and replaced at every change
}

var _ io.Writer = (*processLog)(nil)

func (l *processLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf.Write(b[:min(len(b), max(0, logLimit-l.buf.Len()))])
	l.tell()
	return len(b), nil
}

func (l *processLog) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complete = true
	l.tell()
}

func (l *processLog) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *processLog) state() (text string, complete bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String(), l.complete, l.changed
}

func (l *processLog) String() string {
	text, _, _ := l.state()
	return text
}

// tail is the end of the log, for error messages.
func (l *processLog) tail() string {
	text := l.String()
	if len(text) > 4096 {
		text = "..." + text[len(text)-4096:]
	}
	return text
}
