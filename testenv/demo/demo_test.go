// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bulkhead/classifier"
	"bulkhead/ctrl/api"
	"bulkhead/ctrl/policy"
	"bulkhead/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m.Run)) }

func parse(t *testing.T, name string) *policy.Policy {
	t.Helper()
	p, err := policy.Parse(name, text(name), policy.Options{Wires: wires})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestTheWholeDemo runs it as make demo does, as root.
func TestTheWholeDemo(t *testing.T) {
	testenv.RequireForTest(t)
	var stdout, stderr bytes.Buffer
	if code := run(nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("exit code %d, stderr %q, stdout:\n%s", code, &stderr, &stdout)
	}
}

func TestWrongCallsSayWhat(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		says string
		root bool // without root it does not come so far
	}{
		{args: []string{"--help"}, code: 0, says: "-bulkhead binary"},
		{args: []string{"--wrong"}, code: 2, says: "not defined: -wrong"},
		{args: []string{"now"}, code: 2, says: `demo: "now"`},
		{args: []string{"--bulkhead", "/nowhere/bulkhead"}, code: 1, says: "/nowhere/bulkhead: no such file or directory: build it with make build", root: true},
		{args: []string{"--bulkhead", "/etc/passwd"}, code: 1, says: "/etc/passwd is no program", root: true},
	} {
		if tc.root && testenv.Privileged() != nil {
			continue
		}
		var stdout, stderr bytes.Buffer
		if code := run(tc.args, &stdout, &stderr); code != tc.code || !strings.Contains(stderr.String(), tc.says) || stdout.Len() > 0 {
			t.Errorf("%q: exit code %d, want %d; stdout %q; stderr %q, want %q", tc.args, code, tc.code, &stdout, &stderr, tc.says)
		}
	}
}

// TestExpectationsFollowFromThePolicies asks the judge of all classifiers what the attempts expect of a gateway.
func TestExpectationsFollowFromThePolicies(t *testing.T) {
	first, second := parse(t, firstPolicy), parse(t, secondPolicy)
	for _, a := range attempts {
		if a.want != unseen {
			expect(t, first, a)
		} else if sideOf(a.from) != sideOf(a.to) {
			t.Errorf("%s to %s crosses the wire", a.from, a.to)
		}
	}
	expect(t, second, newlyAllowed)
	before := newlyAllowed
	before.want, before.rule = denied, defaultAction
	expect(t, first, before)
	for _, s := range streams() {
		a := attempt{from: s.from, to: s.to, how: s.network, port: s.port, want: allowed, rule: s.rule}
		if got, _ := decide(t, first, a); got != allowed {
			t.Errorf("%s: %s at first", s, got)
		}
		if s.cut {
			a.want = denied
		}
		expect(t, second, a)
	}
}

func sideOf(host string) int {
	return slices.IndexFunc(sides[:], func(side []string) bool { return slices.Contains(side, host) })
}

func expect(t *testing.T, p *policy.Policy, a attempt) {
	t.Helper()
	if got, rule := decide(t, p, a); got != a.want || rule != a.rule {
		t.Errorf("%s: %s to %s, %s: %s by %s, want %s by %s", p.File, a.from, a.to, a, got, rule, a.want, a.rule)
	}
	if sideOf(a.from) == sideOf(a.to) {
		t.Errorf("%s to %s does not cross the wire", a.from, a.to)
	}
}

