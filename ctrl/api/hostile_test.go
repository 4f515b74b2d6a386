// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// firstLine reads the first line of an answer.
func firstLine(t *testing.T, c net.Conn) string {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// mustBeCut fails unless the server ends the connection.
func mustBeCut(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("the server keeps the connection")
	}
}

func short(s *Server) {
	s.http.ReadHeaderTimeout, s.http.ReadTimeout = 50*time.Millisecond, 100*time.Millisecond
	s.http.WriteTimeout, s.http.IdleTimeout = 100*time.Millisecond, 100*time.Millisecond
}

func TestSlowClientsAreCut(t *testing.T) {
	g := example()
	g.rules.Rules = make([]Rule, 200_000) // more than the socket's buffers hold
	r := start(t, g, short)
	for name, send := range map[string]string{
		"silent":        "",
		"slow headers":  "GET /v1/status HTTP/1.1\r\nHost:",
		"slow body":     "POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
		"idle":          "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
		"chunk, slowly": "POST /v1/policy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc",
	} {
		t.Run(name, func(t *testing.T) {
			c := r.dial(t)
			io.WriteString(c, send)
			mustBeCut(t, c)
		})
	}
	t.Run("never reads", func(t *testing.T) {
		c := r.dial(t)
		io.WriteString(c, "GET /v1/rules HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(500 * time.Millisecond) // for the time-out; then at most the buffers' contents comes
		n, _ := io.Copy(io.Discard, c)
		if n > 8<<20 {
			t.Errorf("%d bytes came: the whole answer waited for us", n)
		}
	})
}

func TestHugeHeadersAndBodiesAreRefused(t *testing.T) {
	r := start(t, example())
	for _, c := range []struct{ name, send, want string }{
		{"1 GB announced", "POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", "413"},
		{"length of 2^64", "POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 18446744073709551616\r\n\r\n", "400"},
		{"two lengths", "POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "400"},
		{"header of 64 KB", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 64<<10) + "\r\n\r\n", "431"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := r.dial(t)
			go io.WriteString(conn, c.send) // it may never be read whole
			if got := firstLine(t, conn); !strings.Contains(got, c.want) {
				t.Errorf("answer is %q, want %s", got, c.want)
			}
		})
	}
	t.Run("chunks without end", func(t *testing.T) {
		conn := r.dial(t)
		go func() {
			io.WriteString(conn, "POST /v1/policy HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
			chunk := fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20))
			for range 64 {
				if _, err := io.WriteString(conn, chunk); err != nil {
					return
				}
			}
		}()
		if got := firstLine(t, conn); !strings.Contains(got, "413") {
			t.Errorf("answer is %q, want 413", got)
		}
	})
}

func TestIdleConnectionsStarveNobody(t *testing.T) {
	r := start(t, example())
	for i := range 1000 {
		c := r.dial(t)
		if i%2 == 0 {
			io.WriteString(c, "POST /v1/policy HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
		}
		if i%50 == 0 {
			if _, err := NewClient(r.dir).Status(within(t)); err != nil {
				t.Fatalf("beside %d idle connections: %v", i+1, err)
			}
		}
	}
}

func TestPolicyUnderWayKeepsItsConnection(t *testing.T) {
	begun, finish := make(chan bool), make(chan bool)
	g := example()
	g.apply = func(context.Context, Change) (Applied, error) {
		begun <- true
		<-finish
		return Applied{Generation: 9}, nil
	}
	r := start(t, g)
	done := make(chan error)
	go func() {
		_, err := NewClient(r.dir).Apply(context.Background(), "p", []byte("x"))
		done <- err
	}()
	<-begun
	for range 2 * maxConns {
		r.dial(t)
	}
	if _, err := NewClient(r.dir).Status(within(t)); err != nil {
		t.Error(err)
	}
	close(finish)
	if err := <-done; err != nil {
		t.Errorf("the change's answer was lost: %v", err)
	}
}

func TestNewcomerTakesThePlaceOfWhoHasMost(t *testing.T) {
	conns := &conns{max: 5}
	enter := func(uid uint32, held bool) (*conn, *conn, bool) {
		c := &conn{peer: Peer{UID: uid}, all: conns, held: held}
		victim, ok := conns.admit(c)
		return c, victim, ok
	}
	enter(1, true)
	root, _, _ := enter(0, false)
	many, _, _ := enter(7, false)
	enter(7, false)
	enter(8, false)
	_, victim, ok := enter(9, false)
	if victim != many || !ok {
		t.Errorf("victim %v, want the oldest of uid 7", victim)
	}
	for _, c := range conns.open {
		c.held = c != root
	}
	if _, victim, ok = enter(9, true); victim != root || !ok {
		t.Errorf("victim %v, want the only one that is not held", victim)
	}
	if _, victim, ok = enter(9, false); victim != nil || ok {
		t.Errorf("victim %v although all are held", victim)
	}
	if len(conns.open) != 5 {
		t.Errorf("%d are open, want 5", len(conns.open))
	}
}

func TestPoliciesBeingSentShareABudget(t *testing.T) {
	g := example()
	r := start(t, g, func(s *Server) { s.budget.left.Store(100 << 10) })
	text := []byte(strings.Repeat("x", 90<<10))
	c := NewClient(r.dir)
	_, err := c.Apply(within(t), "p", text)
	if err == nil || !strings.Contains(err.Error(), "try again") {
		t.Errorf("over the budget: %v", err)
	}
	for range 10 { // what was spent comes back
		if _, err := c.Apply(within(t), "p", text[:20<<10]); err != nil {
			t.Fatal(err)
		}
	}
	if left := r.budget.left.Load(); left != 100<<10 {
		t.Errorf("%d bytes are left of the budget", left)
	}
}

// FuzzPolicyRequest sends any query and body: never a panic or a fault of the
// server's own, and what the gateway gets is what was sent.
func FuzzPolicyRequest(f *testing.F) {
	f.Add("file=p.toml", []byte("default = \"deny\""))
	f.Add("file=%ff", []byte{0})
	f.Add("file=a&file=b;c", []byte(nil))
	f.Fuzz(func(t *testing.T, query string, body []byte) {
		called := false
		s := NewServer(&fake{apply: func(_ context.Context, c Change) (Applied, error) {
			called = true
			if string(c.Text) != string(body) {
				t.Errorf("sent %q, got %q", body, c.Text)
			}
			return Applied{}, nil
		}}, slog.New(slog.DiscardHandler))
		r := httptest.NewRequest("POST", "/v1/policy", strings.NewReader(string(body)))
		r.URL.RawQuery = query
		r = r.WithContext(context.WithValue(r.Context(), connKey{}, &conn{all: &conns{}}))
		w := deadlines{httptest.NewRecorder()}
		s.handler().ServeHTTP(w, r)
		if called != (w.Code == http.StatusOK) || w.Code >= 500 {
			t.Errorf("called %v, answer %d %s", called, w.Code, w.Body)
		}
		if s.budget.left.Load() != maxReceiving {
			t.Error("the budget has a hole")
		}
	})
}

// deadlines is a recorder that takes deadlines, as connections do.
type deadlines struct{ *httptest.ResponseRecorder }

func (deadlines) SetReadDeadline(time.Time) error  { return nil }
func (deadlines) SetWriteDeadline(time.Time) error { return nil }
