// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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

	down  atomic.Bool             // the monitor's finding: nothing can leave here
	early [][xdp.NumCauses]uint64 // what the program counted before the gateway was ready, by lane

	undo []func() error // puts the interface's settings back, last first
}

// findIface looks an interface up and reads what the set-up needs to know.
func findIface(name string) (*iface, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w (%s)", name, err, haveIfaces())
	}
	f := &iface{name: name, index: l.Attrs().Index, mtu: l.Attrs().MTU}
	if f.queues, err = channels(name); err != nil {
		return nil, fmt.Errorf("port %s: read its channels: %w", name, err)
	}
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

// prepare makes the interface see every frame of its cable as it is, and say
// nothing of its own.
func (f *iface) prepare(log *slog.Logger) error {
	l, err := netlink.LinkByIndex(f.index)
	if err != nil {
		return fmt.Errorf("port %s: %w", f.name, err)
	}
	f.silence(log)
	if l.Attrs().RawFlags&unix.IFF_UP == 0 {
		if err := netlink.LinkSetUp(l); err != nil {
			return fmt.Errorf("port %s: set it up: %w", f.name, err)
		}
		f.undo = append(f.undo, func() error { return netlink.LinkSetDown(l) })
	}
	if l.Attrs().RawFlags&unix.IFF_PROMISC == 0 { // not Promisc, which counts others' wishes too
		if err := netlink.SetPromiscOn(l); err != nil {
			return fmt.Errorf("port %s: make it promiscuous: %w", f.name, err)
		}
		f.undo = append(f.undo, func() error { return netlink.SetPromiscOff(l) })
	}
	for flag, what := range hiding {
		f.turnOff(flag, what, log)
	}
	return nil
}

// silence keeps the host from speaking IPv6 on the port: a port has no address,
// and what the host says would enter the segment unjudged.
func (f *iface) silence(log *slog.Logger) {
	path := "/proc/sys/net/ipv6/conf/" + f.name + "/disable_ipv6"
	was, err := os.ReadFile(path)
	if err != nil || strings.TrimSpace(string(was)) == "1" {
		return // no IPv6 here
	}
	if err := os.WriteFile(path, []byte("1"), 0); err != nil {
		log.Warn("the host may speak IPv6 on a port", "port", f.name, "error", err)
		return
	}
	f.undo = append(f.undo, func() error { return os.WriteFile(path, was, 0) })
}

// turnOff turns off an offload that hides something. When it cannot be turned
// off that is said.
func (f *iface) turnOff(flag uint32, what string, log *slog.Logger) {
	on, err := offloads(f.name)
	if err != nil || on&flag == 0 {
		return
	}
	if err := setOffloads(f.name, on&^flag); err != nil {
		log.Warn("an offload stays on: "+what, "port", f.name, "error", err)
		return
	}
	f.undo = append(f.undo, func() error {
		on, err := offloads(f.name)
		if err != nil {
			return err
		}
		return setOffloads(f.name, on|flag)
	})
}

// restore puts the settings back as they were, unless the interface is gone.
func (f *iface) restore(log *slog.Logger) {
	if _, err := netlink.LinkByIndex(f.index); err != nil {
		return
	}
	for _, undo := range slices.Backward(f.undo) {
		if err := undo(); err != nil {
			log.Warn("a setting was not put back", "port", f.name, "error", err)
		}
	}
	f.undo = nil
}

// lane is how the kernel program knows a port of this interface.
func (p *port) lane() xdp.Lane {
	return xdp.Lane{VLAN: p.conf.VLAN, Open: p.wire.conf.FailOpen, PeerVLAN: p.peer.conf.VLAN, PeerIf: p.peer.iface.index}
}
