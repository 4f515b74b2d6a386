// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"bulkhead/ctrl/api"
	"bulkhead/dataplane"
)

// The policies of these tests: one rule, two rules, and a mistake.
const (
	onePolicy = `default = "deny"
[workload.web]
addresses = ["10.0.0.1"]
labels = { tier = "web" }
[service.https]
tcp = [443]
[[rule]]
name = "to-web"
from = "any"
to = "tier=web"
services = ["https"]
action = "allow"
`
	twoPolicy = onePolicy + `[[rule]]
name = "from-web"
from = "tier=web"
to = "any"
services = ["https"]
action = "reject"
`
	badPolicy = onePolicy + "[[rule]]\nname = \"x\"\nfrom = \"any\"\nto = \"any\"\nservices = [\"htps\"]\naction = \"allow\"\n"
)

// running is `bulkhead run` in the background.
type running struct {
	*fakeSystem
	dir    string // where its files are
	runDir string
	policy string
	code   chan int
}

// startRun runs a gateway on a policy; set changes the system before, more adds
// arguments.
func startRun(t *testing.T, policy string, set func(*fakeSystem), more ...string) *running {
	t.Helper()
	r := &running{fakeSystem: newFakeSystem(), dir: t.TempDir(), code: make(chan int, 1)}
	r.runDir = filepath.Join(r.dir, "run")
	r.policy = write(t, r.dir, "policy.toml", policy)
	if set != nil {
		set(r.fakeSystem)
	}
	args := append([]string{"run", "--wire", "eth0:eth1@20", "--policy", r.policy, "--run-dir", r.runDir, "--bpffs", ""}, more...)
	go func() { r.code <- r.main(args) }()
	return r
}

// ready waits until the gateway says so.
func (r *running) ready(t *testing.T) {
	t.Helper()
	eventually(t, "ready", func() bool { return slices.Contains(strings.Split(r.err.String(), "\n"), "ready") })
}

// end waits for the gateway's exit code and looks for what is left behind.
func (r *running) end(t *testing.T, want int) {
	t.Helper()
	if got := <-r.code; got != want {
		t.Errorf("exit code %d, want %d:\n%s", got, want, r.err.String())
	}
	if _, err := os.Stat(r.runDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the run directory is left behind: %v", err)
	}
}

func TestRunIsReadyAndEndsCleanlyOnASignal(t *testing.T) {
	for _, sig := range []os.Signal{unix.SIGINT, unix.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			r := startRun(t, onePolicy, nil)
			r.ready(t)
			if _, err := os.Stat(api.SocketPath(r.runDir)); err != nil {
				t.Errorf("ready without a control socket: %v", err)
			}
			r.signal <- sig
			r.signal <- sig // a second one does not change the way it ends
			r.end(t, exitDone)
			if !r.engine.closed {
				t.Error("the engine was not closed")
			}
			if n := strings.Count(r.err.String(), "ready\n"); n != 1 {
				t.Errorf("%d times ready:\n%s", n, r.err.String())
			}
		})
	}
}

func TestRunIsReadyOnlyWhenAllWiresForward(t *testing.T) {
	e := newFakeEngine()
	r := startRun(t, onePolicy, func(f *fakeSystem) {
		f.engine = e
		f.open = func(c dataplane.Config, log *slog.Logger) (engine, error) {
			e.open(c, log)
			e.status.Wires[1].State = dataplane.Down
			return e, nil
		}
	}, "--wire", "eth2:eth3")
	eventually(t, "the control socket", func() bool {
		code, _, _ := runCommand("status", "--run-dir", r.runDir)
		return code == exitDone
	})
	for range 5 { // looks at the wires, of which none may satisfy
		runCommand("status", "--run-dir", r.runDir)
		if strings.Contains(r.err.String(), "ready") {
			t.Fatal("ready with a wire down")
		}
	}
	e.set(func(e *fakeEngine) { e.status.Wires[1].State = dataplane.Up })
	r.ready(t)
	r.signal <- unix.SIGTERM
	r.end(t, exitDone)
}

func TestVerbsTalkToARunningGateway(t *testing.T) {
	r := startRun(t, onePolicy, nil)
	r.ready(t)
	two := write(t, r.dir, "two.toml", twoPolicy)
	code, out, errs := runCommand("apply", two, "--run-dir", r.runDir, "-o", "json")
	var applied api.Applied
	if err := json.Unmarshal([]byte(out), &applied); code != exitDone || err != nil {
		t.Fatalf("apply: %d %s %s", code, out, errs)
	}
	if applied.Generation != 2 || applied.Rules != 2 {
		t.Errorf("applied %+v", applied)
	}
	r.engine.set(func(e *fakeEngine) { e.status.Hits = []uint64{7, 1234}; e.status.DefaultHits = 3 })
	if _, out, _ = runCommand("rules", "--run-dir", r.runDir, "-o", "json"); true {
		var list api.RuleList
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatal(err)
		}
		want := []api.Rule{{Name: "to-web", File: two, Line: 7, Action: "allow", Hits: 7}, {Name: "from-web", File: two, Line: 13, Action: "reject", Hits: 1234}}
		if !slices.Equal(list.Rules, want) || list.Default != (api.Default{Action: "deny", Hits: 3}) {
			t.Errorf("rules %+v", list)
		}
	}
	code, out, _ = runCommand("status", "--run-dir", r.runDir)
	if code != exitDone || !strings.Contains(out, "generation 2, 2 rules") || !strings.Contains(out, "b eth1@20") || !strings.Contains(out, two) {
		t.Errorf("status: %d\n%s", code, out)
	}
	r.signal <- unix.SIGTERM
	r.end(t, exitDone)
}