// decide is what a policy says about an attempt.
func decide(t *testing.T, p *policy.Policy, a attempt) (fate, rule string) {
	t.Helper()
	linear, err := classifier.NewLinear(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	address := func(host string) netip.Addr {
		return workload(p, host).Addresses[map[bool]int{false: 0, true: 1}[a.v6]].Addr()
	}
	key := classifier.Key{Src: address(a.from), Dst: address(a.to), SrcPort: 40000, DstPort: a.port}
	switch a.how {
	case "tcp", "http":
		key.Proto = 6
	case "udp":
		key.Proto = 17
	case "ping":
		key.Proto, key.ICMPType, key.SrcPort = 1, 8, 0
		if a.v6 {
			key.Proto, key.ICMPType = 58, 128
		}
	}
	action, number := p.Default, linear.Lookup(&key)
	if number == classifier.NoRule {
		rule = defaultAction
	} else {
		action, rule = p.Rules[number].Action, p.Rules[number].Name
	}
	return map[policy.Action]string{policy.Allow: allowed, policy.Deny: denied, policy.Reject: rejected}[action], rule
}

// TestTheMistakesAreNamed: each line that says that it is a mistake, and no other.
func TestTheMistakesAreNamed(t *testing.T) {
	_, err := policy.Parse(wrongPolicy, text(wrongPolicy), policy.Options{Wires: wires})
	var problems policy.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v, want problems", err)
	}
	var got, want []int
	for _, p := range problems {
		got = append(got, p.Line)
	}
	for i, line := range strings.Split(string(text(wrongPolicy)), "\n") {
		if strings.Contains(line, "# mistake") {
			want = append(want, i+1)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) != mistakes() {
		t.Errorf("mistakes() is %d; lines of the mistakes (-want +got):\n%s", mistakes(), diff)
	}
}

func TestEveryAttemptMeetsAServer(t *testing.T) {
	for _, a := range append(slices.Clone(attempts), newlyAllowed) {
		echo := slices.Contains(echoes, place{a.to, a.how, a.port})
		if (a.how == "tcp" || a.how == "udp") && !echo {
			t.Errorf("%s to %s, %s: nobody listens", a.from, a.to, a)
		}
	}
}

func TestTheRuleThatJudgedIsTheOneThatWasMet(t *testing.T) {
	list := func(hits ...uint64) api.RuleList {
		l := api.RuleList{Generation: 1, Default: api.Default{Hits: hits[0]}}
		for i, name := range []string{"one", "two", housekeeping} {
			l.Rules = append(l.Rules, api.Rule{Name: name, Hits: hits[i+1]})
		}
		return l
	}
	for _, tc := range []struct {
		before, after api.RuleList
		want          string
	}{
		{list(1, 2, 3, 4), list(1, 2, 3, 4), ""},
		{list(1, 2, 3, 4), list(1, 4, 3, 4), "one"},
		{list(1, 2, 3, 4), list(2, 2, 3, 4), defaultAction},
		{list(1, 2, 3, 4), list(1, 2, 3, 5), ""},
		{list(1, 2, 3, 4), list(1, 2, 4, 9), "two"},
		{list(1, 2, 3, 4), list(2, 3, 4, 4), "one and two and " + defaultAction},
	} {
		got, err := judgedBy(tc.before, tc.after)
		if err != nil || got != tc.want {
			t.Errorf("from %v to %v: got %q, %v, want %q", tc.before, tc.after, got, err, tc.want)
		}
	}
	next := list(1, 2, 3, 4)
	next.Generation = 2
	if got, err := judgedBy(list(0, 0, 0, 0), next); err == nil {
		t.Errorf("across a change of the policy: got %q, want an error", got)
	}
	if got := []uint64{hitsOf(next, "two"), hitsOf(next, defaultAction), hitsOf(next, "three")}; !slices.Equal(got, []uint64{3, 1, 0}) {
		t.Errorf("hits: got %v", got)
	}
}

func TestARefusalThatArrivedIsNone(t *testing.T) {
	for _, tc := range []struct {
		reply   testenv.Reply
		arrived bool
		want    seen
	}{
		{testenv.Reply{Outcome: testenv.Silent}, false, seen{denied, "silence; db got nothing"}},
		{testenv.Reply{Outcome: testenv.Refused}, false, seen{rejected, "TCP reset; db got nothing"}},
		{testenv.Reply{Outcome: testenv.Rejected, ICMPType: 3, ICMPCode: 13}, false, seen{rejected, "ICMP 3/13; db got nothing"}},
		{testenv.Reply{Outcome: testenv.Silent}, true, seen{"arrived", "silence, but db got it"}},
	} {
		if got := refusal(tc.reply, "db", tc.arrived); got != tc.want {
			t.Errorf("%v, arrived %v: got %v, want %v", tc.reply, tc.arrived, got, tc.want)
		}
	}
}

func TestAccountOfAStream(t *testing.T) {
	at := func(number uint64, sent, arrived testenv.Instant) message { return message{number, sent, arrived} }
	for _, tc := range []struct {
		name string
		got  []message
		sent uint64
		want account
	}{
		{"nothing sent", nil, 0, account{ordered: true}},
		{"nothing arrived", nil, 2, account{ordered: true, missing: 2}},
		{"all", []message{at(0, 10, 11), at(1, 20, 25), at(2, 30, 31)}, 3, account{ordered: true, pause: 14}},
		{"the last one missing", []message{at(0, 10, 11), at(1, 20, 25)}, 3, account{ordered: true, missing: 1, pause: 14}},
		{"one in between missing", []message{at(0, 10, 11), at(2, 20, 25)}, 3, account{ordered: true, missing: 1, pause: 14}},
		{"one twice", []message{at(0, 10, 11), at(0, 10, 12)}, 2, account{pause: 1}},
		{"out of order", []message{at(1, 20, 21), at(0, 10, 22)}, 2, account{pause: 1}},
		{"sent before the moment, arrived after it", []message{at(0, 50, 90)}, 1, account{ordered: true}},
		{"sent after the moment", []message{at(0, 10, 11), at(1, 51, 52), at(2, 60, 61)}, 3, account{ordered: true, late: 2, pause: 41}},
	} {
		if got := accountOf(tc.got, tc.sent, 50); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", tc.name, got, tc.want)
		}
	}
}

