// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"

	"github.com/google/go-cmp/cmp"
)

const oneWire = "[[wire]]\nname = \"w\"\na = \"eth0\"\nb = \"eth1\"\n"

func TestEveryKeyIsStored(t *testing.T) {
	text := `
[gateway]
name = "gw-1"
policy = "/srv/policy.toml"
group = "netops"
run_dir = "/run/gw"
on_stop = "detach"
beat_limit = "1s"
[[wire]]
name = "first"
a = "eth0"
a_vlan = 10
b = "eth0"
b_vlan = 20
group = "pair"
fail = "open"
offload = "userspace"
mode = "generic"
queues = 2
frame_size = 4096
busy_poll = 64
link = "independent"
[[wire]]
name = "second"
a = "eth1"
b = "eth2"
[flows]
capacity = 1024
midstream = "policy"
[flows.timeouts]
tcp_syn = "1s"
tcp_established = "2s"
tcp_closing = "3s"
udp = "4s"
udp_replied = "5s"
icmp = "6s"
other = "7s"
[exceptions]
arp = "drop"
mpls = "forward"
table_full = "forward"
`
	got, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Gateway = Gateway{Name: "gw-1", Policy: "/srv/policy.toml", Group: "netops", RunDir: "/run/gw", OnStop: "detach", BeatLimit: time.Second}
	want.Wires = []Wire{
		{
			Name: "first", Group: "pair", A: Port{"eth0", 10}, B: Port{"eth0", 20}, FailOpen: true,
			Offload: "userspace", Mode: "generic", Queues: 2, FrameSize: 4096, BusyPoll: 64, Link: "independent",
		},
		{Name: "second", A: Port{"eth1", 0}, B: Port{"eth2", 0}, Offload: "auto", Mode: "native", Link: "independent"},
	}
	want.Flows = Flows{Capacity: 1024, Midstream: true, Timeouts: Timeouts{
		time.Second, 2 * time.Second, 3 * time.Second, 4 * time.Second, 5 * time.Second, 6 * time.Second, 7 * time.Second,
	}}
	want.Exceptions[event.Reason(packet.ARP)] = false
	want.Exceptions[event.Reason(packet.MPLS)] = true
	want.Exceptions[event.TableFull] = true
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint16{"first": 0, "second": 1}, got.WireNumbers()); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultsPassLinkControlAndNothingElse(t *testing.T) {
	for reason, forward := range Default().Exceptions {
		control := reason >= event.Reason(packet.ARP) && reason <= event.Reason(packet.CFM)
		if forward != control {
			t.Errorf("%s: forwarded %v", reasonName(reason), forward)
		}
	}
	for _, reason := range []event.Reason{event.Denied, event.DefaultDeny, event.NoPolicy, event.Reason(packet.IP), event.Reason(packet.Unparsed)} {
		if _, there := Default().Exceptions[reason]; there {
			t.Errorf("%s can be configured", reasonName(reason))
		}
	}
}

