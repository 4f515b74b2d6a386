// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// The lab. One host on a port is cabled to it; several hosts on a port hang on a switch of their own, so that
// nothing but the gateway joins the two sides. Every box is a network namespace, every === a veth pair.
//
//	+- host web -+     +--- gateway ---+     +- switch of w1 -+     +- host app -+
//	|       eth0 |=====| w0         w1 |=====| up      app    |=====| eth0       |
//	+------------+     |  (no address) |     |    br0         |     +------------+
//	                   |               |     |         db     |=====+- host db --+
//	                   | w2         w3 |     +----------------+     | eth0       |
//	                   +-------|--|----+                            +------------+
//	                      a second wire: hosts as above
//
// Ports 0 and 1 are a wire, 2 and 3 the next; the hosts of a wire share a subnet. What runs in the gateway's
// namespace joins the ports: the gateway under test, or Join, a plain Linux bridge to compare with.

// LabConfig says what to build. The zero value of each field but Ports is a good default.
type LabConfig struct {
	// Name makes the namespaces named: bh-PID-N-NAME.gateway and so on. Empty: anonymous.
	Name string
	// Ports are the gateway's, two for each wire.
	Ports []PortConfig
	// MTU of every interface, in bytes without the Ethernet header; 0 means 1500.
	MTU int
	// Queues is the number of receive and of transmit queues of every veth; 0 means 1.
	Queues int
	// StaticNeighbours tells each host the MACs of the others of its wire, so that none asks by ARP or ND.
	StaticNeighbours bool
	// ExactCapture lets hosts receive frame by frame, in the order of the wire: else GRO joins TCP segments, and holds
	// them back behind frames that came later. It excludes a Sink at the same host.
	ExactCapture bool
}

// PortConfig is a port of the gateway and the hosts on that side; at least one.
type PortConfig struct {
	Name     string // empty: w0, w1 and so on
	Hosts    []HostConfig
	Switched bool // a switch even for one host
}

// HostConfig is an end host.
type HostConfig struct {
	// Name is unique in the lab; it also names the host's port on a switch: at most 15 bytes.
	Name string
	// Addrs are the addresses with their subnets; empty means 198.18.W.N/24 and 2001:db8:W::N/64
	// for host number N (from 1, over the whole lab) on wire W (from 0).
	Addrs []netip.Prefix
	// VLAN puts the host into a VLAN: all that it sends has this 802.1Q tag, and it hears nothing else; 0 means
	// untagged. Frames injected with OpenRaw are sent as they are.
	VLAN uint16
}

// Host is an end host of a lab: its namespace, and what a test needs to write frames.
type Host struct {
	*NS
	Port string           // the gateway's port that leads to it
	Dev  string           // eth0, the end of its cable
	MAC  net.HardwareAddr // 02:bb:00:00:00:NN
	VLAN uint16
	IPv4 netip.Addr // the first of each family; invalid if it has none
	IPv6 netip.Addr

	addrs []netip.Prefix
	wire  int
}

// Lab is a running laboratory. Its fields are read-only; everything is safe for concurrent use.
type Lab struct {
	Gateway *NS
	Ports   []string // names of the gateway's interfaces, in the order of the configuration
	Hosts   map[string]*Host

	cfg   LabConfig
	order []*Host
	ends  []vethEnd
	owner owner
	close func() error
}

// maxHosts is what the default addresses have room for.
const maxHosts = 254

// hostDev is the name of every host's interface.
const hostDev = "eth0"

// TwoHosts is the simplest lab: host a, port w0, port w1, host b.
func TwoHosts() LabConfig {
	return LabConfig{Ports: []PortConfig{
		{Hosts: []HostConfig{{Name: "a"}}},
		{Hosts: []HostConfig{{Name: "b"}}},
	}}
}

// NewLab builds the namespaces and cables. On an error nothing is left. The caller closes the lab.
// It needs the capabilities that Privileged names.
func NewLab(cfg LabConfig) (*Lab, error) {
	if err := cfg.complete(); err != nil {
		return nil, wrap("lab", err)
	}
	l := &Lab{cfg: cfg, Hosts: map[string]*Host{}}
	var err error
	if l.close, err = process.own(l.remove); err != nil {
		return nil, wrap("lab", err)
	}
	if err := l.build(); err != nil {
		return nil, errors.Join(wrap("build lab", err), l.Close())
	}
	return l, nil
}

