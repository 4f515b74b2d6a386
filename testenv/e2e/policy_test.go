// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

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
	return get(from.Probe(ctx, network, to))(t).String()
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
// configured, whoever of the two speaks first, and else dropped.
func TestConnectionsOlderThanTheGateway(t *testing.T) {
	for _, c := range []struct {
		name, midstream string
		clientFirst     bool
	}{
		{"dropped by default", "drop", true},
		{"the client goes on", "policy", true},
		{"the server goes on", "policy", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := prepare(t, setup{policy: threeWays, extra: "[flows]\nmidstream = \"" + c.midstream + "\"\n"})
			must(t, g.lab.Join())
			client, server := connection(t, g.lab.Host("a"), g.lab.Host("b"), 80)
			must(t, errors.Join(hello(client, server), hello(server, client)))
			must(t, g.lab.Unjoin())
			g.run()
			first, second := client, server
			if !c.clientFirst {
				first, second = server, client
			}
			if c.midstream == "policy" {
				must(t, errors.Join(hello(first, second), hello(second, first)))
				return
			}
			_, err := first.Write([]byte("hello"))
			must(t, err)
			eventually(t, "its segments are dropped", func() bool { return g.dropped()["a midstream"] > 1 }) // and the next try as well
		})
	}
}

// connection is a TCP connection between two hosts.
func connection(t *testing.T, from, to *testenv.Host, port uint16) (client, server net.Conn) {
	t.Helper()
	l := get(to.Listen("tcp", fmt.Sprintf(":%d", port)))(t)
	client = get(from.Dial(soon(t), "tcp", both(to, port)[0]))(t)
	server = get(l.Accept())(t)
	for _, c := range []net.Conn{client, server} {
		t.Cleanup(func() { _ = c.Close() })
		must(t, c.SetDeadline(time.Now().Add(patience)))
	}
	return client, server
}

// hello says something at one end of a connection and hears it at the other.
func hello(from, to net.Conn) error {
	if _, err := from.Write([]byte("hello")); err != nil {
		return err
	}
	_, err := io.ReadFull(to, make([]byte, 5))
	return err
}
