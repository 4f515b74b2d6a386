// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"testing"

	"github.com/vishvananda/netlink"

	"bulkhead/testenv"
)

// trunk is a lab whose gateway has hosts ten and twenty, of VLANs 10 and 20, on
// one port:
//
//	host ten ===== w0 --+
//	                    hub -- up ===== trunk      (all inside the gateway's namespace)
//	host twenty == w1 --+
//
// The hub is a bridge that learns nothing: the MAC of each host comes by two of
// its ports, which a switch would tell apart by VLAN.
func trunk(t testing.TB) *testenv.Lab {
	t.Helper()
	cfg := testenv.LabConfig{
		ExactCapture: true, StaticNeighbours: true,
		Ports: []testenv.PortConfig{
			{Hosts: []testenv.HostConfig{{Name: "ten", VLAN: 10}}},
			{Hosts: []testenv.HostConfig{{Name: "twenty", VLAN: 20}}},
		},
	}
	lab := testenv.LabForTest(t, cfg)
	gw := lab.Gateway
	must(t, gw.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "trunk"
		v := netlink.NewVeth(attrs)
		v.PeerName = "up"
		if err := netlink.LinkAdd(v); err != nil {
			return err
		}
		attrs.Name = "hub"
		learn, group := uint32(0), uint16(0xfff8)
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, AgeingTime: &learn, GroupFwdMask: &group})
	}))
	must(t, gw.Do(func() error {
		hub, err := netlink.LinkByName("hub")
		if err != nil {
			return err
		}
		for _, dev := range []string{"up", "w0", "w1"} {
			l, err := netlink.LinkByName(dev)
			if err != nil {
				return err
			}
			if err := netlink.LinkSetMaster(l, hub); err != nil {
				return err
			}
		}
		return nil
	}))
	for _, dev := range []string{"up", "trunk"} { // tags stay in the frames
		must(t, gw.SetOffloads(dev, map[string]bool{"rx-gro": true, "tx-vlan-hw-insert": false, "tx-vlan-stag-hw-insert": false, "rx-vlan-hw-parse": false}))
	}
	for _, dev := range []string{"up", "trunk", "hub"} {
		must(t, gw.SetUp(dev, true))
	}
	return lab
}

func TestHostsOfTwoVLANsOfOneTrunkTalkThroughTheWire(t *testing.T) {
	g := start(t, setup{in: trunk(t), wires: []string{"trunk@10:trunk@20"}, policy: vlanPolicy})
	ten, twenty := g.lab.Host("ten"), g.lab.Host("twenty")
	get(twenty.ServeTCPEcho(80))(t)
	get(twenty.ServeTCPEcho(81))(t)
	for _, to := range both(twenty, 80) {
		_, err := ten.Ping(soon(t), to.Addr(), testenv.PingConfig{Count: 3, Size: 1400})
		must(t, err)
		must(t, ten.EchoTCP(soon(t), to, random(t, 200_000)))
	}
	if got := look(soon(t), t, ten, "tcp", both(twenty, 81)[0]); got != "refused" {
		t.Errorf("a rejected port: %s", got)
	}
}

// vlanPolicy lets everything but one port pass.
const vlanPolicy = `default = "allow"
[service.no]
tcp = [81]
[[rule]]
name = "no"
from = "any"
to = "any"
services = ["no"]
action = "reject"
`

// TestTagIsRewrittenAndNothingElse sends on a trunk and listens on the same
// trunk: what comes back has the other tag.
func TestTagIsRewrittenAndNothingElse(t *testing.T) {
	lab := twoHosts()
	lab.Ports = lab.Ports[:1]
	g := quiet(t, setup{lab: lab, wires: []string{"w0@10:w0@20"}, policy: allowAll})
	p := &path{t: t, from: g.end("a"), to: g.end("a"), in: tags(testenv.Tag(10)), out: tags(testenv.Tag(20))}
	payload := testenv.Bytes(random(t, 600))
	frame := func(outer testenv.VLAN, inner ...testenv.Layer) []byte {
		layers := append(append(tags(outer), inner...), testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, payload)
		return fromA(layers...)
	}
	for _, c := range []struct {
		name    string
		in, out []byte
	}{
		{"10 to 20", frame(testenv.Tag(10)), frame(testenv.Tag(20))},
		{"20 to 10", frame(testenv.Tag(20)), frame(testenv.Tag(10))},
		{"priority and DEI stay", frame(testenv.VLAN{ID: 10, Priority: 6, DEI: true}), frame(testenv.VLAN{ID: 20, Priority: 6, DEI: true})},
		{"a service tag is none of a VLAN", frame(testenv.STag(10)), nil},
		{"an inner tag stays", frame(testenv.Tag(10), testenv.Tag(10)), frame(testenv.Tag(20), testenv.Tag(10))},
		{"another VLAN", frame(testenv.Tag(30)), nil},
		{"an inner tag is not looked at", frame(testenv.Tag(30), testenv.Tag(10)), nil},
		{"priority tag", frame(testenv.Tag(0)), nil},
		{"no tag", fromA(testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, payload), nil},
	} {
		got := p.cross(c.in)
		if c.out == nil && got != nil || c.out != nil && (len(got) != 1 || string(got[0]) != string(c.out)) {
			t.Errorf("%s: sent\n%x, came out\n%v, want\n%x", c.name, c.in, hexes(got), c.out)
		}
	}
	g.counts(map[string]uint64{}, map[string]uint64{"a vlan_unknown": 5})
}

