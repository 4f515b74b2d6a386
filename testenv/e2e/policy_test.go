// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/testenv"
)

// threeWays is a policy with every action: a's web and dns traffic to b is
// allowed, and ping; ssh is denied by a rule, telnet and syslog are rejected,
// and the rest is denied by default. b may begin nothing but ntp.
const threeWays = `
default = "deny"
[workload.a]
addresses = ["198.18.0.1", "2001:db8::1"]
[workload.b]
addresses = ["198.18.0.2", "2001:db8::2"]
[service.web]
tcp = [80]
[service.dns]
udp = [53]
[service.ntp]
udp = [123]
[service.ssh]
tcp = [22]
[service.old]
tcp = [23]
udp = [514]
[[rule]]
name = "a-to-b"
from = "name=a"
to = "name=b"
services = ["web", "dns", "ping"]
action = "allow"
[[rule]]
name = "time"
from = "name=b"
to = "name=a"
services = ["ntp"]
action = "allow"
[[rule]]
name = "no-ssh"
from = "any"
to = "name=b"
services = ["ssh"]
action = "deny"
[[rule]]
name = "no-more"
from = "any"
to = "any"
services = ["old"]
action = "reject"
`

// TestHostsSeeWhatThePolicySays looks at a wire through the eyes of programs.
func TestHostsSeeWhatThePolicySays(t *testing.T) {
	g := start(t, setup{policy: threeWays})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	for _, h := range []*testenv.Host{a, b} {
		for _, port := range []uint16{22, 23, 80} {
			get(h.ServeTCPEcho(port))(t)
		}
		for _, port := range []uint16{53, 123, 514} {
			get(h.ServeUDPEcho(port))(t)
		}
	}
	const open, silent, refused = "open", "silent", "refused"
	prohibited := map[bool]string{true: "rejected by icmp 3/13 from 198.18.0.2", false: "rejected by icmp 1/1 from 2001:db8::2"}
	for _, c := range []struct {
		from, to *testenv.Host
		network  string
		port     uint16
		want     string
	}{
		{a, b, "tcp", 80, open},
		{a, b, "udp", 53, open},
		{a, b, "tcp", 22, silent},
		{a, b, "tcp", 23, refused},
		{a, b, "tcp", 53, silent},
		{a, b, "udp", 123, silent},
		{a, b, "udp", 514, "rejected"},
		{b, a, "tcp", 80, silent},
		{b, a, "udp", 53, silent},
		{b, a, "udp", 123, open},
		{b, a, "tcp", 23, refused},
	} {
		for _, to := range both(c.to, c.port) {
			ctx := soon(t)
			if c.want == silent {
				ctx = within(t, 100*time.Millisecond)
			}
			got := look(ctx, t, c.from, c.network, to)
			want := c.want
			if want == "rejected" {
				want = prohibited[to.Addr().Is4()]
			}
			if got != want {
				t.Errorf("%s to %s %s: %s, want %s; counters %v", c.from, c.network, to, got, want, g.dropped())
			}
		}
	}
	for _, to := range both(b, 0) {
		_, err := a.Ping(soon(t), to.Addr(), testenv.PingConfig{Count: 3})
		must(t, err)
	}
	if _, err := b.Ping(soon(t), a.IPv4, testenv.PingConfig{Wait: 100 * time.Millisecond}); err == nil {
		t.Error("b pings a, which no rule allows")
	}
}

// look tells what a program sees of a port.
func look(ctx context.Context, t *testing.T, from *testenv.Host, network string, to netip.AddrPort) string {
	t.Helper()
	if network == "udp" {
		return get(from.Probe(ctx, network, to))(t).String()
	}
	c, err := from.Dial(ctx, network, to)
	switch {
	case err == nil:
		must(t, c.Close())
		return "open"
	case errors.Is(err, unix.ECONNREFUSED):
		return "refused"
	case ctx.Err() != nil:
		return "silent"
	}
	return err.Error()
}