func TestRefusedPolicyChangesNothing(t *testing.T) {
	r := startRun(t, onePolicy, nil)
	r.ready(t)
	bad := write(t, r.dir, "bad.toml", badPolicy)
	code, out, errs := runCommand("apply", bad, "--run-dir", r.runDir)
	if code != exitFailed || out != "" || !strings.Contains(errs, bad+":") || !strings.Contains(errs, "htps") {
		t.Errorf("apply of a bad policy: %d\n%s\n%s", code, out, errs)
	}
	code, out, errs = runCommand("apply", bad, "--run-dir", r.runDir, "-o", "json")
	var f api.Failure
	if err := json.Unmarshal([]byte(out), &f); code != exitFailed || err != nil || len(f.Problems) != 1 || errs != "" {
		t.Errorf("apply -o json of a bad policy: %d\n%s\n%s", code, out, errs)
	}
	if len(r.engine.published) != 1 {
		t.Errorf("%d policies were published", len(r.engine.published))
	}
	r.signal <- unix.SIGTERM
	r.end(t, exitDone)
}

func TestHangUpReloadsThePolicyFile(t *testing.T) {
	r := startRun(t, onePolicy, nil)
	r.ready(t)
	generation := func() uint32 { return r.engine.Status().Generation }

	write(t, r.dir, "policy.toml", twoPolicy)
	r.signal <- unix.SIGHUP
	eventually(t, "the new policy", func() bool { return generation() == 2 })

	write(t, r.dir, "policy.toml", badPolicy)
	r.signal <- unix.SIGHUP
	eventually(t, "the complaint", func() bool { return strings.Contains(r.err.String(), "htps") })
	os.Remove(r.policy)
	r.signal <- unix.SIGHUP
	eventually(t, "the complaint", func() bool { return strings.Contains(r.err.String(), "no such file") })
	if generation() != 2 {
		t.Errorf("a bad policy file changed the policy")
	}
	r.signal <- unix.SIGTERM
	r.end(t, exitDone)
}

func TestMistakesAreFoundBeforeAnythingIsTouched(t *testing.T) {
	dir := t.TempDir()
	good, bad := write(t, dir, "good.toml", onePolicy), write(t, dir, "bad.toml", badPolicy)
	otherWire := write(t, dir, "wire.toml", strings.Replace(onePolicy, `action = "allow"`, "action = \"allow\"\nwires = [\"dmz\"]", 1))
	runDir := filepath.Join(dir, "run")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no policy file", []string{"--wire", "a:b", "--policy", filepath.Join(dir, "none.toml")}, exitFailed, "no such file"},
		{"a directory as policy", []string{"--wire", "a:b", "--policy", dir}, exitFailed, "not a regular file"},
		{"bad policy", []string{"--wire", "a:b", "--policy", bad}, exitFailed, bad + ":"},
		{"policy for another wire", []string{"--wire", "a:b", "--policy", otherWire}, exitFailed, "dmz"},
		{"no configuration file", []string{"--config", filepath.Join(dir, "none.toml")}, exitFailed, "no such file"},
		{"policy as configuration", []string{"--config", good}, exitFailed, "rule"},
		{"one port", []string{"--wire", "eth0", "--policy", good}, exitUsage, "eth0:eth1"},
		{"three ports", []string{"--wire", "a:b:c", "--policy", good}, exitUsage, "b:c"},
		{"long interface", []string{"--wire", "abcdefghijklmnop:b", "--policy", good}, exitUsage, "abcdefghijklmnop"},
		{"empty interface", []string{"--wire", ":b", "--policy", good}, exitUsage, "empty"},
		{"VLAN 0", []string{"--wire", "a@0:b", "--policy", good}, exitUsage, "4094"},
		{"VLAN 4095", []string{"--wire", "a@4095:b", "--policy", good}, exitUsage, "4094"},
		{"VLAN ten", []string{"--wire", "a@ten:b", "--policy", good}, exitUsage, "ten"},
		{"a port twice", []string{"--wire", "a:a", "--policy", good}, exitUsage, "already"},
		{"wire without policy", []string{"--wire", "a:b"}, exitUsage, "policy"},
		{"policy without wire", []string{"--policy", good}, exitUsage, "--wire"},
		{"wire and config", []string{"--wire", "a:b", "--policy", good, "--config", good}, exitUsage, "config"},
		{"name with config", []string{"--config", good, "--name", "x"}, exitUsage, "--name"},
		{"name of a path", []string{"--wire", "a:b", "--policy", good, "--name", "../x"}, exitUsage, "--name"},
		{"unknown mode", []string{"--wire", "a:b", "--policy", good, "--mode", "fast"}, exitUsage, "native, copy, generic"},
		{"unknown fail mode", []string{"--wire", "a:b", "--policy", good, "--fail", "ajar"}, exitUsage, "closed, open"},
		{"unknown log level", []string{"--wire", "a:b", "--policy", good, "--log-level", "all"}, exitUsage, "debug, info"},
		{"unknown flag", []string{"--wires", "a:b"}, exitUsage, "--wires"},
		{"an argument", []string{"eth0:eth1"}, exitUsage, "eth0:eth1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFakeSystem()
			f.open = func(dataplane.Config, *slog.Logger) (engine, error) {
				t.Error("the data plane was opened")
				return nil, errors.New("opened")
			}
			f.drop = func() error { t.Error("privileges were dropped"); return nil }
			code := f.main(append([]string{"run", "--run-dir", runDir}, c.args...))
			if code != c.code || !strings.Contains(f.err.String(), c.want) {
				t.Errorf("exit code %d, want %d with %q:\n%s", code, c.code, c.want, f.err.String())
			}
			if help := strings.Contains(f.err.String(), "'bulkhead run --help'"); help != (c.code == exitUsage) {
				t.Errorf("points to the help: %v\n%s", help, f.err.String())
			}
			if _, err := os.Stat(runDir); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the run directory was made: %v", err)
			}
		})
	}
}