func tags(v ...testenv.VLAN) (layers []testenv.Layer) {
	for _, tag := range v {
		layers = append(layers, tag)
	}
	return layers
}

// TestTagIsPutOnAndTakenOff joins a VLAN of a trunk with an untagged port.
func TestTagIsPutOnAndTakenOff(t *testing.T) {
	g := quiet(t, setup{wires: []string{"w0@10:w1"}, policy: allowAll})
	up, down := g.paths("a", "b")
	up.in, down.out = tags(testenv.Tag(10)), tags(testenv.Tag(10))
	inner := []testenv.Layer{testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes(random(t, 1472))}
	behind := func(outer ...testenv.VLAN) []byte { return fromA(append(tags(outer...), inner...)...) }
	short := func(outer ...testenv.VLAN) []byte {
		return fromA(append(tags(outer...), testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes("short"))...)
	}
	for _, c := range []struct {
		name    string
		way     *path
		in, out []byte
	}{
		{"off", up, behind(testenv.Tag(10)), behind()},
		{"on, up to the longest frame", down, behind(), behind(testenv.Tag(10))},
		{"a tag below stays", up, short(testenv.Tag(10), testenv.Tag(30)), short(testenv.Tag(30))},
		{"another VLAN", up, behind(testenv.Tag(20)), nil},
		{"no tag", up, behind(), nil},
	} {
		got := c.way.cross(c.in)
		if c.out == nil && got != nil || c.out != nil && (len(got) != 1 || string(got[0]) != string(c.out)) {
			t.Errorf("%s: sent\n%x, came out\n%v, want\n%x", c.name, c.in, hexes(got), c.out)
		}
	}
	g.counts(map[string]uint64{}, map[string]uint64{"a vlan_unknown": 2})
}

func TestTaggedHostTalksToAnUntaggedOne(t *testing.T) {
	lab := twoHosts()
	lab.Ports[0].Hosts[0].VLAN = 10
	g := start(t, setup{lab: lab, wires: []string{"w0@10:w1"}, policy: allowAll})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	get(b.ServeTCPEcho(80))(t)
	for _, to := range both(b, 80) {
		_, err := a.Ping(soon(t), to.Addr(), testenv.PingConfig{Count: 3, Size: 1472 - 20, DontFragment: true})
		must(t, err)
		must(t, a.EchoTCP(soon(t), to, random(t, 200_000)))
	}
}

// TestVLANsOfATrunkAreSeveralWires joins VLAN 10 of both ports and VLAN 20 of
// both ports: none gets into the other.
func TestVLANsOfATrunkAreSeveralWires(t *testing.T) {
	g := quiet(t, setup{wires: []string{"w0@10:w1@10", "w0@20:w1@20"}, policy: `default = "deny"
[[rule]]
name = "ten"
from = "any"
to = "any"
services = ["any"]
wires = ["wire0"]
action = "allow"
`})
	up, down := g.paths("a", "b")
	up.in, up.out = tags(testenv.Tag(10)), tags(testenv.Tag(10))
	down.in, down.out = tags(testenv.Tag(20)), tags(testenv.Tag(20))
	udp := []testenv.Layer{testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes("which wire?")}
	up.passes(fromA(append(tags(testenv.Tag(10)), udp...)...))
	up.drops(fromA(append(tags(testenv.Tag(20)), udp...)...))
	down.drops(fromB(append(tags(testenv.Tag(20)), testenv.Layer(toA4), testenv.UDP{Src: 2, Dst: 1})...)) // no reply: another wire
	down.passes(fromB(append(tags(testenv.Tag(10)), testenv.Layer(toA4), testenv.UDP{Src: 2, Dst: 1})...))
	s := g.status()
	if n := s.Wires[1].A.Dropped["default_deny"]; n != 1 {
		t.Errorf("wire1 has dropped %d frames of its port a by default, want 1", n)
	}
}