// TestRepliesPassAndUnsolicitedPacketsDoNot tells replies of an allowed flow
// from packets that only look like some.
func TestRepliesPassAndUnsolicitedPacketsDoNot(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	var packets []packet
	for _, ip := range []struct {
		name         string
		there, back  testenv.Layer
		ask, answer  testenv.Layer
		other, ghost testenv.Layer // another request, and a reply to none
	}{
		{"v4", toB4, toA4, testenv.ICMP{Type: 8, ID: 1}, testenv.ICMP{Type: 0, ID: 1}, testenv.ICMP{Type: 8, ID: 2}, testenv.ICMP{Type: 0, ID: 3}},
		{"v6", toB6, toA6, testenv.ICMPv6{Type: 128, ID: 1}, testenv.ICMPv6{Type: 129, ID: 1}, testenv.ICMPv6{Type: 128, ID: 2}, testenv.ICMPv6{Type: 129, ID: 3}},
	} {
		up := func(layers ...testenv.Layer) []byte { return fromA(append([]testenv.Layer{ip.there}, layers...)...) }
		down := func(layers ...testenv.Layer) []byte { return fromB(append([]testenv.Layer{ip.back}, layers...)...) }
		tcp := func(src, dst uint16, flags uint8) testenv.Layer {
			return testenv.TCP{Src: src, Dst: dst, Seq: 1000, Ack: 1000, Flags: flags}
		}
		packets = append(packets, []packet{
			{"udp reply before its request", "b", down(testenv.UDP{Src: 53, Dst: 4000}), "default_deny"},
			{"udp request", "a", up(testenv.UDP{Src: 4001, Dst: 53}), ""},
			{"udp reply", "b", down(testenv.UDP{Src: 53, Dst: 4001}), ""},
			{"udp reply of another port", "b", down(testenv.UDP{Src: 54, Dst: 4001}), "default_deny"},
			{"udp reply to another port", "b", down(testenv.UDP{Src: 53, Dst: 4002}), "default_deny"},
			{"echo reply without request", "b", down(ip.ghost), "icmp_unrelated"},
			{"echo request", "a", up(ip.ask), ""},
			{"echo reply", "b", down(ip.answer), ""},
			{"echo request the other way", "b", down(ip.other), "default_deny"},
			{"syn-ack without syn", "b", down(tcp(80, 5000, testenv.SYN|testenv.ACK)), "midstream"},
			{"ack without flow", "b", down(tcp(80, 5000, testenv.ACK)), "midstream"},
			{"rst without flow", "b", down(tcp(80, 5000, testenv.RST)), "midstream"},
			{"fin without flow", "b", down(tcp(80, 5000, testenv.FIN|testenv.ACK)), "midstream"},
			{"ack without flow to an allowed port", "a", up(tcp(5000, 80, testenv.ACK)), "midstream"},
			{"rst without flow to an allowed port", "a", up(tcp(5000, 80, testenv.RST|testenv.ACK)), "midstream"},
			{"syn with data to a denied port", "a", up(tcp(5000, 81, testenv.SYN), testenv.Bytes("early")), "default_deny"},
			{"syn with fin", "a", up(tcp(5000, 80, testenv.SYN|testenv.FIN)), "tcp_flags"},
			{"syn", "a", up(testenv.TCP{Src: 5001, Dst: 80, Seq: 999, Flags: testenv.SYN}), ""},
			{"data before the syn-ack", "b", down(tcp(80, 5001, testenv.ACK), testenv.Bytes("early")), "invalid_state"},
			{"syn-ack", "b", down(tcp(80, 5001, testenv.SYN|testenv.ACK)), ""},
			{"syn-ack of another port", "b", down(tcp(81, 5001, testenv.SYN|testenv.ACK)), "midstream"},
			{"syn the other way", "b", down(tcp(4000, 80, testenv.SYN)), "default_deny"},
			{"denied by a rule", "a", up(tcp(5000, 22, testenv.SYN)), "denied"},
		}...)
		for i := range packets {
			packets[i].name = ip.name + " " + packets[i].name
		}
	}
	g.judges(packets)
}

// TestDeniedAttemptDoesNotBlockTheAllowedDirection: a host that may not send
// must not be able to keep others from sending to it.
func TestDeniedAttemptDoesNotBlockTheAllowedDirection(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	tcp := func(src, dst uint16) testenv.TCP { return testenv.TCP{Src: src, Dst: dst, Seq: 1, Flags: testenv.SYN} }
	g.judges([]packet{
		{"udp, not allowed", "b", fromB(toA4, testenv.UDP{Src: 53, Dst: 53}), "default_deny"},
		{"udp between the same ports, allowed", "a", fromA(toB4, testenv.UDP{Src: 53, Dst: 53}), ""},
		{"its reply", "b", fromB(toA4, testenv.UDP{Src: 53, Dst: 53}), ""},
		{"syn, not allowed", "b", fromB(toA4, tcp(80, 7000)), "default_deny"},
		{"syn between the same ports, allowed", "a", fromA(toB4, tcp(7000, 80)), ""},
		{"its syn-ack", "b", fromB(toA4, testenv.TCP{Src: 80, Dst: 7000, Seq: 1, Ack: 2, Flags: testenv.SYN | testenv.ACK}), ""},
	})
}

