// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// statusOf makes a status from what a data plane would say.
func statusOf() api.Status {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	eth0 := dataplane.PortStatus{
		Port: dataplane.Port{Interface: "eth0", VLAN: 10}, Attach: "native", Socket: "zero-copy", Queues: 8, FrameSize: 2048, MTU: 1500,
		BusyPoll: "on", Carrier: true, Received: dataplane.Counter{Frames: 1234567, Bytes: 987654321},
		Forwarded: dataplane.Counter{Frames: 1200000, Bytes: 950000000}, Answered: 17,
	}
	eth0.Dropped[event.Denied], eth0.Dropped[event.DefaultDeny], eth0.Dropped[packet.MACsec] = 30000, 4566, 1
	eth0.Passed[packet.ARP], eth0.Passed[packet.LLDP] = 40, 2
	eth1 := dataplane.PortStatus{Port: dataplane.Port{Interface: "eth1"}, Attach: "native", Socket: "zero-copy", Queues: 8, FrameSize: 2048, MTU: 9000, BusyPoll: "off"}
	status := dataplane.Status{
		Name: "gw", Generation: 7, Rules: 3, Flows: 1024, Capacity: 262144,
		Wires: []dataplane.WireStatus{
			{Name: "core", State: dataplane.Up, Fail: "closed", A: eth0, B: eth0},
			{Name: "dmz", State: dataplane.Down, Why: "eth1 has no carrier", Fail: "open", A: eth1, B: eth1},
		},
	}
	e := newFakeEngine()
	e.status = status
	g := newGateway(e, &plan{}, func() time.Time { return at })
	g.current = &inForce{loaded: &loaded{hash: strings.Repeat("0f", 32)}, file: "/etc/bulkhead/policy.toml", generation: 7, since: at}
	out := g.Status()
	out.PID, out.Version = 42, "v1.2.3"
	return out
}

// shown gives what a person or a program is shown.
func shown(t *testing.T, f format, v any, table func(io.Writer)) string {
	t.Helper()
	s := newFakeSystem()
	if err := s.show(f, v, table); err != nil {
		t.Fatal(err)
	}
	return s.out.String()
}

func TestStatusAsPeopleAndProgramsSeeIt(t *testing.T) {
	s := statusOf()
	now := s.Started.Add(26*time.Hour + 3*time.Minute)
	for _, f := range formats {
		golden(t, "status."+f, shown(t, format(f), s, func(w io.Writer) { drawStatus(w, s, now) }))
	}
}

func TestRulesAsPeopleAndProgramsSeeThem(t *testing.T) {
	l := api.RuleList{
		Generation: 7,
		Rules: []api.Rule{
			{Name: "web-to-app", File: "/etc/bulkhead/policy.toml", Line: 12, Action: "allow", Hits: 1234567},
			{Name: "guests", File: "/etc/bulkhead/policy.toml", Line: 120, Action: "reject", Hits: 0},
		},
		Default: api.Default{Action: "deny", Hits: 89},
	}
	for _, f := range formats {
		golden(t, "rules."+f, shown(t, format(f), l, func(w io.Writer) { drawRules(w, l) }))
	}
}

func TestAppliedAsPeopleSeeIt(t *testing.T) {
	a := api.Applied{Generation: 8, MS: 3.25, Kept: 1, Cut: 1200, Hash: strings.Repeat("0f", 32), Rules: 1}
	got := shown(t, "table", a, func(w io.Writer) { drawApplied(w, a) })
	if want := "generation 8 in force after 3.2 ms: 1 rule, 1 flow kept, 1,200 cut, hash 0f0f0f0f0f0f\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGatewayWithoutAPolicySaysThatNothingPasses(t *testing.T) {
	var b bytes.Buffer
	drawStatus(&b, api.Status{Name: "gw"}, time.Time{})
	if !strings.Contains(b.String(), "nothing passes") {
		t.Error(b.String())
	}
}

// nasty is what a name from outside may hold.
const nasty = "a\nb\x1b[2J\u009b31m\u202egnp\u2066\x00\x7f\xff\t\U000e0001é€😀\""

