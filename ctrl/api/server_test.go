// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRefusedPolicyIsAFailureWithItsProblems(t *testing.T) {
	want := []Problem{{File: "p.toml", Line: 3, Column: 7, Message: "wrong"}}
	r := start(t, &fake{apply: func(context.Context, Change) (Applied, error) {
		return Applied{}, errors.Join(errors.New("apply"), Problems(want))
	}})
	_, err := NewClient(r.dir).Apply(within(t), "p.toml", []byte("x"))
	var f *Failure
	if !errors.As(err, &f) || f.Status != 422 {
		t.Fatalf("error is %v", err)
	}
	if diff := cmp.Diff(want, f.Problems); diff != "" {
		t.Error(diff)
	}
}

func TestWrongRequestsAreRefusedAloud(t *testing.T) {
	r := start(t, example())
	for _, c := range []struct {
		name, verb, path, body string
		status                 int
		say                    string
	}{
		{"unknown path", "GET", "/v1/nothing", "", 404, "no such method"},
		{"root", "GET", "/", "", 404, "no such method"},
		{"wrong verb", "DELETE", "/v1/policy", "", 405, "takes POST"},
		{"change by GET", "GET", "/v1/policy?file=x", "", 405, "takes POST"},
		{"unknown parameter", "POST", "/v1/policy?dry_run=true", "x", 400, "dry_run"},
		{"parameter twice", "POST", "/v1/policy?file=a&file=b", "x", 400, "file"},
		{"parameter where none is", "GET", "/v1/status?wire=w0", "", 400, "wire"},
		{"file name of 5000 bytes", "POST", "/v1/policy?file=" + strings.Repeat("x", 5000), "x", 400, "file"},
		{"file name that is no UTF-8", "POST", "/v1/policy?file=%ff", "x", 400, "UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := r.raw(t, c.verb, c.path, c.body)
			var f Failure
			if err := json.Unmarshal(body, &f); err != nil {
				t.Fatalf("not JSON: %v: %s", err, body)
			}
			if resp.StatusCode != c.status || f.Status != c.status || !strings.Contains(f.Detail, c.say) {
				t.Errorf("answer is %d %s, want %d with %q", resp.StatusCode, body, c.status, c.say)
			}
		})
	}
}

func TestCompressedPolicyIsRefused(t *testing.T) {
	r := start(t, example())
	c := r.dial(t)
	c.Write([]byte("POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"))
	if got := firstLine(t, c); !strings.Contains(got, "415") {
		t.Errorf("answer is %q", got)
	}
}

func TestEveryChangeIsLoggedWithItsPeer(t *testing.T) {
	g := example()
	r := start(t, g)
	c := NewClient(r.dir)
	if _, err := c.Apply(within(t), "good.toml", []byte("x")); err != nil {
		t.Fatal(err)
	}
	g.apply = func(context.Context, Change) (Applied, error) {
		return Applied{}, Problems{{File: "bad\n\x1b[2J.toml", Message: "wrong"}}
	}
	if _, err := c.Apply(within(t), "bad\n\x1b[2J.toml", []byte("x")); err == nil {
		t.Fatal("not refused")
	}
	if _, err := c.Status(within(t)); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d records, want one a change:\n%s", len(lines), r.log)
	}
	for i, want := range []string{"good.toml", "bad\n\x1b[2J.toml"} {
		var rec struct {
			File     string
			UID, GID *int
			PID      int
		}
		if err := json.Unmarshal([]byte(lines[i]), &rec); err != nil {
			t.Fatalf("record is not one line of JSON: %v: %s", err, lines[i])
		}
		if rec.File != want || rec.UID == nil || *rec.UID != os.Getuid() || rec.GID == nil || *rec.GID != os.Getgid() || rec.PID != os.Getpid() {
			t.Errorf("record %s", lines[i])
		}
	}
	if !strings.Contains(lines[0], `"generation":8`) || !strings.Contains(lines[1], "change refused") {
		t.Errorf("records say too little:\n%s", r.log)
	}
}

func TestPanicIsAnAnswerAndOthersAreServed(t *testing.T) {
	g := example()
	g.apply = func(context.Context, Change) (Applied, error) { panic("secret detail") }
	r := start(t, g)
	c := NewClient(r.dir)
	_, err := c.Apply(within(t), "p", []byte("x"))
	var f *Failure
	if !errors.As(err, &f) || f.Status != 500 || strings.Contains(f.Detail, "secret") {
		t.Errorf("error is %v", err)
	}
	if !strings.Contains(r.log.String(), "secret detail") {
		t.Errorf("not logged:\n%s", r.log)
	}
	if _, err := c.Status(within(t)); err != nil {
		t.Errorf("after the panic: %v", err)
	}
}

func TestCloseWaitsForAChangeUnderWay(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	var finished bool
	r := start(t, &fake{apply: func(context.Context, Change) (Applied, error) {
		begun <- true
		<-finish
		finished = true
		return Applied{}, nil
	}})
	go NewClient(r.dir).Apply(context.Background(), "p", []byte("x"))
	<-begun
	closed := make(chan bool)
	go func() { r.Close(); close(closed) }()
	select {
	case <-closed:
		t.Fatal("closed while a policy was being applied")
	case <-time.After(2 * farewell):
	}
	close(finish)
	<-closed
	if !finished {
		t.Error("closed before the change had ended")
	}
}

func TestStatusIsAnsweredWhileAPolicyIsApplied(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	g := example()
	g.apply = func(context.Context, Change) (Applied, error) {
		begun <- true
		<-finish
		return Applied{}, nil
	}
	r := start(t, g)
	done := make(chan error)
	go func() {
		_, err := NewClient(r.dir).Apply(context.Background(), "p", []byte("x"))
		done <- err
	}()
	<-begun
	if _, err := NewClient(r.dir).Status(within(t)); err != nil {
		t.Error(err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLongChangeOutlastsTheTimeouts(t *testing.T) {
	var cancelled error
	g := &fake{apply: func(ctx context.Context, _ Change) (Applied, error) {
		time.Sleep(300 * time.Millisecond)
		cancelled = ctx.Err()
		return Applied{Generation: 2}, nil
	}}
	r := start(t, g, func(s *Server) { s.http.ReadTimeout, s.http.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond })
	if _, err := NewClient(r.dir).Apply(within(t), "p", []byte("x")); err != nil || cancelled != nil {
		t.Errorf("apply: %v; context: %v", err, cancelled)
	}
}