func TestWhatFailsAtTheStartLeavesNothingBehind(t *testing.T) {
	broken := errors.New("eth0: no such interface")
	for name, set := range map[string]func(*fakeSystem){
		"drop": func(f *fakeSystem) { f.drop = func() error { return broken } },
		"open": func(f *fakeSystem) {
			f.open = func(dataplane.Config, *slog.Logger) (engine, error) { return nil, broken }
		},
		"publish": func(f *fakeSystem) { f.engine.err = broken },
	} {
		t.Run(name, func(t *testing.T) {
			r := startRun(t, onePolicy, set)
			r.end(t, exitFailed)
			if !strings.Contains(r.err.String(), broken.Error()) {
				t.Errorf("the cause is not named:\n%s", r.err.String())
			}
			if name == "publish" && !r.engine.closed {
				t.Error("the engine was not closed")
			}
		})
	}
}

func TestFailedGatewayEndsTheProcessLoudly(t *testing.T) {
	r := startRun(t, onePolicy, nil)
	r.ready(t)
	r.engine.failed <- errors.New("worker of queue 3 died")
	r.end(t, exitFailed)
	if !strings.Contains(r.err.String(), "bulkhead: the gateway has failed: worker of queue 3 died\n") {
		t.Errorf("said:\n%s", r.err.String())
	}
	if !r.engine.closed {
		t.Error("the engine was not closed")
	}
}

func TestSecondGatewayInARunDirectoryIsRefused(t *testing.T) {
	r := startRun(t, onePolicy, nil)
	r.ready(t)
	code, _, errs := runCommand("run", "--wire", "a:b", "--policy", r.policy, "--run-dir", r.runDir, "--bpffs", "")
	if code != exitFailed || !strings.Contains(errs, fmt.Sprintf("pid %d", os.Getpid())) {
		t.Errorf("second gateway: %d\n%s", code, errs)
	}
	if code, _, errs := runCommand("status", "--run-dir", r.runDir); code != exitDone {
		t.Errorf("the first was disturbed: %s", errs)
	}
	r.signal <- unix.SIGTERM
	r.end(t, exitDone)
}

func TestStatusNamesThePolicyThatItIsAboutWhileOneIsPublished(t *testing.T) {
	e := newFakeEngine()
	e.open(dataplane.Config{Name: "gw"}, nil)
	g := newGateway(e, &plan{}, newFakeSystem().now)
	apply := func(name, text string) {
		if _, err := g.Apply(t.Context(), api.Change{File: name, Text: []byte(text)}); err != nil {
			t.Error(err)
		}
	}
	if s, l := g.Status(), g.Rules(); s.Policy.File != "" || len(l.Rules) != 0 || l.Default.Action != "deny" {
		t.Errorf("before the first policy: %+v %+v", s, l)
	}
	apply("one", onePolicy)
	e.set(func(e *fakeEngine) {
		e.onPublish = func() {
			if s, l := g.Status(), g.Rules(); s.Policy.File != "one" || len(l.Rules) != 1 {
				t.Errorf("before it is in force: %+v %+v", s, l)
			}
			e.set(func(e *fakeEngine) { e.status.Generation = 2 }) // in force before Publish returns
			if s, l := g.Status(), g.Rules(); s.Policy.File != "two" || len(l.Rules) != 2 {
				t.Errorf("once it is in force: %+v %+v", s, l)
			}
			e.set(func(e *fakeEngine) { e.status.Generation = 1 })
		}
	})
	apply("two", twoPolicy)
	if s := g.Status(); s.Policy.File != "two" || s.Generation != 2 {
		t.Errorf("afterwards: %+v", s)
	}
}