func TestNothingFromOutsideMovesTheTerminal(t *testing.T) {
	s := statusOf()
	s.Name, s.Version, s.Policy.File, s.Policy.Hash = nasty, nasty, nasty, nasty
	s.Wires[0].Name, s.Wires[0].Why, s.Wires[0].State, s.Wires[0].Fail = nasty, nasty, nasty, nasty
	s.Wires[0].A.Interface, s.Wires[0].A.Attach, s.Wires[0].A.Socket, s.Wires[0].A.BusyPoll = nasty, nasty, nasty, nasty
	s.Wires[0].A.Dropped = map[string]uint64{nasty: 1}
	s.Wires[0].B.Interface = strings.Repeat("x", 1<<17)
	l := api.RuleList{Rules: []api.Rule{{Name: nasty, File: nasty, Action: nasty}}, Default: api.Default{Action: nasty}}
	r := &report{File: nasty, Kind: "configuration", Wires: []string{nasty}, Policy: &summary{File: nasty}}
	a := api.Applied{Hash: nasty}
	for _, f := range formats {
		for i, text := range []string{
			shown(t, format(f), s, func(w io.Writer) { drawStatus(w, s, time.Now()) }),
			shown(t, format(f), l, func(w io.Writer) { drawRules(w, l) }),
			shown(t, format(f), r, func(w io.Writer) { drawReport(w, r) }),
			shown(t, format(f), a, func(w io.Writer) { drawApplied(w, a) }),
		} {
			mustBeClean(t, fmt.Sprint(f, i), text)
			if f == "table" && len(text) > 1<<16 {
				t.Errorf("%s %d has %d bytes", f, i, len(text))
			}
		}
	}
	f := newFakeSystem()
	f.complain(&api.Failure{Detail: nasty})
	f.complain(&api.Failure{Problems: []api.Problem{{File: nasty, Message: nasty}}})
	mustBeClean(t, "errors", f.err.String())
	if strings.Count(f.err.String(), "\n") != 2 {
		t.Errorf("two errors are %q", f.err.String())
	}
}

// mustBeClean fails for characters that are not printable, but for line ends.
func mustBeClean(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s: not UTF-8: %q", what, text)
	}
	for _, r := range text {
		if r != '\n' && r != utf8.RuneError && hidden(r) {
			t.Errorf("%s: %U comes through:\n%q", what, r, text)
			return
		}
	}
}

func TestEscapedJSONAndYAMLSayTheSame(t *testing.T) {
	valid := strings.ToValidUTF8(nasty, "?")
	want := map[string]any{"name": valid, "yes": "no", "number": "1e3", "empty": "", "list": []any{}, "table": map[string]any{}}
	for f, decode := range map[format]func([]byte, any) error{"json": json.Unmarshal, "yaml": yaml.Unmarshal} {
		var got map[string]any
		text := shown(t, f, want, nil)
		if err := decode([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v:\n%s", f, err, text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", f, diff, text)
		}
	}
}

func TestNumbersAreEasyToRead(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", math.MaxUint64: "18,446,744,073,709,551,615",
	} {
		if got := number(n); got != want {
			t.Errorf("number(%d) = %s, want %s", n, got, want)
		}
	}
	for n, want := range map[uint64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9995: "10.0 kB", 99_949: "99.9 kB", 99_950: "100 kB",
		999_499: "999 kB", 999_500: "1.00 MB", 123_456_789: "123 MB", math.MaxUint64: "18.4 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %s, want %s", n, got, want)
		}
	}
}

func TestEveryReasonHasANameOfItsOwn(t *testing.T) {
	names := map[string]event.Reason{}
	for r := event.Reason(0); r < event.NumReasons; r++ {
		if r >= event.Reason(packet.NumOutcomes) && r.Name() == "" {
			continue // a number that is not used
		}
		name := reasonName(r)
		if other, taken := names[name]; taken || name == "" {
			t.Errorf("reasons %d and %d are both called %q", r, other, name)
		}
		names[name] = r
	}
	if got := reasonName(event.NumReasons); got != fmt.Sprintf("reason_%d", event.NumReasons) {
		t.Errorf("an unknown reason is called %q", got)
	}
}

// FuzzPrintable shows any string: always printable, never empty for nothing,
// and unchanged if it was printable before.
func FuzzPrintable(f *testing.F) {
	f.Add(nasty)
	f.Add("plain")
	f.Fuzz(func(t *testing.T, s string) {
		got := printable(s)
		if strings.ContainsFunc(got, hidden) {
			t.Errorf("%q is shown as %q", s, got)
		}
		if !strings.ContainsFunc(s, hidden) && got != s {
			t.Errorf("%q has become %q", s, got)
		}
		if printable(got) != got {
			t.Errorf("%q is escaped twice", s)
		}
		if c := cell(s); c == "" || utf8.RuneCountInString(c) > 12*maxCell {
			t.Errorf("cell %q", c)
		}
	})
}