func TestProblemsOfAFile(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"nothing":           {"", "f:1:1: no wire is configured: add a [[wire]] with name, a and b"},
		"syntax":            {"[gateway\n", "f:1:9: expected ']' to close table name"},
		"unknown table":     {oneWire + "[gatewy]\n", `f:5:2: unknown key "gatewy" in a configuration: did you mean gateway?`},
		"wire is no list":   {"[wire]\n", "f:1:2: wire: want a list of tables: write [[wire]]"},
		"empty wire":        {"[[wire]]\n", "f:1:3: [[wire]] has no name: it is required\nf:1:3: [[wire]] has no a: it is required\nf:1:3: [[wire]] has no b: it is required"},
		"gateway is a list": {oneWire + "[[gateway]]", "f:5:3: gateway: want a table, not a list"},

		"keys of gateway": {oneWire + "[gateway]\nname = \"a/b\"\npolicy = \"policy.toml\"\ngroup = \".x\"\nrun_dir = \"/run/../x\"\non_stop = \"keep\"\nbeat_limit = \"1ms\"\nbeat = 1",
			`f:6:8: name "a/b": no slash, and no dot at its beginning
f:7:10: policy: "policy.toml" is not an absolute path in its shortest form
f:8:9: group ".x": no slash, and no dot at its beginning
f:9:11: run_dir: "/run/../x" is not an absolute path in its shortest form
f:10:11: on_stop: "keep" is not supported: this version has no way to keep the programs attached
f:11:14: beat_limit: "1ms" is out of range: want 20ms to 1m0s
f:12:1: unknown key "beat" in [gateway]: it may hold beat_limit, group, name, on_stop, policy, run_dir`},
		"hostile path": {oneWire + "[gateway]\npolicy = \"/a\\n\\u001b\"\nrun_dir = \"/" + strings.Repeat("x", 80) + "\"",
			"f:6:10: policy: a path has at most 80 printable ASCII letters\nf:7:11: run_dir: a path has at most 80 printable ASCII letters"},

		"keys of a wire": {`[[wire]]
name = "w w"
a = "a-name-that-is-long"
a_vlan = 4095
b = ""
b_vlan = -1
fail = "shut"
offload = "kernel"
mode = "skb"
queues = 1025
frame_size = 3000
busy_poll = 65536
link = "propagate"
speed = 10`,
			`f:2:8: name "w w": a name is 1 to 63 letters, digits and any of . _ / -
f:3:5: a: interface "a-name-that-is-long": the name has more than 15 letters
f:4:10: a_vlan: "4095" is out of range: want 0 to 4094
f:5:5: b: interface "": the name is empty
f:6:10: b_vlan: "-1" is out of range: want 0 to 4094
f:7:8: fail: "shut" is none of closed, open
f:8:11: offload: "kernel" is not supported: this version has no way to carry out decisions in the kernel
f:9:8: mode: "skb" is none of native, copy, generic
f:10:10: queues: "1025" is out of range: want 0 to 1024
f:11:14: frame_size: 3000 is none of 2048, 4096, or 0 for what fits the MTU
f:12:13: busy_poll: "65536" is out of range: want 0 to 65535
f:13:8: link: "propagate" is not supported: this version has no way to take down one port with the other
f:14:1: unknown key "speed" in [[wire]]: it may hold a, a_vlan, b, b_vlan, busy_poll, fail, frame_size, group, link, mode, name, offload, queues`},

		"keys of flows": {oneWire + "[flows]\ncapacity = 1000\nmidstream = \"allow\"\ntimeouts = { tcp_syn = \"0s\", udp = 30, tcp = \"1m\", icmp = \"169h\", other = \"x\" }\n",
			`f:6:12: capacity: "1000" is out of range: want 1024 to 67108864
f:7:13: midstream: "allow" is none of drop, policy
f:8:24: tcp_syn: "0s" is out of range: want 1s to 144h0m0s
f:8:36: udp: want a string, not an integer
f:8:40: unknown key "tcp" in [flows.timeouts]: it may hold
f:8:59: icmp: "169h" is out of range
f:8:75: other: "x" is not a duration: write one such as`},
		"keys of exceptions": {oneWire + "[exceptions]\narp = \"pass\"\ntruncated = \"forward\"\nip = \"forward\"\nunparsed = \"forward\"\ndenied = \"forward\"\nmidstream = \"forward\"\n[flows]\nmidstream = \"policy\"",
			`f:6:7: arp: "pass" is none of drop, forward
f:7:13: truncated: a frame without a whole header cannot be forwarded
f:8:1: unknown key "ip" in [exceptions]`},
	}
	// What is compared is the beginning: some messages go on with long lists.
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conf, err := Parse("f", []byte(test.text))
			var problems Problems
			if !errors.As(err, &problems) || conf != nil {
				t.Fatalf("Parse = %v, %v; want problems and no configuration", conf, err)
			}
			for i, want := range strings.Split(test.want, "\n") {
				if i >= len(problems) || !strings.HasPrefix(problems[i].String(), want) {
					t.Errorf("problem %d is not %q in\n%v", i, want, err)
				}
			}
		})
	}
}

func TestMidstreamCannotBeForwardedAndJudged(t *testing.T) {
	const both = oneWire + "[exceptions]\nmidstream = \"forward\"\n[flows]\nmidstream = \"policy\"\n"
	_, err := Parse("f", []byte(both))
	want := `f:6:13: midstream: "forward" has no effect: midstream = "policy" in [flows] has the policy judge`
	if fmt.Sprint(err) != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if _, err := Parse("f", []byte(strings.Replace(both, "policy", "drop", 1))); err != nil {
		t.Error(err)
	}
}

