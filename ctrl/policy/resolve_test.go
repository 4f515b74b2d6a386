// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/netip"
	"path/filepath"
	"testing"

	"bulkhead/classifier"
	"bulkhead/dataplane/packet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const example = `default = "deny"

[workload.web-2]
addresses = ["10.0.0.2", "2001:db8::2"]
labels = { tier = "web", env = "test" }

[workload.web-1]
addresses = ["10.0.0.1"]
labels = { tier = "web", env = "prod" }

[workload.db]
addresses = ["10.0.1.0/24"]
labels = { tier = "db", env = "prod" }

[service.postgres]
tcp = [5432, "6432-6433", 6434]

[service.dns]
tcp = [53]
udp = [53]
udp_source = ["1024-65535"]

[service.odd]
sctp = true
icmp = ["echo-request", "9/16"]
icmpv6 = true
protocol = ["esp", 89]
tunnel = ["vxlan"]

[[rule]]
name = "web-to-db"
from = "tier = web and env = prod"
to = "name=db"
services = ["postgres"]
action = "allow"

[[rule]]
name = "odd"
from = "env=prod"
to = "any"
services = ["odd", "dns"]
action = "allow"
wires = ["b", "a", "b"]

[[rule]]
name = "same-sets"
from = "name=web-1"
to = "tier in (db, web) and not env=test"
services = ["ping"]
action = "reject"
`

// mustParse returns the policy of a text that is right.
func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := Parse("test.toml", []byte(text), Options{Wires: map[string]uint16{"a": 3, "b": 1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := classifier.NewLinear(p.Program); err != nil {
		t.Fatalf("the classifier refuses the program: %v", err)
	}
	return p
}

func prefixes(list ...string) []netip.Prefix {
	var p []netip.Prefix
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func TestResolveMakesTheProgramThatTheTextSays(t *testing.T) {
	p := mustParse(t, example)
	port := func(lo, hi uint16) classifier.PortRange { return classifier.PortRange{Lo: lo, Hi: hi} }
	want := &classifier.Program{
		Sets: []classifier.Set{
			{Name: "tier=web and env=prod", Prefixes: prefixes("10.0.0.1/32")},
			{Name: "name=db", Prefixes: prefixes("10.0.1.0/24")},
			{Name: "env=prod", Prefixes: prefixes("10.0.0.1/32", "10.0.1.0/24")},
		},
		Rules: []classifier.Rule{
			{Src: 0, Dst: 1, Verdict: 1, Services: []classifier.Service{
				{Proto: 6, DstPorts: []classifier.PortRange{port(5432, 5432), port(6432, 6434)}},
			}},
			{Src: 2, Dst: classifier.AnySet, Verdict: 1, Wires: []uint16{1, 3}, Services: []classifier.Service{
				{Proto: 132},
				{Proto: 1, Type: 8, AnyCode: true},
				{Proto: 1, Type: 9, Code: 16},
				{Proto: 58, AnyICMP: true},
				{Proto: 50},
				{Proto: 89},
				{Tunnel: uint8(packet.VXLAN)},
				{Proto: 6, DstPorts: []classifier.PortRange{port(53, 53)}},
				{Proto: 17, DstPorts: []classifier.PortRange{port(53, 53)}, SrcPorts: []classifier.PortRange{port(1024, 65535)}},
			}},
			{Src: 0, Dst: 2, Verdict: 2, Services: []classifier.Service{
				{Proto: 1, Type: 8, AnyCode: true},
				{Proto: 58, Type: 128, AnyCode: true},
			}},
		},
	}
	if diff := cmp.Diff(want, p.Program, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestPolicyTellsPeopleWhereRulesAndWorkloadsAre(t *testing.T) {
	p := mustParse(t, example)
	sum := sha256.Sum256([]byte(example))
	want := &Policy{
		File: "test.toml", Hash: hex.EncodeToString(sum[:]), Default: Deny,
		Rules: []RuleInfo{
			{Name: "web-to-db", File: "test.toml", Line: 30, Action: Allow, From: "tier = web and env = prod", To: "name=db", Services: []string{"postgres"}, Wires: []string{}},
			{Name: "odd", File: "test.toml", Line: 37, Action: Allow, From: "env=prod", To: "any", Services: []string{"odd", "dns"}, Wires: []string{"b", "a", "b"}},
			{Name: "same-sets", File: "test.toml", Line: 45, Action: Reject, From: "name=web-1", To: "tier in (db, web) and not env=test", Services: []string{"ping"}, Wires: []string{}},
		},
		Workloads: []Workload{
			{Name: "db", Line: 11, Addresses: prefixes("10.0.1.0/24"), Labels: map[string]string{"tier": "db", "env": "prod"}},
			{Name: "web-1", Line: 7, Addresses: prefixes("10.0.0.1/32"), Labels: map[string]string{"tier": "web", "env": "prod"}},
			{Name: "web-2", Line: 3, Addresses: prefixes("10.0.0.2/32", "2001:db8::2/128"), Labels: map[string]string{"tier": "web", "env": "test"}},
		},
	}
	opts := cmp.Options{
		cmpopts.IgnoreFields(Policy{}, "Program"), cmpopts.IgnoreUnexported(Policy{}),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
	if diff := cmp.Diff(want, p, opts); diff != "" {
		t.Error(diff)
	}
	for rule, name := range map[int]string{0: "web-to-db", 2: "same-sets", classifier.NoRule: "default", 3: "default"} {
		if got := p.RuleName(rule); got != name {
			t.Errorf("RuleName(%d) = %q, want %q", rule, got, name)
		}
	}
}

func TestWorkloadFindsTheOwnerOfAnAddress(t *testing.T) {
	p := mustParse(t, example)
	tests := map[string]string{
		"10.0.0.0": "", "10.0.0.1": "web-1", "10.0.0.2": "web-2", "10.0.0.3": "",
		"10.0.1.0": "db", "10.0.1.255": "db", "10.0.2.0": "", "255.255.255.255": "", "0.0.0.0": "",
		"2001:db8::1": "", "2001:db8::2": "web-2", "2001:db8::3": "", "::": "", "::ffff:10.0.0.1": "",
	}
	for addr, want := range tests {
		if got, ok := p.Workload(netip.MustParseAddr(addr)); got != want || ok != (want != "") {
			t.Errorf("Workload(%s) = %q, %v; want %q", addr, got, ok, want)
		}
	}
	if name, ok := p.Workload(netip.Addr{}); ok {
		t.Errorf("no address belongs to %q", name)
	}
}

func TestWithoutWiresTheirNamesAreAssumed(t *testing.T) {
	p, err := Parse("f", []byte(example), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "a"}, p.AssumedWires); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint16{0, 1}, p.Program.Rules[1].Wires); diff != "" {
		t.Error(diff)
	}
	if p := mustParse(t, example); p.AssumedWires != nil {
		t.Errorf("assumed %v though all are known", p.AssumedWires)
	}
}

func TestNoWiresAtAllIsNotTheSameAsUnknownWires(t *testing.T) {
	if p, err := Parse("f", []byte(example), Options{Wires: map[string]uint16{}}); err == nil {
		t.Errorf("accepted: %+v", p.AssumedWires)
	}
}

func TestAnEmptyFileDeniesEverything(t *testing.T) {
	p := mustParse(t, "")
	if p.Default != Deny || len(p.Program.Rules) != 0 {
		t.Errorf("default %v, %d rules", p.Default, len(p.Program.Rules))
	}
	if p := mustParse(t, `default = "allow"`); p.Default != Allow {
		t.Errorf("default %v, want allow", p.Default)
	}
}

func TestLoadSaysWhyAFileCannotBeRead(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "none.toml"), Options{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestActionsAreWords(t *testing.T) {
	for a, word := range map[Action]string{Deny: "deny", Allow: "allow", Reject: "reject"} {
		text, err := a.MarshalText()
		var back Action
		if err != nil || string(text) != word || back.UnmarshalText(text) != nil || back != a {
			t.Errorf("%d is written %q, %v, and read %d", a, text, err, back)
		}
	}
	var a Action
	if err := a.UnmarshalText([]byte("permit")); err == nil {
		t.Error("permit is an action")
	}
	if got := Action(9).String(); got != "action 9" {
		t.Error(got)
	}
}
