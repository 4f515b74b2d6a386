// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// tiers is a lab with everything: switched and direct hosts, two wires, a VLAN on the second.
func tiers() LabConfig {
	return LabConfig{Ports: []PortConfig{
		{Hosts: []HostConfig{{Name: "web"}, {Name: "app"}}},
		{Hosts: []HostConfig{{Name: "db"}}},
		{Hosts: []HostConfig{{Name: "left", VLAN: 10}}},
		{Hosts: []HostConfig{{Name: "right", VLAN: 10}}, Switched: true},
	}}
}

func TestHostsOfAWireReachEachOtherOnlyWhenItsPortsAreJoined(t *testing.T) {
	l := LabForTest(t, tiers())
	web, app, db := l.Host("web"), l.Host("app"), l.Host("db")
	left, right := l.Host("left"), l.Host("right")
	ping := func(from *Host, to netip.Addr, want bool) {
		t.Helper()
		ctx := soon(t)
		if !want {
			ctx = brief(t)
		}
		if _, err := from.Ping(ctx, to, PingConfig{}); (err == nil) != want {
			t.Errorf("%s to %s: want an answer: %v; %v", from, to, want, err)
		}
	}
	ping(web, app.IPv4, true) // on one side: no gateway can stop them
	ping(web, db.IPv4, false)
	ping(left, right.IPv6, false)
	must(t, l.Join())
	for _, pair := range [][2]*Host{{web, db}, {db, app}, {left, right}, {right, left}} {
		ping(pair[0], pair[1].IPv4, true)
		ping(pair[0], pair[1].IPv6, true)
	}
	must(t, web.AddAddr(web.Dev, netip.MustParsePrefix("198.18.1.77/24")))
	ping(web, left.IPv4, false) // the other wire is another cable
	must(t, l.Unjoin())
	ping(web, db.IPv4, false)
	must(t, l.Join())
	must(t, db.SetUp(db.Dev, false))
	ping(web, db.IPv4, false)
	must(t, db.SetUp(db.Dev, true))
	must(t, l.WaitUp(soon(t)))
	ping(web, db.IPv6, true)
	must(t, l.Gateway.SetUp("w0", false))
	if err := web.WaitUp(brief(t), web.Dev); err != nil { // its own cable leads to the switch
		t.Error(err)
	}
	if err := l.WaitUp(brief(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a port that is down: %v, want deadline exceeded", err)
	}
	must(t, l.Gateway.SetUp("w0", true))
	must(t, l.WaitUp(soon(t)))
	ping(web, db.IPv4, true)
}

func TestLabIsAsConfigured(t *testing.T) {
	cfg := tiers()
	cfg.MTU, cfg.Queues, cfg.StaticNeighbours, cfg.Name = 3000, 3, true, "cfg"
	cfg.Ports[0].Name = "inside"
	cfg.Ports[1].Hosts[0].Addrs = []netip.Prefix{netip.MustParsePrefix("198.18.0.200/24")}
	l := LabForTest(t, cfg)
	if want := []string{"inside", "w1", "w2", "w3"}; !slices.Equal(l.Ports, want) {
		t.Errorf("ports %v, want %v", l.Ports, want)
	}
	for _, end := range []struct {
		ns  *NS
		dev string
	}{{l.Gateway, "inside"}, {l.Gateway, "w1"}, {l.Host("web").NS, "eth0"}, {l.Host("db").NS, "eth0"}} {
		must(t, end.ns.onLink("inspect", end.dev, func(link netlink.Link) error {
			if a := link.Attrs(); a.MTU != 3000 || a.NumRxQueues != 3 || a.NumTxQueues != 3 {
				t.Errorf("%s/%s: mtu %d, queues %d and %d", end.ns, end.dev, a.MTU, a.NumRxQueues, a.NumTxQueues)
			}
			return nil
		}))
		on, err := end.ns.Offloads(end.dev)
		must(t, err)
		for name, want := range wireOffloads {
			if on[name] != want {
				t.Errorf("%s/%s: %s is %v", end.ns, end.dev, name, on[name])
			}
		}
	}
	web, db := l.Host("web"), l.Host("db")
	if mac, err := web.HardwareAddr("eth0"); err != nil || mac.String() != "02:bb:00:00:00:01" || web.MAC.String() != mac.String() {
		t.Errorf("mac of web: %v %v", mac, err)
	}
	if web.IPv4.String() != "198.18.0.1" || web.IPv6.String() != "2001:db8::1" || l.Host("right").IPv4.String() != "198.18.1.5" {
		t.Errorf("addresses: %v %v %v", web.IPv4, web.IPv6, l.Host("right").IPv4)
	}
	if db.IPv4.String() != "198.18.0.200" || db.IPv6.IsValid() {
		t.Errorf("db has %v and %v", db.IPv4, db.IPv6)
	}
	// With static neighbours a capture of the first packet shows no ARP.
	raw := RawForTest(t, db.NS, "eth0")
	must(t, l.Join())
	_, err := web.Ping(soon(t), db.IPv4, PingConfig{})
	must(t, err)
	first, err := raw.Recv(soon(t), func(f []byte) bool { return f[12] == 8 })
	if err != nil || first.Frame[13] != 0 {
		t.Errorf("the first frame is %x: %v", first.Frame, err)
	}
	left, err := filepath.Glob(filepath.Join(namesDir, fmt.Sprintf("bh-%d-*-cfg.*", os.Getpid())))
	if err != nil || len(left) != 8 {
		t.Errorf("names %v, want 8 (gateway, 2 switches, 5 hosts): %v", left, err)
	}
	must(t, l.Close())
	if left, _ = filepath.Glob(filepath.Join(namesDir, fmt.Sprintf("bh-%d-*-cfg.*", os.Getpid()))); left != nil {
		t.Errorf("after Close there still are %v", left)
	}
}

func TestJumboFramesPass(t *testing.T) {
	cfg := TwoHosts()
	cfg.MTU = 9000
	l := LabForTest(t, cfg)
	must(t, l.Join())
	a, b := l.Host("a"), l.Host("b")
	whole := PingConfig{Size: 9000 - 20 - 8, DontFragment: true}
	_, err := a.Ping(soon(t), b.IPv4, whole)
	must(t, err)
	whole.Size++
	if _, err := a.Ping(soon(t), b.IPv4, whole); err == nil || !strings.Contains(err.Error(), "message too long") {
		t.Errorf("a byte more: %v, want message too long", err)
	}
	must(t, b.SetMTU("eth0", 1500))
	whole.Size = 1500 - 20 - 8 + 100
	if _, err := a.Ping(brief(t), b.IPv4, whole); err == nil {
		t.Error("a frame longer than the far end's MTU arrived")
	}
}

func TestBadConfigurationsAreRefused(t *testing.T) {
	host := func(names ...string) (hosts []HostConfig) {
		for _, n := range names {
			hosts = append(hosts, HostConfig{Name: n})
		}
		return hosts
	}
	many := make([]string, maxHosts+1)
	for i := range many {
		many[i] = fmt.Sprint("h", i)
	}
	for why, ports := range map[string][]PortConfig{
		"no ports":         nil,
		"has no host":      {{Name: "w7"}},
		"unique":           {{Hosts: host("a", "a")}},
		`host ""`:          {{Hosts: host("")}},
		"15 bytes":         {{Hosts: host("a-name-of-16-byte")}},
		"at most 254":      {{Hosts: host(many...)}},
		`host "br0"`:       {{Hosts: host("br0")}},
		"the port w1 is t": {{Hosts: host("a"), Name: "w1"}, {Hosts: host("b")}},
	} {
		if _, err := NewLab(LabConfig{Ports: ports}); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want an error with %q", err, why)
		}
	}
}

func TestLabThatCannotBeBuiltLeavesNothing(t *testing.T) {
	RequireForTest(t)
	before := process.count()
	cfg := TwoHosts()
	cfg.MTU = 1 << 20
	if l, err := NewLab(cfg); err == nil {
		t.Errorf("an MTU of 1 MiB: got lab %v", l)
	}
	if after := process.count(); after != before {
		t.Errorf("%d things were open before, %d after", before, after)
	}
}

func TestHostPanicsOnAnUnknownName(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	(&Lab{}).Host("nobody")
}
