// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"bulkhead/testenv"
)

// What may become of an attempt.
const (
	allowed  = "allowed"
	denied   = "denied"   // silently
	rejected = "rejected" // the sender is told
	unseen   = "unseen"   // it does not cross the wire
)

// attempt is what a host tries, and what has to become of it.
type attempt struct {
	from, to string
	how      string // tcp, udp, ping or http
	port     uint16
	v6       bool
	want     string
	rule     string // which decides; "" for what is unseen
}

// attempts are made one after the other.
var attempts = []attempt{
	{from: "web", to: "app", how: "tcp", port: 8080, want: allowed, rule: "web-to-app"},
	{from: "web", to: "app", how: "tcp", port: 8080, v6: true, want: allowed, rule: "web-to-app"},
	{from: "web", to: "app", how: "http", port: httpPort, want: allowed, rule: "web-to-app"},
	{from: "app", to: "ops", how: "udp", port: 514, want: allowed, rule: "logs-to-ops"},
	{from: "db", to: "ops", how: "udp", port: 514, v6: true, want: allowed, rule: "logs-to-ops"},
	{from: "ops", to: "app", how: "ping", want: allowed, rule: "ops-to-prod"},
	{from: "ops", to: "db", how: "ping", v6: true, want: allowed, rule: "ops-to-prod"},
	{from: "web", to: "db", how: "tcp", port: 5432, want: denied, rule: defaultAction},
	{from: "ops", to: "db", how: "tcp", port: 5432, v6: true, want: denied, rule: defaultAction},
	{from: "db", to: "web", how: "tcp", port: 8080, want: denied, rule: "db-only-answers"},
	{from: "dev", to: "app", how: "tcp", port: 8080, want: rejected, rule: "dev-stays-out"},
	{from: "dev", to: "app", how: "udp", port: 514, v6: true, want: rejected, rule: "dev-stays-out"},
	{from: "app", to: "db", how: "tcp", port: 5432, want: unseen},
}

// Amounts of data.
const (
	downloadBytes = 32 << 20
	tcpEchoBytes  = 64 << 10
	udpEchoBytes  = 1200
	pings         = 3
)

// String says what is tried, as in "tcp 8080, IPv6".
func (a attempt) String() string {
	what := a.how
	switch a.how {
	case "tcp", "udp":
		what = fmt.Sprintf("%s %d", a.how, a.port)
	case "http":
		what = fmt.Sprintf("http, %d MiB", downloadBytes>>20)
	}
	if a.v6 {
		what += ", IPv6"
	}
	return what
}

var trafficHeadings = []string{"FROM", "TO", "WHAT", "EXPECTED", "OBSERVED", "DECIDED BY"}

// sendTraffic makes the attempts and shows what became of each, and by which rule.
func (d *demo) sendTraffic(ctx context.Context) error {
	d.section("Traffic: what becomes of it, and which rule decides")
	cells := [][]string{trafficHeadings, {"", "", "", "", "allowed, 3 of 3 answers, worst 100.0 ms"}} // the longest
	for _, a := range attempts {
		cells = append(cells, []string{a.from, a.to, a.String(), a.want})
	}
	t := d.table(trafficHeadings, widthsOf(cells))
	for _, a := range attempts {
		row, err := d.try(ctx, a)
		if err != nil {
			return err
		}
		t.add(row)
	}
	d.say("A wire sees what crosses it: not app and db, on one side. A VLAN each, on a trunk, would bring them to it.")
	return nil
}

// seen is what became of an attempt.
type seen struct {
	fate string // as the constants above
	note string
}