// remove ends what runs in the gateway's namespace first, before it loses its ports.
func (l *Lab) remove() error {
	var err error
	if l.Gateway != nil {
		err = l.Gateway.Close()
	}
	return errors.Join(err, l.owner.closeAll())
}

// complete fills in the defaults and refuses what cannot be built.
func (c *LabConfig) complete() error {
	if c.MTU == 0 {
		c.MTU = 1500
	}
	if c.Queues == 0 {
		c.Queues = 1
	}
	if len(c.Ports) == 0 {
		return errors.New("no ports: give at least one, two for each wire")
	}
	seen := map[string]bool{}
	ports := make([]PortConfig, len(c.Ports)) // the caller's own stays as it is
	for i, p := range c.Ports {
		if p.Name == "" {
			p.Name = fmt.Sprintf("w%d", i)
		}
		if seen["port "+p.Name] {
			return fmt.Errorf("the port %s is there twice", p.Name)
		}
		seen["port "+p.Name] = true
		if len(p.Hosts) == 0 {
			return fmt.Errorf("port %s has no host: a cable needs a far end", p.Name)
		}
		for _, h := range p.Hosts {
			if h.Name == "" || len(h.Name) > 15 || h.Name == "up" || h.Name == "br0" || seen[h.Name] {
				return fmt.Errorf("host %q on port %s: names are unique, of 1 to 15 bytes, not up or br0", h.Name, p.Name)
			}
			seen[h.Name] = true
		}
		ports[i] = p
	}
	if hosts := len(seen) - len(ports); hosts > maxHosts {
		return fmt.Errorf("%d hosts: at most %d", hosts, maxHosts)
	}
	c.Ports = ports
	return nil
}

// Close ends what runs in the lab and removes it. It may be called more than once.
func (l *Lab) Close() error { return l.close() }

// Host returns the host of that name; it panics if the configuration has none.
func (l *Lab) Host(name string) *Host {
	h, ok := l.Hosts[name]
	if !ok {
		panic("testenv: the lab has no host " + name)
	}
	return h
}

// Join puts a plain Linux bridge, br0, br1 and so on, over the two ports of each wire: a lab without a gateway.
func (l *Lab) Join() error {
	for wire := 0; 2*wire < len(l.Ports); wire++ {
		ports := l.Ports[2*wire : min(2*wire+2, len(l.Ports))]
		if err := l.Gateway.AddBridge(fmt.Sprintf("br%d", wire), ports...); err != nil {
			return err
		}
	}
	return nil
}

// Unjoin takes the bridges away again.
func (l *Lab) Unjoin() error {
	for wire := 0; 2*wire < len(l.Ports); wire++ {
		if err := l.Gateway.DeleteLink(fmt.Sprintf("br%d", wire)); err != nil {
			return err
		}
	}
	return nil
}

