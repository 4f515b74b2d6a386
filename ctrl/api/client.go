// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The client trusts the gateway no more than it must: an answer has a limit,
// and one that makes no sense is an error that says so.

// maxAnswer is the largest answer that a client reads, in bytes.
const maxAnswer = 256 << 20

// Client asks the gateway that runs in a run directory. It may be used
// concurrently. Its errors say what is wrong with the connection and what to
// do about it; what the gateway refuses is a *Failure.
type Client struct {
	socket string
	http   http.Client
}

// NewClient makes a client for the gateway of a run directory. It does not
// connect yet.
func NewClient(dir string) *Client {
	c := &Client{socket: SocketPath(dir)}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true, // one connection a request: nothing is left open
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", c.socket)
		},
	}
	return c
}

// Status asks what the gateway is and how its wires do.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.do(ctx, "GET", "/v1/status", nil, &s)
}

// Rules asks for the rules in force and how often each was met.
func (c *Client) Rules(ctx context.Context) (l RuleList, err error) {
	return l, c.do(ctx, "GET", "/v1/rules", nil, &l)
}

// Apply brings a policy into force and returns when it is; file is what the
// gateway shall call it. A policy that does not hold is a *Failure with its
// Problems, and the policy before stays.
func (c *Client) Apply(ctx context.Context, file string, text []byte) (a Applied, err error) {
	if len(text) > maxPolicy {
		return a, fmt.Errorf("apply %s: it has %d bytes, a policy has at most %d", file, len(text), maxPolicy)
	}
	return a, c.do(ctx, "POST", "/v1/policy?"+url.Values{"file": {file}}.Encode(), text, &a)
}

// do sends a request and decodes the answer. Fields that this client does not
// know are passed over: the gateway may be newer.
func (c *Client) do(ctx context.Context, verb, path string, body []byte, answer any) error {
	r, err := http.NewRequestWithContext(ctx, verb, "http://bulkhead"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/toml")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("control socket %s: answer: %w", c.socket, err)
	}
	if resp.StatusCode/100 != 2 {
		return failureFrom(resp.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("control socket %s: answer: %w", c.socket, err)
	}
	return nil
}

// failureFrom reads a problem document; what is none keeps its status.
func failureFrom(status int, text []byte) *Failure {
	var f Failure
	if err := json.Unmarshal(text, &f); err != nil || f.Detail == "" {
		return fail(status, "the gateway answered %d %s", status, http.StatusText(status))
	}
	f.Status = status
	return &f
}

// explain says what a failed connection means and what to do, in the order of
// what people meet most. The system's error stays in the chain.
func (c *Client) explain(err error) error {
	var uerr *url.Error
	if errors.As(err, &uerr) {
		err = uerr.Err // without the made-up URL
	}
	var say string
	switch {
	case errors.Is(err, fs.ErrNotExist):
		say = "is bulkhead running? start it (bulkhead run), or name its run directory (--run-dir)"
	case errors.Is(err, fs.ErrPermission):
		say = whoMay(c.socket)
	case errors.Is(err, unix.ECONNREFUSED):
		say = "bulkhead died and left the socket behind; start it again (bulkhead run)"
	case errors.Is(err, io.EOF), errors.Is(err, unix.ECONNRESET), errors.Is(err, unix.EPIPE):
		say = "the gateway closed the connection: it is stopping, or has too many clients"
	}
	if say == "" {
		return fmt.Errorf("control socket %s: %w", c.socket, err)
	}
	return fmt.Errorf("control socket %s: %w: %s", c.socket, cause(err), say)
}

// cause gives the system's own error, without the address that is said already.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// whoMay says who can connect to a socket, as far as its file, or the directory
// when that is closed to us, tells.
func whoMay(path string) string {
	info, err := os.Stat(path)
	if err != nil { // the directory does not let us look: its group counts
		info, err = os.Stat(path[:len(path)-len(socketName)])
	}
	if err != nil {
		return "try as root (sudo)"
	}
	gid := strconv.Itoa(int(info.Sys().(*syscall.Stat_t).Gid))
	if gid == "0" {
		return "only root may connect (sudo), or set a group in the gateway's configuration"
	}
	name := gid
	if g, err := user.LookupGroupId(gid); err == nil {
		name = g.Name
	}
	return fmt.Sprintf("only root and the members of group %q may connect", name)
}