func TestWiresThatContradictEachOther(t *testing.T) {
	wire := func(name, ports string) string {
		a, b, _ := strings.Cut(ports, ":")
		text := fmt.Sprintf("[[wire]]\nname = %q\n", name)
		for key, port := range map[string]string{"a": a, "b": b} {
			iface, tag, tagged := strings.Cut(port, "@")
			text += fmt.Sprintf("%s = %q\n", key, iface)
			if tagged {
				text += fmt.Sprintf("%s_vlan = %s\n", key, tag)
			}
		}
		return text
	}
	tests := map[string]struct{ text, want string }{
		"apart":                   {wire("x", "e0:e1") + wire("y", "e2:e3"), ""},
		"one trunk":               {wire("x", "e0@1:e0@2") + wire("y", "e0@3:e1"), ""},
		"same name":               {wire("x", "e0:e1") + wire("x", "e2:e3"), `another wire has the name "x"`},
		"both ports the same":     {wire("x", "e0:e0"), `port e0 is already a port of wire "x"`},
		"both VLANs the same":     {wire("x", "e0@7:e0@7"), `port e0@7 is already a port of wire "x"`},
		"port of another wire":    {wire("x", "e0:e1") + wire("y", "e2:e1"), `port e1 is already a port of wire "x"`},
		"whole and in part":       {wire("x", "e0:e1") + wire("y", "e2:e1@5"), `port e1@5: wire "x" uses e1: a port without a VLAN takes the whole interface`},
		"in part and whole":       {wire("x", "e0:e1@5") + wire("y", "e2:e1"), `port e1: wire "x" uses e1@5: a port without a VLAN takes the whole interface`},
		"whole and part, one":     {wire("x", "e0:e0@5"), `port e0@5: wire "x" uses e0`},
		"shared with other modes": {wire("x", "e0@1:e1") + wire("y", "e0@2:e2") + "mode = \"copy\"\n", `port e0@2 shares its interface with wire "x": mode, queues, frame_size and busy_poll must be the same`},
		"shared with other sizes": {wire("x", "e0@1:e1") + wire("y", "e0@2:e2") + "frame_size = 2048\n", `port e0@2 shares`},
		"without ports":           {"[[wire]]\nname = \"x\"\n[[wire]]\nname = \"y\"\n", "[[wire]] has no a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			conf, err := Parse("f", []byte(test.text))
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := CheckWires(conf.Wires); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s", err, test.want)
			}
		})
	}
}

func TestParseWireReadsPortsOfACommandLine(t *testing.T) {
	w, err := ParseWire("wire1", "eth0:eth1")
	want := DefaultWire()
	want.Name, want.A, want.B = "wire1", Port{Interface: "eth0"}, Port{Interface: "eth1"}
	if diff := cmp.Diff(want, w); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	w, err = ParseWire("wire1", "eth0.5@10:br-lan@4094")
	if err != nil || w.A != (Port{"eth0.5", 10}) || w.B != (Port{"br-lan", 4094}) || w.A.String() != "eth0.5@10" {
		t.Errorf("%+v, %v", w, err)
	}
	for text, want := range map[string]string{
		"eth0":                  "want two ports with a colon between them, as in eth0:eth1",
		"":                      "want two ports",
		":eth1":                 `interface "": the name is empty`,
		"eth0:eth1:eth2":        `interface "eth1:eth2": no interface can have that name`,
		"eth0@0:eth1":           `VLAN "0" of eth0: want 1 to 4094`,
		"eth0@4095:eth1":        "want 1 to 4094",
		"eth0@:eth1":            `VLAN "" of eth0`,
		"a/b:eth1":              "no interface can have that name",
		"..:eth1":               "no interface can have that name",
		"e\x1b[31m:eth1":        `interface "e\x1b[31m": no interface can have that name`,
		"eth 0:eth1":            "no interface can have that name",
		"sixteen-letters1:eth1": "more than 15 letters",
	} {
		if _, err := ParseWire("w", text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	two, err := ParseWire("two", "eth1:eth2")
	if err != nil {
		t.Fatal(err)
	}
	one, err := ParseWire("one", "eth0:eth1")
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckWires([]Wire{one, two}); err == nil || err.Error() != `port eth1 is already a port of wire "one"` {
		t.Errorf("error %v", err)
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	conf, err := Load(filepath.Join(t.TempDir(), "none.toml"))
	if !errors.Is(err, fs.ErrNotExist) || conf != nil {
		t.Errorf("Load = %v, %v", conf, err)
	}
	if _, err := Load(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := Parse("f", make([]byte, maxFile+1)); err == nil || err.Error() != "f: longer than 1 MiB" {
		t.Errorf("long: %v", err)
	}
}

func TestTooManyWiresAreRefused(t *testing.T) {
	_, err := Parse("f", []byte(strings.Repeat("[[wire]]\n", maxWires+1)))
	if err == nil || err.Error() != "f:1025:3: more than 1024 wires" {
		t.Errorf("error %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(oneWire))
	f.Add([]byte(oneWire + "[flows]\ntimeouts = {udp = \"1m\"}\n[exceptions]\narp = \"drop\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		conf, err := Parse("f", text)
		var problems Problems
		if err != nil && (!errors.As(err, &problems) || conf != nil) {
			t.Fatalf("%q: %v, %v", text, conf, err)
		}
		if err == nil && (len(conf.Wires) == 0 || CheckWires(conf.Wires) != nil) {
			t.Fatalf("%q: accepted with wires %+v", text, conf.Wires)
		}
	})
}