func TestVerdictOnAStream(t *testing.T) {
	three := []message{{0, 10, 11}, {1, 40, 41}, {2, 60, 61}} // the moment is 50
	for _, tc := range []struct {
		name    string
		s       *stream
		sent    uint64
		starved uint64
		holds   bool
	}{
		{"goes on", &stream{network: "udp", got: three}, 3, 0, true},
		{"one datagram lost", &stream{network: "udp", got: three}, 4, 0, false},
		{"one datagram lost for want of CPU", &stream{network: "udp", got: three}, 4, 1, true},
		{"a hole in a connection", &stream{network: "tcp", got: three}, 4, 1, false},
		{"is cut", &stream{network: "udp", cut: true, before: 2, got: three[:2]}, 9, 0, true},
		{"should be cut", &stream{network: "udp", cut: true, before: 2, got: three}, 9, 0, false},
		{"nothing sent that could be cut", &stream{network: "udp", cut: true, before: 2, got: three[:2]}, 2, 0, false},
	} {
		tc.s.moment = 50
		tc.s.sent.Store(tc.sent)
		if holds, _, note := tc.s.verdict(tc.starved); holds != tc.holds {
			t.Errorf("%s: %v, %s", tc.name, holds, note)
		}
	}
}

func TestTheReportIsAlignedAndCounts(t *testing.T) {
	var b bytes.Buffer
	r := newReport(&b)
	r.section("One")
	r.showTable([]string{"FROM", "TO", "WHAT"}, []row{
		checked(true, "web", "application", "1 µs"),
		checked(false, "db", "ops", ""),
		{cells: append([]string{"x"}, toTheRight([]string{"5"}, 3)...)},
	})
	r.check(true, "all %s", "well")
	want := `
1. One
         FROM  TO           WHAT
   ok    web   application  1 µs
   WRONG db    ops
         x       5
   ok    all well
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if r.checks != 3 || r.wrong != 1 || r.err != nil {
		t.Errorf("%d checks, %d wrong, %v", r.checks, r.wrong, r.err)
	}
}

func TestColoursOnlyOnATerminal(t *testing.T) {
	if r := newReport(os.Stdin); r.colour {
		t.Skip("standard input is a terminal")
	}
	r := &report{w: &bytes.Buffer{}, colour: true}
	if got := r.mark(true); got != "\x1b[32mok    \x1b[0m" {
		t.Errorf("got %q", got)
	}
}

func TestAReportThatCannotBeWrittenSaysSo(t *testing.T) {
	r := newReport(broken{})
	r.say("one")
	r.say("two")
	if r.err == nil || r.err.Error() != "after 0 lines" {
		t.Errorf("got %v, want the first error", r.err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, fmt.Errorf("after %d lines", 0) }

func TestTheTopologyIsDrawn(t *testing.T) {
	want := `web  10.0.0.1  tier=web env=prod  --+                        +--  app  10.0.0.11  tier=app env=prod
dev  10.0.0.2  tier=web env=dev   --+-- w0 [ bulkhead ] w1 --+--  db   10.0.0.12  tier=db env=prod
ops  10.0.0.3  role=ops           --+`
	if diff := cmp.Diff(want, strings.Join(draw(parse(t, firstPolicy)), "\n")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReasonsHaveAMeaning(t *testing.T) {
	for _, reason := range []string{"default_deny", "rejected", "arp", "nd"} {
		if meaning(reason) == "" {
			t.Errorf("%s has none", reason)
		}
	}
	got := reasons(map[string]uint64{"a": 1, "b": 5}, map[string]uint64{"c": 3, "a": 3})
	if !slices.Equal(got, []string{"b", "a", "c"}) {
		t.Errorf("order: got %v", got)
	}
	w := api.Wire{A: api.Port{Dropped: map[string]uint64{"default_deny": 1, "rejected": 1}}}
	if deniedIn(w) {
		t.Error("nothing was denied by a rule")
	}
	w.B.Dropped = map[string]uint64{"denied": 1}
	if !deniedIn(w) {
		t.Error("everything was denied")
	}
	p := api.Port{Received: api.Counter{Frames: 3}, Forwarded: api.Counter{Frames: 1}, Dropped: map[string]uint64{"denied": 1}}
	if accounted(p) {
		t.Error("one of three frames is missing")
	}
}
