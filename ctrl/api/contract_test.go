// SPDX-License-Identifier: Apache-2.0

package api

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// example is a gateway with something in every field.
func example() *fake {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	port := Port{
		Interface: "eth0", VLAN: 10, Attach: "native", Socket: "copy", Queues: 2, FrameSize: 2048, MTU: 1500,
		BusyPoll: "off", Carrier: true, Received: Counter{Frames: 12, Bytes: 1200}, Forwarded: Counter{Frames: 9, Bytes: 900},
		Dropped: map[string]uint64{"denied": 2, "tx_full": 1}, Passed: map[string]uint64{"arp": 4}, Answered: 1,
	}
	other := port
	other.Interface, other.VLAN, other.Dropped, other.Passed = "eth1", 0, map[string]uint64{}, map[string]uint64{}
	return &fake{
		status: Status{
			Name: "gw", Version: "v1.2.3", PID: 42, Started: at,
			Policy:     Policy{File: "/etc/bulkhead/policy.toml", Hash: "sha256:00ff", Applied: at.Add(time.Second)},
			Generation: 7, Rules: 3, Flows: Flows{Used: 5, Capacity: 262144},
			Wires: []Wire{{Name: "w0", State: "DEGRADED", Why: "queue 1 of eth1 has no socket", Fail: "closed", A: port, B: other}},
		},
		rules: RuleList{
			Generation: 7,
			Rules:      []Rule{{Name: "web-to-app", File: "policy.toml", Line: 12, Action: "allow", Hits: 99}},
			Default:    Default{Action: "deny", Hits: 3},
		},
		apply: func(context.Context, Change) (Applied, error) {
			return Applied{Generation: 8, MS: 1.25, Kept: 4, Cut: 1, Hash: "sha256:11ee", Rules: 4}, nil
		},
	}
}

// raw sends a request and gives the answer as it came.
func (r running) raw(t *testing.T, verb, path, body string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(within(t), verb, "http://bulkhead"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := NewClient(r.dir).http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, text
}

func TestJSONNamesAreAContract(t *testing.T) {
	g := example()
	r := start(t, g)
	refuse := start(t, &fake{apply: func(context.Context, Change) (Applied, error) {
		return Applied{}, Problems{{File: "p.toml", Line: 3, Column: 7, Message: "no service \"htps\""}, {File: "p.toml", Message: "no rule"}}
	}})
	for _, c := range []struct {
		name       string
		on         running
		verb, path string
		status     int
		kind       string
	}{
		{"status", r, "GET", "/v1/status", 200, "application/json"},
		{"rules", r, "GET", "/v1/rules", 200, "application/json"},
		{"applied", r, "POST", "/v1/policy?file=p.toml", 200, "application/json"},
		{"refused", refuse, "POST", "/v1/policy?file=p.toml", 422, "application/problem+json"},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, body := c.on.raw(t, c.verb, c.path, "x")
			if resp.StatusCode != c.status || resp.Header.Get("Content-Type") != c.kind {
				t.Errorf("answer is %d %s, want %d %s", resp.StatusCode, resp.Header.Get("Content-Type"), c.status, c.kind)
			}
			var b bytes.Buffer
			if err := json.Indent(&b, body, "", "  "); err != nil {
				t.Fatalf("not JSON: %v: %s", err, body)
			}
			golden(t, c.name+".json", b.Bytes())
		})
	}
}

func TestClientGivesBackWhatTheGatewaySaid(t *testing.T) {
	g := example()
	var sent Change
	inner := g.apply
	g.apply = func(ctx context.Context, c Change) (Applied, error) {
		sent = c
		return inner(ctx, c)
	}
	r := start(t, g)
	c := NewClient(r.dir)
	status, err := c.Status(within(t))
	if diff := cmp.Diff(g.status, status); err != nil || diff != "" {
		t.Errorf("status: %v\n%s", err, diff)
	}
	rules, err := c.Rules(within(t))
	if diff := cmp.Diff(g.rules, rules); err != nil || diff != "" {
		t.Errorf("rules: %v\n%s", err, diff)
	}
	text := "bytes as they are: \x00\xff\r\n"
	applied, err := c.Apply(within(t), "/a path/p&q=1.toml", []byte(text))
	want, _ := inner(t.Context(), Change{})
	if diff := cmp.Diff(want, applied); err != nil || diff != "" {
		t.Errorf("apply: %v\n%s", err, diff)
	}
	if sent.File != "/a path/p&q=1.toml" || string(sent.Text) != text {
		t.Errorf("the gateway got %q %q", sent.File, sent.Text)
	}
}
