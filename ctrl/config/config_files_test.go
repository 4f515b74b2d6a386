// SPDX-License-Identifier: Apache-2.0

package config

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bulkhead/classifier"
	"bulkhead/ctrl/policy"
	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/event"

	"github.com/google/go-cmp/cmp"
)

const (
	configs  = "../../configs"
	shown    = configs + "/bulkhead.toml"
	policies = configs + "/policies"
)

func TestTheShownFileHoldsTheDefaults(t *testing.T) {
	got, err := Load(shown)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	w := DefaultWire()
	w.Name, w.A.Interface, w.B.Interface = "uplink", "eth0", "eth1"
	want.Wires = []Wire{w}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configs/bulkhead.toml differs from Default:\n%s", diff)
	}
}

// TestTheShownFileHasEveryKey compares the keys of the file with the tags of
// the structs and the list of reasons: neither has one that the other lacks.
func TestTheShownFileHasEveryKey(t *testing.T) {
	text, err := os.ReadFile(shown)
	if err != nil {
		t.Fatal(err)
	}
	file, err := tomlfile.Parse(shown, text)
	if err != nil {
		t.Fatal(err)
	}
	got := keysOfTable("", file.Root)
	want := keysOfType("", reflect.TypeFor[Config]())
	for _, r := range configurable() {
		want = append(want, "exceptions."+reasonName(r))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// keysOfTable lists the keys of a file, those of each table behind its name.
func keysOfTable(path string, t *tomlfile.Table) []string {
	var keys []string
	for _, v := range t.Entries {
		switch v.Kind {
		case tomlfile.KindTable:
			keys = append(keys, keysOfTable(path+v.Name+".", v.Table)...)
		case tomlfile.KindList:
			keys = append(keys, keysOfTable(path+v.Name+".", v.Items[0].Table)...)
		default:
			keys = append(keys, path+v.Name)
		}
	}
	return keys
}

// keysOfType lists the tags of a struct in the same way.
func keysOfType(path string, t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		tag := f.Tag.Get("toml")
		inner := f.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		switch {
		case inner.Kind() == reflect.Map: // its keys are the reasons
		case inner.Kind() == reflect.Struct && inner != reflect.TypeFor[Port]():
			keys = append(keys, keysOfType(path+tag+".", inner)...)
		default:
			for key := range strings.SplitSeq(tag, ",") {
				keys = append(keys, path+key)
			}
		}
	}
	return keys
}

// TestEveryFileLoads: what lies under configs is a configuration, a policy, or
// of another kind that has a test of its own.
func TestEveryFileLoads(t *testing.T) {
	loaded := 0
	err := filepath.WalkDir(configs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".toml" {
			return err
		}
		loaded++
		if filepath.Dir(path) == filepath.Clean(policies) {
			loadPolicy(t, path)
			return nil
		}
		if _, err := Load(path); err != nil {
			t.Errorf("%v", err)
		}
		return nil
	})
	if err != nil || loaded < 5 {
		t.Errorf("%d files loaded, %v", loaded, err)
	}
}

func loadPolicy(t *testing.T, path string) *policy.Policy {
	t.Helper()
	p, err := policy.Load(path, policy.Options{})
	if err != nil {
		t.Errorf("%v", err)
		return nil
	}
	if _, err := classifier.NewLinear(p.Program); err != nil {
		t.Errorf("%s: %v", path, err)
	}
	return p
}

// TestExamplePoliciesSayWhatTheyClaim asks each about packets by the names of
// workloads; "world" is an address that none has.
func TestExamplePoliciesSayWhatTheyClaim(t *testing.T) {
	tests := []struct {
		policy, from, to, service, want string
	}{
		{"allow-all", "world", "world", "tcp/443", "default allow"},
		{"deny-all", "world", "world", "tcp/443", "default deny"},

		{"three-tier", "world", "web1", "tcp/443", "customers-to-web allow"},
		{"three-tier", "world", "web1", "udp/443", "customers-to-web allow"},
		{"three-tier", "world", "web1", "tcp/22", "default deny"},
		{"three-tier", "world", "app1", "tcp/8080", "default deny"},
		{"three-tier", "web1", "app2", "tcp/8444", "web-to-app allow"},
		{"three-tier", "web1", "app2", "tcp/8446", "default deny"},
		{"three-tier", "web1", "db1", "tcp/5432", "web-not-to-db reject"},
		{"three-tier", "web1", "db1", "vxlan", "web-not-to-db reject"},
		{"three-tier", "app1", "db1", "tcp/5432", "app-to-db allow"},
		{"three-tier", "db1", "app1", "tcp/5432", "default deny"},
		{"three-tier", "admins", "db1", "tcp/22", "admins-to-all allow"},
		{"three-tier", "admins", "db1", "ping", "admins-to-all allow"},
		{"three-tier", "web2", "web1", "tcp/80", "customers-to-web allow"},

		{"datacentre", "test", "shop-web", "tcp/443", "test-never-to-prod reject"},
		{"datacentre", "world", "shop-web", "tcp/443", "customers-to-shop allow"},
		{"datacentre", "shop-app", "shop-db", "tcp/5432", "shop-app-to-db allow"},
		{"datacentre", "portal-app", "shop-db", "tcp/5432", "card-data-only-from-its-application deny"},
		{"datacentre", "bastion", "shop-db", "tcp/22", "administration allow"},
		{"datacentre", "test", "dns", "udp/53", "dns allow"},
		{"datacentre", "world", "dns", "udp/53", "default deny"},
		{"datacentre", "backup", "shop-db", "tcp/1557", "backup allow"},
		{"datacentre", "metrics", "portal-db", "tcp/9205", "metrics allow"},
		{"datacentre", "hypervisors", "hypervisors", "vxlan", "overlay allow"},
		{"datacentre", "hypervisors", "hypervisors", "udp/4788", "default deny"},
		{"datacentre", "routers", "ospf", "proto/89", "routing allow"},
		{"datacentre", "ospf", "routers", "proto/89", "default deny"},
		{"datacentre", "portal-web", "portal-app", "sctp/36412", "portal-inside allow"},
		{"datacentre", "portal-db", "portal-app", "tcp/8080", "default deny"},
	}
	for _, test := range tests {
		p := loadPolicy(t, filepath.Join(policies, test.policy+".toml"))
		if p == nil {
			continue
		}
		k := keyOf(t, p, test.from, test.to, test.service)
		if got := answer(t, p, k); got != test.want {
			t.Errorf("%s: %s to %s, %s: %s; want %s", test.policy, test.from, test.to, test.service, got, test.want)
		}
	}
}

// answer is the rule that a packet meets and what is done with it.
func answer(t *testing.T, p *policy.Policy, k classifier.Key) string {
	l, err := classifier.NewLinear(p.Program)
	if err != nil {
		t.Fatal(err)
	}
	rule, action := l.Lookup(&k), p.Default
	if rule != classifier.NoRule {
		action = policy.Action(p.Program.Rules[rule].Verdict)
	}
	return p.RuleName(rule) + " " + action.String()
}

func TestReasonsHaveOneNameEach(t *testing.T) {
	names := map[string]event.Reason{}
	for _, r := range configurable() {
		name := reasonName(r)
		if other, there := names[name]; there || !tomlfile.IsName(name) {
			t.Errorf("%q is the name of %d and %d", name, r, other)
		}
		names[name] = r
	}
}
