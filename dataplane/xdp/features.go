// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// What is asked of the kernel's netdev family (linux/netdev.h, 6.3).
const (
	netdevFamily       = "netdev"
	netdevDevGet       = 1 // NETDEV_CMD_DEV_GET
	netdevIfindex      = 1 // NETDEV_A_DEV_IFINDEX
	netdevXDPFeatures  = 3 // NETDEV_A_DEV_XDP_FEATURES
	featureNDOTransmit = 1 << 2
)

// TakesRedirects says whether an interface sends frames that an XDP program
// redirects to it. One that does not loses them without a trace. A kernel that
// cannot say is believed.
func TakesRedirects(index int) bool {
	features, known := xdpFeatures(index)
	return !known || features&featureNDOTransmit != 0
}

// xdpFeatures asks which XDP features an interface has.
func xdpFeatures(index int) (features uint64, known bool) {
	family, err := netlink.GenlFamilyGet(netdevFamily)
	if err != nil {
		return 0, false
	}
	r := nl.NewNetlinkRequest(int(family.ID), 0)
	r.AddData(&nl.Genlmsg{Command: netdevDevGet, Version: 1})
	r.AddData(nl.NewRtAttr(netdevIfindex, nl.Uint32Attr(uint32(index))))
	replies, err := r.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil || len(replies) == 0 || len(replies[0]) < nl.SizeofGenlmsg {
		return 0, false
	}
	attrs, err := nl.ParseRouteAttr(replies[0][nl.SizeofGenlmsg:])
	if err != nil {
		return 0, false
	}
	for _, a := range attrs {
		if a.Attr.Type == netdevXDPFeatures && len(a.Value) == 8 {
			return nl.NativeEndian().Uint64(a.Value), true
		}
	}
	return 0, false
}
