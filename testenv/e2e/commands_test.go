// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// command runs the binary beside the gateway, as people do.
func (g *gate) command(args ...string) (out string, code int) {
	g.t.Helper()
	binary := get(testenv.BuildGateway(soon(g.t)))(g.t)
	p := get(g.lab.Gateway.Command(binary, append(args, "--run-dir", g.runDir())...))(g.t)
	code = get(p.Wait(soon(g.t)))(g.t)
	must(g.t, p.Kill())
	return p.Log(), code
}

func TestCommandsShowAndChangeTheRunningGateway(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	ab.passes(probe(1, 53))

	out, code := g.command("status", "-o", "json")
	var s api.Status
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 || s.Generation != 1 || s.Wires[0].A.Forwarded.Frames == 0 {
		t.Errorf("status: code %d, %v, %+v", code, err, s)
	}
	for verb, want := range map[string]string{"status": "wire0", "rules": "a-to-b"} {
		if out, code := g.command(verb); code != 0 || !strings.Contains(out, want) {
			t.Errorf("%s: code %d\n%s\nwithout %q", verb, code, out, want)
		}
	}

	bad, good := filepath.Join(g.dir, "bad.toml"), filepath.Join(g.dir, "good.toml")
	write(t, bad, "default = \"deny\"\nno such thing")
	write(t, good, denyAll)
	if out, code := g.command("apply", bad); code != 1 || !strings.Contains(out, bad+":2:") {
		t.Errorf("apply of a bad policy: code %d\n%s", code, out)
	}
	ab.passes(probe(1, 53))
	if out, code := g.command("apply", good); code != 0 || !strings.Contains(out, "2") {
		t.Errorf("apply: code %d\n%s", code, out)
	}
	ab.drops(probe(1, 53))
	g.stop()
	if out, code := g.command("status"); code != 1 || !strings.Contains(out, "is bulkhead running?") {
		t.Errorf("status of a gateway that is not there: code %d\n%s", code, out)
	}
}
