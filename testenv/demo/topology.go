// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/ctrl/policy"
	"bulkhead/testenv"
)

// sides are the hosts at port a and at port b. Who they are, their addresses and labels, is in the policy.
var sides = [2][]string{{"web", "dev", "ops"}, {"app", "db"}}

// place is where a server listens.
type place struct {
	host    string
	network string // tcp or udp
	port    uint16
}

// Ports of servers that do something else than echo.
const (
	httpPort  = 80
	apiStream = 8443
	sshStream = 22
	dbLogs    = 6514
	appLogs   = 5514
)

// echoes are the servers that send back what they get, some of them where no rule lets anybody through.
var echoes = []place{
	{"web", "tcp", 8080}, {"ops", "udp", 514},
	{"app", "tcp", 8080}, {"app", "udp", 514}, {"db", "tcp", 5432},
}

// buildLab makes the hosts and their servers, and draws them.
func (d *demo) buildLab(context.Context) (err error) {
	d.section("The lab: every host a network namespace, every cable a veth pair")
	for _, line := range draw(d.policy) {
		d.say("%s", line)
	}
	cfg := testenv.LabConfig{}
	for _, side := range sides {
		port := testenv.PortConfig{}
		for _, name := range side {
			port.Hosts = append(port.Hosts, testenv.HostConfig{Name: name, Addrs: subnets(d.policy, name)})
		}
		cfg.Ports = append(cfg.Ports, port)
	}
	if d.lab, err = testenv.NewLab(cfg); err != nil {
		return err
	}
	return d.serve()
}

// serve starts the servers.
func (d *demo) serve() (err error) {
	d.servers = map[place]*testenv.Server{}
	for _, p := range echoes {
		start := d.lab.Host(p.host).ServeTCPEcho
		if p.network == "udp" {
			start = d.lab.Host(p.host).ServeUDPEcho
		}
		if d.servers[p], err = start(p.port); err != nil {
			return err
		}
	}
	web := place{"app", "tcp", httpPort}
	d.servers[web], err = d.lab.Host(web.host).ServeStream(web.port)
	return err
}

// workload is the workload of that name.
func workload(p *policy.Policy, name string) policy.Workload {
	i := slices.IndexFunc(p.Workloads, func(w policy.Workload) bool { return w.Name == name })
	return p.Workloads[i]
}

// subnets are the addresses of a workload in the one subnet, of each family, that all hosts share.
func subnets(p *policy.Policy, name string) (list []netip.Prefix) {
	for _, a := range workload(p, name).Addresses {
		bits := 24
		if a.Addr().Is6() {
			bits = 64
		}
		list = append(list, netip.PrefixFrom(a.Addr(), bits))
	}
	return list
}

// draw draws the two sides of the wire:
//
//	web 10.0.0.1 tier=web --+                        +-- app 10.0.0.11 tier=app
//	ops 10.0.0.3 role=ops --+-- w0 [ bulkhead ] w1 --+
//	...
func draw(p *policy.Policy) (lines []string) {
	const wire = "-- w0 [ bulkhead ] w1 --"
	left, right := describe(p, sides[0]), describe(p, sides[1])
	height := max(len(left), len(right))
	for i := range height {
		a, cable, b := strings.Repeat(" ", len(left[0])+5), strings.Repeat(" ", len(wire)), ""
		if i < len(left) {
			a = left[i] + "  --+"
		}
		if i == (height-1)/2 {
			cable = wire
		}
		if i < len(right) {
			b = "+--  " + right[i]
		}
		lines = append(lines, strings.TrimRight(a+cable+b, " "))
	}
	return lines
}

// describe gives a line about each host, all of the same length.
func describe(p *policy.Policy, hosts []string) (lines []string) {
	var cells [][]string
	for _, name := range hosts {
		w := workload(p, name)
		cells = append(cells, []string{name, w.Addresses[0].Addr().String(), labels(w.Labels)})
	}
	widths := widthsOf(cells)
	for _, c := range cells {
		lines = append(lines, align(c, widths))
	}
	return lines
}

// labels writes labels as in a selector: tier and role before env.
func labels(l map[string]string) string {
	var list []string
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(l))) {
		list = append(list, key+"="+l[key])
	}
	return strings.Join(list, " ")
}