// WaitUp waits until every cable has its carrier and every host its addresses: after a test has taken a link down and
// up again, packets are lost before.
func (l *Lab) WaitUp(ctx context.Context) error {
	for _, end := range l.ends {
		if err := end.ns.WaitUp(ctx, end.dev); err != nil {
			return err
		}
	}
	for _, h := range l.order {
		for _, p := range h.addrs {
			if err := h.waitAddr(ctx, p.Addr()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) build() (err error) {
	if l.Gateway, err = l.namespace("gateway"); err != nil {
		return err
	}
	// A bump in the wire says nothing of its own.
	if err := l.Gateway.silence(); err != nil {
		return err
	}
	for i, p := range l.cfg.Ports {
		if err := l.buildPort(i, p); err != nil {
			return fmt.Errorf("port %s: %w", p.Name, err)
		}
		l.Ports = append(l.Ports, p.Name)
	}
	if l.cfg.StaticNeighbours {
		return l.introduce()
	}
	return nil
}

// namespace makes one of the lab's namespaces and owns it.
func (l *Lab) namespace(label string) (n *NS, err error) {
	if l.cfg.Name == "" {
		n, err = New(label)
	} else {
		n, err = NewNamed(l.cfg.Name + "." + label)
	}
	if err != nil {
		return nil, err
	}
	_, err = l.owner.own(n.Close)
	return n, err
}

// silence turns IPv6 off, so that no interface made later speaks by itself.
func (n *NS) silence() error {
	return errors.Join(
		n.Sysctl("net.ipv6.conf.all.disable_ipv6", "1"),
		n.Sysctl("net.ipv6.conf.default.disable_ipv6", "1"))
}

// buildPort cables port number i to its host, or to a switch with its hosts.
func (l *Lab) buildPort(i int, p PortConfig) error {
	far := vethEnd{ns: l.Gateway, dev: p.Name, mac: labMAC(gatewayMAC, i+1)}
	if len(p.Hosts) == 1 && !p.Switched {
		return l.buildHost(i, p.Hosts[0], far)
	}
	sw, err := l.namespace("switch-" + p.Name)
	if err != nil {
		return err
	}
	if err := sw.silence(); err != nil {
		return err
	}
	up := vethEnd{ns: sw, dev: "up", mac: labMAC(switchMAC, 256*(i+1))}
	if err := l.cable(up, far); err != nil {
		return err
	}
	ports := []string{"up"}
	for k, h := range p.Hosts {
		if err := l.buildHost(i, h, vethEnd{ns: sw, dev: h.Name, mac: labMAC(switchMAC, 256*(i+1)+k+1)}); err != nil {
			return err
		}
		ports = append(ports, h.Name)
	}
	return sw.AddBridge("br0", ports...)
}

// buildHost makes a host behind port number i and cables it to far.
func (l *Lab) buildHost(i int, cfg HostConfig, far vethEnd) error {
	ns, err := l.namespace(cfg.Name)
	if err != nil {
		return err
	}
	number := len(l.order) + 1
	h := &Host{NS: ns, Port: l.cfg.Ports[i].Name, Dev: hostDev, MAC: labMAC(hostMAC, number),
		VLAN: cfg.VLAN, wire: i / 2, addrs: cfg.Addrs}
	if len(h.addrs) == 0 {
		h.addrs = defaultAddrs(h.wire, number)
	}
	if err := l.cable(vethEnd{ns: ns, dev: hostDev, mac: h.MAC}, far); err != nil {
		return err
	}
	l.Hosts[cfg.Name] = h
	l.order = append(l.order, h)
	if l.cfg.ExactCapture {
		if err := ns.receiveOneByOne(hostDev); err != nil {
			return err
		}
	}
	return h.address()
}

// cable is a veth pair with the lab's MTU and queues.
func (l *Lab) cable(a, b vethEnd) error {
	l.ends = append(l.ends, a, b)
	return addVeth(vethPair{a: a, b: b, mtu: l.cfg.MTU, queues: l.cfg.Queues})
}

// address gives the host its addresses, and its VLAN if it has one.
func (h *Host) address() error {
	if h.VLAN != 0 {
		if err := h.SetVLAN(h.Dev, h.VLAN); err != nil {
			return err
		}
	}
	for _, p := range h.addrs {
		if err := h.AddAddr(h.Dev, p); err != nil {
			return err
		}
		switch {
		case p.Addr().Is4() && !h.IPv4.IsValid():
			h.IPv4 = p.Addr()
		case p.Addr().Is6() && !h.IPv6.IsValid():
			h.IPv6 = p.Addr()
		}
	}
	return nil
}

// introduce gives all hosts of a wire each other's MACs.
func (l *Lab) introduce() error {
	for _, h := range l.order {
		for _, other := range l.order {
			if other == h || other.wire != h.wire {
				continue
			}
			for _, p := range other.addrs {
				if err := h.AddNeighbour(h.Dev, p.Addr(), other.MAC); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// The third byte of a lab's MACs says what has it: 02:bb:00 a host, 02:bb:fe a switch, 02:bb:ff the gateway.
const (
	hostMAC    = 0x00
	switchMAC  = 0xfe
	gatewayMAC = 0xff
)

func labMAC(kind byte, number int) net.HardwareAddr {
	return net.HardwareAddr{0x02, 0xbb, kind, 0, byte(number >> 8), byte(number)}
}

// defaultAddrs are from the ranges for benchmarks (RFC 2544) and documentation (RFC 3849).
func defaultAddrs(wire, number int) []netip.Prefix {
	v4 := netip.AddrFrom4([4]byte{198, 18, byte(wire), byte(number)})
	v6 := netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, byte(wire), 14: byte(number >> 8), 15: byte(number)})
	return []netip.Prefix{netip.PrefixFrom(v4, 24), netip.PrefixFrom(v6, 64)}
}