// try makes an attempt.
func (d *demo) try(ctx context.Context, a attempt) (row, error) {
	before, err := d.client.Rules(ctx)
	if err != nil {
		return row{}, err
	}
	var got seen
	var rule string
	// Silence of which no rule knows is no denial: the packet was lost before the gateway judged it.
	for tries := 3; tries > 0 && err == nil && (got.fate == "" || got.fate == denied && rule == ""); tries-- {
		if got, err = d.knock(ctx, a); err == nil {
			rule, err = d.judged(ctx, before, a.want != unseen)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause // its end, too, looks like silence
	}
	if err != nil {
		return row{}, fmt.Errorf("%s to %s, %s: %w", a.from, a.to, a, err)
	}
	if got.fate == allowed && rule == "" {
		got.fate = unseen
	}
	holds := got.fate == a.want && rule == a.rule
	if rule == "" {
		rule = "(nobody)"
	}
	return checked(holds, a.from, a.to, a.String(), a.want, got.fate+", "+got.note, rule), nil
}

// How long an answer is waited for: long where one has to come, and short where none may.
const (
	answerWithin = 10 * time.Second
	silenceFor   = 400 * time.Millisecond
)

// knock does what the attempt says and looks what comes of it, at both hosts.
func (d *demo) knock(ctx context.Context, a attempt) (seen, error) {
	from, to := d.lab.Host(a.from), d.lab.Host(a.to)
	addr := to.IPv4
	if a.v6 {
		addr = to.IPv6
	}
	switch a.how {
	case "ping":
		return ping(ctx, from, addr)
	case "http":
		return download(ctx, from, netip.AddrPortFrom(addr, a.port))
	}
	wait := answerWithin
	if a.want == denied {
		wait = silenceFor
	}
	server := d.servers[place{a.to, a.how, a.port}]
	served := server.Served()
	limited, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	reply, err := from.Probe(limited, a.how, netip.AddrPortFrom(addr, a.port))
	if err != nil {
		return seen{}, err
	}
	if reply.Outcome == testenv.Open {
		return echo(ctx, from, a.how, netip.AddrPortFrom(addr, a.port))
	}
	return refusal(reply, a.to, server.Served() != served), nil
}

// refusal says what a client without an answer saw, and whether the server got anything all the same.
func refusal(reply testenv.Reply, to string, arrived bool) seen {
	s := seen{denied, "silence"}
	switch reply.Outcome {
	case testenv.Refused:
		s = seen{rejected, "TCP reset"}
	case testenv.Rejected:
		s = seen{rejected, fmt.Sprintf("ICMP %d/%d", reply.ICMPType, reply.ICMPCode)}
	}
	if arrived {
		return seen{"arrived", s.note + ", but " + to + " got it"}
	}
	s.note += "; " + to + " got nothing"
	return s
}

// echo sends data to an echo server; all of it has to come back. A datagram that is lost is sent again.
func echo(ctx context.Context, from *testenv.Host, network string, to netip.AddrPort) (seen, error) {
	send, size, tries := from.EchoTCP, tcpEchoBytes, 1
	if network == "udp" {
		send, size, tries = from.EchoUDP, udpEchoBytes, 3
	}
	var err error
	for range tries {
		err = func() error {
			ctx, cancel := context.WithTimeout(ctx, answerWithin/time.Duration(tries))
			defer cancel()
			return send(ctx, to, bytes.Repeat([]byte("bulkhead"), size/8))
		}()
		if !errors.Is(err, context.DeadlineExceeded) {
			break
		}
	}
	return seen{allowed, fmt.Sprintf("%d bytes echoed", size)}, err
}

// ping sends echo requests.
func ping(ctx context.Context, from *testenv.Host, to netip.Addr) (seen, error) {
	res, err := from.Ping(ctx, to, testenv.PingConfig{Count: pings, Wait: answerWithin / pings})
	switch {
	case res.Sent < pings:
		return seen{}, err
	case res.Received == 0:
		return seen{denied, "silence"}, nil
	}
	return seen{allowed, fmt.Sprintf("%d of %d answers, worst %s", res.Received, pings, milliseconds(res.Worst))}, nil
}

// download fetches a file and compares every byte and the checksum.
func download(ctx context.Context, from *testenv.Host, server netip.AddrPort) (seen, error) {
	const seed = 1
	got, err := from.Download(ctx, server, downloadBytes, seed)
	if err != nil {
		return seen{}, err
	}
	rate := float64(got.Bytes) / got.Took.Seconds() / 1e6
	return seen{allowed, fmt.Sprintf("sha256 right, %.0f MB/s", rate)}, nil
}