// TestConnectionsOlderThanTheGateway are judged by the policy if it is so
// configured, and else dropped until they begin anew.
func TestConnectionsOlderThanTheGateway(t *testing.T) {
	for midstream, survives := range map[string]bool{"drop": false, "policy": true} {
		t.Run(midstream, func(t *testing.T) {
			g := prepare(t, setup{policy: threeWays, extra: "[flows]\nmidstream = \"" + midstream + "\"\n"})
			a, b := g.lab.Host("a"), g.lab.Host("b")
			must(t, g.lab.Join())
			get(b.ServeTCPEcho(80))(t)
			c := get(a.Dial(soon(t), "tcp", both(b, 80)[0]))(t)
			defer c.Close()
			must(t, c.SetDeadline(time.Now().Add(patience)))
			echo := func() error {
				_, err := c.Write([]byte("hello"))
				if err == nil {
					_, err = c.Read(make([]byte, 5))
				}
				return err
			}
			must(t, echo())
			must(t, g.lab.Unjoin())
			g.run()
			if survives {
				must(t, echo())
				return
			}
			_, err := c.Write([]byte("hello"))
			must(t, err)
			eventually(t, "its segments are dropped", func() bool { return g.dropped()["a midstream"] > 1 }) // and the next try as well
		})
	}
}

// TestRejectionsAreFewForEachSource floods rejected ports: the gateway's own
// packets are bounded, and one source's flood leaves the others their answers.
func TestRejectionsAreFewForEachSource(t *testing.T) {
	g := quiet(t, setup{policy: `default = "deny"
[[rule]]
name = "no"
from = "any"
to = "any"
services = ["any"]
action = "reject"`})
	ab, ba := g.paths("a", "b") // ba sees what comes back to a
	began := time.Now()
	const asked = 400
	for port := range uint16(asked) {
		ab.drops(fromA(toB4, testenv.UDP{Src: 1000 + port, Dst: 514}))
	}
	answers := len(ba.cross())
	const burst, perSecond = 20, 10
	if most := burst + perSecond*int(time.Since(began)/time.Second+1); answers < burst/2 || answers > most {
		t.Errorf("%d answers to %d packets of one source within %v, want up to %d", answers, asked, time.Since(began), most)
	}
	ab.drops(fromA(testenv.IPv4{Src: netip.MustParseAddr("198.18.0.77")}, testenv.UDP{Src: 1, Dst: 514}))
	if n := len(ba.cross()); n != 1 {
		t.Errorf("%d answers to another source, want 1", n)
	}
	if n := g.wire().A.Answered; n != uint64(answers+1) {
		t.Errorf("the gateway says that it answered %d times, %d answers came", n, answers+1)
	}
}

// TestRejectionsAnswerOnlyWhatMayBeAnswered: RFC 1122 and RFC 4443.
func TestRejectionsAnswerOnlyWhatMayBeAnswered(t *testing.T) {
	g := quiet(t, setup{policy: `default = "deny"
[[rule]]
name = "no"
from = "any"
to = "any"
services = ["any"]
action = "reject"`})
	ab, ba := g.paths("a", "b") // ba sees what comes back to a
	group := testenv.IPv4{Dst: netip.MustParseAddr("239.1.2.3")}
	for name, c := range map[string]struct {
		frame   []byte
		answers int
	}{
		"udp":                 {fromA(toB4, testenv.UDP{Dst: 9}), 1},
		"udp in v6":           {fromA(toB6, testenv.UDP{Dst: 9}), 1},
		"udp behind a tag":    {fromA(testenv.Tag(10), toB4, testenv.UDP{Dst: 9}), 1},
		"syn":                 {fromA(toB4, testenv.TCP{Src: 5, Dst: 9, Flags: testenv.SYN}), 1},
		"echo request":        {fromA(toB4, testenv.ICMP{Type: 8}), 1},
		"rst":                 {fromA(toB4, testenv.TCP{Src: 6, Dst: 9, Flags: testenv.RST}), 0},
		"ack of no flow":      {fromA(toB4, testenv.TCP{Src: 7, Dst: 9, Flags: testenv.ACK}), 0},
		"icmp error":          {fromA(toB4, testenv.ICMP{Type: 3}, testenv.IPv4{Src: addrB4, Dst: addrA4}, testenv.UDP{}), 0},
		"first fragment":      {fromA(testenv.IPv4{MF: true}, testenv.UDP{Dst: 9}, testenv.Bytes("fragment")), 0},
		"group":               {fromA(group, testenv.UDP{Dst: 9}), 0},
		"broadcast":           {testenv.Frame(testenv.Ether{Src: macA, Dst: testenv.Broadcast}, toB4, testenv.UDP{Dst: 9}), 0},
		"from nobody":         {fromA(testenv.IPv4{Src: netip.IPv4Unspecified()}, testenv.UDP{Dst: 9}), 0},
		"unknown ethertype":   {fromA(testenv.Bytes("what is this")), 0},
		"wrong IPv4 checksum": {fromA(testenv.IPv4{BadChecksum: true}, testenv.UDP{Dst: 9}), 0},
	} {
		ab.drops(c.frame)
		if got := ba.cross(); len(got) != c.answers {
			t.Errorf("%s: answers %v, want %d", name, hexes(got), c.answers)
		}
	}
}
