// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// vethEnd is one end of a veth pair.
type vethEnd struct {
	ns  *NS
	dev string
	mac net.HardwareAddr
}

// vethPair is a cable: two ends, the MTU in bytes and the number of queue pairs of both.
type vethPair struct {
	a, b   vethEnd
	mtu    int
	queues int
}

// firstIndex is where the interface indices of veths' first ends begin. If both ends had the same index, each in its
// namespace, the kernel would take its time, up to a second, to see the carrier (linkwatch_urgent_event).
const firstIndex = 1000

var indices atomic.Int32

// addVeth makes the pair, with offloads as on a wire (see wireOffloads), brings both ends up and waits until they are.
func addVeth(p vethPair) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = p.a.dev, p.a.mac
	attrs.Index = firstIndex + int(indices.Add(1))
	attrs.MTU, attrs.NumRxQueues, attrs.NumTxQueues = p.mtu, p.queues, p.queues
	veth := netlink.NewVeth(attrs)
	veth.PeerName, veth.PeerHardwareAddr = p.b.dev, p.b.mac
	veth.PeerNamespace = netlink.NsFd(p.b.ns.handle)
	if err := p.a.ns.links.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth %s/%s to %s/%s: %w", p.a.ns, p.a.dev, p.b.ns, p.b.dev, err)
	}
	for _, end := range []vethEnd{p.a, p.b} {
		if err := end.ns.SetOffloads(end.dev, wireOffloads); err != nil {
			return err
		}
		if err := end.ns.SetUp(end.dev, true); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), carrierLimit)
	defer cancel()
	return errors.Join(p.a.ns.WaitUp(ctx, p.a.dev), p.b.ns.WaitUp(ctx, p.b.dev))
}

// carrierLimit is how long a carrier may take on a machine under load.
const carrierLimit = 20 * time.Second

// WaitUp waits until an interface has its carrier and takes packets: for a veth, until both ends are up and the
// kernel has noticed. Before, what is sent is lost without an error.
func (n *NS) WaitUp(ctx context.Context, dev string) error {
	for {
		up := false
		err := n.onLink("wait for carrier of", dev, func(l netlink.Link) error {
			up = l.Attrs().OperState == netlink.OperUp
			return nil
		})
		if up || err != nil {
			return err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("%s: wait for carrier of %s: %w", n, dev, err)
		}
	}
}

// SetUp brings an interface up or takes it down; for a veth the far end loses its carrier. See WaitUp.
func (n *NS) SetUp(dev string, up bool) error {
	return n.onLink("set up", dev, func(l netlink.Link) error {
		if up {
			return n.links.LinkSetUp(l)
		}
		return n.links.LinkSetDown(l)
	})
}

// SetMTU sets an interface's MTU, in bytes without the Ethernet header.
func (n *NS) SetMTU(dev string, mtu int) error {
	return n.onLink("set mtu of", dev, func(l netlink.Link) error { return n.links.LinkSetMTU(l, mtu) })
}

// DeleteLink removes an interface; the other end of a veth goes with it.
func (n *NS) DeleteLink(dev string) error {
	return n.onLink("delete", dev, n.links.LinkDel)
}

// AddAddr gives an interface an address, without duplicate address detection, and waits until it is in use.
func (n *NS) AddAddr(dev string, prefix netip.Prefix) error {
	err := n.onLink("add "+prefix.String()+" to", dev, func(l netlink.Link) error {
		ip := net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
		addr := &netlink.Addr{IPNet: &ip}
		if prefix.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		return n.links.AddrAdd(l, addr)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), carrierLimit)
	defer cancel()
	return n.waitAddr(ctx, prefix.Addr())
}

// waitAddr waits until packets to an address end here. For IPv6 a kernel worker sees to that, even without DAD
// (addrconf_dad_work): it joins the multicast group by which neighbours ask, then adds the local route.
func (n *NS) waitAddr(ctx context.Context, addr netip.Addr) error {
	for {
		routes, err := n.links.RouteGet(addr.AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return nil
		}
		if pause(ctx, time.Millisecond) != nil {
			return fmt.Errorf("%s: wait for the address %s: %w", n, addr, or(err, context.Cause(ctx)))
		}
	}
}

// AddNeighbour tells the namespace the MAC of an address for good, so that it need not ask.
func (n *NS) AddNeighbour(dev string, addr netip.Addr, mac net.HardwareAddr) error {
	return n.onLink("add neighbour "+addr.String()+" to", dev, func(l netlink.Link) error {
		return n.links.NeighSet(&netlink.Neigh{
			LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: addr.AsSlice(), HardwareAddr: mac,
		})
	})
}

// AddBridge makes a Linux bridge that joins the interfaces given: no STP, no VLAN filtering, multicast is
// flooded, and of the link-local groups 01-80-C2-00-00-0X it passes what the kernel lets a bridge pass: all but
// PAUSE (1) and slow protocols such as LACP (2). Who tests those cables the host to the port directly.
func (n *NS) AddBridge(name string, devs ...string) error {
	off, groups := false, uint16(0xfff8)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off, GroupFwdMask: &groups}
	if err := n.links.LinkAdd(bridge); err != nil {
		return fmt.Errorf("%s: add bridge %s: %w", n, name, err)
	}
	for _, dev := range devs {
		join := func(l netlink.Link) error { return n.links.LinkSetMaster(l, bridge) }
		if err := n.onLink("add to bridge", dev, join); err != nil {
			return err
		}
	}
	return n.SetUp(name, true)
}

// Index is the interface index of dev in this namespace.
func (n *NS) Index(dev string) (index int, err error) {
	err = n.onLink("find", dev, func(l netlink.Link) error {
		index = l.Attrs().Index
		return nil
	})
	return index, err
}

// Stats are the interface's counters as the kernel keeps them.
func (n *NS) Stats(dev string) (stats netlink.LinkStatistics, err error) {
	err = n.onLink("read statistics of", dev, func(l netlink.Link) error {
		if l.Attrs().Statistics != nil {
			stats = *l.Attrs().Statistics
		}
		return nil
	})
	return stats, err
}

// HardwareAddr is the MAC of an interface.
func (n *NS) HardwareAddr(dev string) (mac net.HardwareAddr, err error) {
	err = n.onLink("read mac of", dev, func(l netlink.Link) error {
		mac = l.Attrs().HardwareAddr
		return nil
	})
	return mac, err
}

// onLink finds the interface, does something with it and says what and where in its error.
func (n *NS) onLink(op, dev string, do func(netlink.Link) error) error {
	if n.isClosed() {
		return fmt.Errorf("%s: %s %s: %w", n, op, dev, errClosed)
	}
	l, err := n.links.LinkByName(dev)
	if err == nil {
		err = do(l)
	}
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", n, op, dev, err)
	}
	return nil
}

func (n *NS) isClosed() bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.closed
}

// ignore forgives the errors named.
func ignore(err error, harmless ...error) error {
	for _, h := range harmless {
		if errors.Is(err, h) {
			return nil
		}
	}
	return err
}

func splitDots(name string) []string { return strings.Split(name, ".") }
