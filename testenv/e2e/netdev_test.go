// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/safchain/ethtool"
	"github.com/vishvananda/netlink"

	"bulkhead/testenv"
)

// What the tests need of interfaces and the lab does not have.

// joinHost joins a router to a host behind it by a cable that carries packets of
// that MTU, with addresses of 198.19.0.0/24 and 2001:db8:99::/64. The host knows
// of the MTU but lets the others send it larger packets.
func joinHost(t testing.TB, router, far *testenv.NS, mtu int) {
	t.Helper()
	there, err := os.Open(far.Path())
	must(t, err)
	defer there.Close()
	must(t, router.Do(func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = "behind", mtu
		v := netlink.NewVeth(attrs)
		v.PeerName, v.PeerNamespace, v.PeerMTU = "eth0", netlink.NsFd(there.Fd()), 1500
		return netlink.LinkAdd(v)
	}))
	for i, end := range []struct {
		ns  *testenv.NS
		dev string
	}{{router, "behind"}, {far, "eth0"}} {
		host := byte(i + 1)
		must(t, errors.Join(
			end.ns.AddAddr(end.dev, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 19, 0, host}), 24)),
			end.ns.AddAddr(end.dev, netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, 0x99, 15: host}), 64)),
			end.ns.SetUp(end.dev, true)))
	}
	must(t, errors.Join(
		router.Sysctl("net.ipv4.ip_forward", "1"),
		router.Sysctl("net.ipv6.conf.all.forwarding", "1"),
		addRoute(far, netlink.Route{Gw: net.ParseIP("198.19.0.1"), MTU: mtu, AdvMSS: 1460}),
		addRoute(far, netlink.Route{Gw: net.ParseIP("2001:db8:99::1"), MTU: mtu, AdvMSS: 1440})))
}

// addRoute adds a route; without a destination it is the default.
func addRoute(n *testenv.NS, r netlink.Route) error {
	return n.Do(func() error { return netlink.RouteAdd(&r) })
}

// setChannels gives a veth so many receive and transmit queues.
func setChannels(t testing.TB, n *testenv.NS, dev string, queues uint32) {
	t.Helper()
	must(t, n.Do(func() error {
		e, err := ethtool.NewEthtool()
		if err != nil {
			return err
		}
		defer e.Close()
		_, err = e.SetChannels(dev, ethtool.Channels{RxCount: queues, TxCount: queues})
		return err
	}))
}

// attributes are those of an interface now.
func attributes(t testing.TB, n *testenv.NS, dev string) (attrs *netlink.LinkAttrs) {
	t.Helper()
	must(t, n.Do(func() error {
		l, err := netlink.LinkByName(dev)
		if err == nil {
			attrs = l.Attrs()
		}
		return err
	}))
	return attrs
}
