// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"log/slog"
	"net"

	"github.com/safchain/ethtool"
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
	down     bool // it was down
	quiet    bool // it was not promiscuous
	features map[string]bool
}

// hiding are offloads that keep a frame from being seen as it is on the cable:
// tags that the NIC strips, and frames that it merges.
var hiding = []string{"rx-vlan-hw-parse", "rx-vlan-filter", "rx-lro", "rx-gro-hw"}

// findIface looks an interface up and reads what the set-up needs to know.
func findIface(name string) (*iface, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w (%s)", name, err, haveIfaces())
	}
	f := &iface{name: name, index: l.Attrs().Index, mtu: l.Attrs().MTU}
	f.was.down = l.Attrs().Flags&net.FlagUp == 0
	f.was.quiet = l.Attrs().Promisc == 0
	f.queues, err = channels(name)
	return f, err
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

// channels counts the receive queues of an interface: those of an XDP program
// are its combined and its receive channels.
func channels(name string) (int, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return 0, fmt.Errorf("port %s: open ethtool: %w", name, err)
	}
	defer e.Close()
	c, err := e.GetChannels(name)
	if err != nil {
		return 1, nil // a driver without channels has one queue
	}
	return max(1, int(c.CombinedCount+c.RxCount)), nil
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
	e, err := ethtool.NewEthtool()
	if err != nil {
		log.Warn("offloads not checked", "port", f.name, "error", err)
		return
	}
	defer e.Close()
	on, err := e.Features(f.name)
	if err != nil {
		log.Warn("offloads not checked", "port", f.name, "error", err)
		return
	}
	f.was.features = map[string]bool{}
	for _, feature := range hiding {
		if !on[feature] {
			continue
		}
		if err := e.Change(f.name, map[string]bool{feature: false}); err != nil {
			log.Warn("an offload that may hide VLAN tags or merge frames stays on", "port", f.name, "offload", feature, "error", err)
			continue
		}
		f.was.features[feature] = true
	}
}

// restore puts the settings back as they were. The interface may be gone.
func (f *iface) restore(log *slog.Logger) {
	l, err := netlink.LinkByIndex(f.index)
	if err != nil {
		return
	}
	if len(f.was.features) > 0 {
		if e, err := ethtool.NewEthtool(); err == nil {
			if err := e.Change(f.name, f.was.features); err != nil {
				log.Warn("offloads not put back", "port", f.name, "error", err)
			}
			e.Close()
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
