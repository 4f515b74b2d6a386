// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/vishvananda/netlink"

	"bulkhead/dataplane/xdp"
)

// iface is an interface that carries one port whole, or one port a VLAN.
type iface struct {
	name    string
	index   int
	mtu     int
	queues  int // receive queues that the interface has
	number  int // index among the interfaces of its cell
	ports   []*port
	whole   *port        // takes all frames; nil when ports are told apart by VLAN
	lanes   [4096]*port  // by VID, when whole is nil
	program *xdp.Program // nil until attached

	was settings // to be put back
}

// settings are what a gateway changes on an interface.
type settings struct {
	down     bool   // it was down
	quiet    bool   // it was not promiscuous
	offloads uint32 // were on that are off now
}

// findIface looks an interface up and reads what the set-up needs to know.
func findIface(name string) (*iface, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w (%s)", name, err, haveIfaces())
	}
	f := &iface{name: name, index: l.Attrs().Index, mtu: l.Attrs().MTU}
	f.was.down = l.Attrs().Flags&net.FlagUp == 0
	f.was.quiet = l.Attrs().Promisc == 0
	f.queues = channels(name)
	return f, nil
}

// haveIfaces helps one who mistyped a name.
func haveIfaces() string {
	links, err := netlink.LinkList()
	if err != nil {
		return "the interfaces here cannot be listed"
	}
	names := "interfaces here:"
	for _, l := range links {
		names += " " + l.Attrs().Name
	}
	return names
}

// prepare makes the interface see every frame of its cable as it is.
func (f *iface) prepare(log *slog.Logger) error {
	l, err := netlink.LinkByIndex(f.index)
	if err != nil {
		return fmt.Errorf("port %s: %w", f.name, err)
	}
	if f.was.down {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("port %s: set it up: %w", f.name, err)
		}
	}
	if f.was.quiet {
		if err := netlink.SetPromiscOn(l); err != nil {
			return fmt.Errorf("port %s: make it promiscuous: %w", f.name, err)
		}
	}
	f.showAll(log)
	return nil
}

// showAll turns off the offloads that hide something. One that cannot be
// turned off is said: tags that the NIC keeps to itself are invisible here.
func (f *iface) showAll(log *slog.Logger) {
	on, err := offloads(f.name)
	if err == nil && on&hiding == 0 {
		return
	}
	if err == nil {
		err = setOffloads(f.name, on&^hiding)
	}
	if err != nil {
		log.Warn("offloads that may hide VLAN tags or merge frames stay as they are: see 'ethtool -k'", "port", f.name, "error", err)
		return
	}
	f.was.offloads = on & hiding
}

// restore puts the settings back as they were. The interface may be gone.
func (f *iface) restore(log *slog.Logger) {
	l, err := netlink.LinkByIndex(f.index)
	if err != nil {
		return
	}
	if f.was.offloads != 0 {
		on, err := offloads(f.name)
		if err == nil {
			err = setOffloads(f.name, on|f.was.offloads)
		}
		if err != nil {
			log.Warn("offloads not put back", "port", f.name, "error", err)
		}
	}
	if f.was.quiet {
		_ = netlink.SetPromiscOff(l)
	}
	if f.was.down {
		_ = netlink.LinkSetDown(l)
	}
}

// lane is how the kernel program knows a port of this interface.
func (p *port) lane() xdp.Lane {
	return xdp.Lane{VLAN: p.conf.VLAN, Open: p.wire.conf.FailOpen, PeerVLAN: p.peer.conf.VLAN, PeerIf: p.peer.iface.index}
}
