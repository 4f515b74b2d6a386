// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// wireOffloads make a veth behave like a cable: what enters it has its checksums, its own size and its tags in
// the frame. GRO stays on, because only then has a veth a NAPI, and without one it loses what is redirected
// into its peer.
var wireOffloads = map[string]bool{
	"rx-gro":                       true,
	"tx-checksum-ip-generic":       false,
	"tx-checksum-sctp":             false,
	"tx-tcp-segmentation":          false,
	"tx-tcp6-segmentation":         false,
	"tx-tcp-ecn-segmentation":      false,
	"tx-tcp-mangleid-segmentation": false,
	"tx-udp-segmentation":          false,
	"tx-sctp-segmentation":         false,
	"tx-generic-segmentation":      false,
	"tx-vlan-hw-insert":            false,
	"tx-vlan-stag-hw-insert":       false,
	"rx-vlan-hw-parse":             false,
	"rx-vlan-stag-hw-parse":        false,
}

// The two calls below speak ethtool's netlink (Documentation/networking/ethtool-netlink.rst, Linux 5.7):
// it names features by strings, so that no bit numbers are kept here.

// SetOffloads turns offloads of an interface on and off, by the kernel's names (those that `ethtool -k` shows
// with -- for groups -- their members). A name that the kernel does not know is an error; what this device
// cannot change stays as it is.
func (n *NS) SetOffloads(dev string, want map[string]bool) error {
	wanted := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_WANTED|unix.NLA_F_NESTED, nil)
	bits := wanted.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS|unix.NLA_F_NESTED, nil)
	for _, name := range slices.Sorted(maps.Keys(want)) {
		bit := bits.AddRtAttr(unix.ETHTOOL_A_BITSET_BITS_BIT|unix.NLA_F_NESTED, nil)
		bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_NAME, nl.ZeroTerminated(name))
		if want[name] {
			bit.AddRtAttr(unix.ETHTOOL_A_BITSET_BIT_VALUE, []byte{})
		}
	}
	if _, err := n.ethtool(dev, unix.ETHTOOL_MSG_FEATURES_SET, wanted); err != nil {
		return fmt.Errorf("%s: set offloads of %s: %w", n, dev, err)
	}
	return nil
}

// Offloads is the set of an interface's features that are on, by the kernel's names.
func (n *NS) Offloads(dev string) (map[string]bool, error) {
	replies, err := n.ethtool(dev, unix.ETHTOOL_MSG_FEATURES_GET)
	if err != nil {
		return nil, fmt.Errorf("%s: read offloads of %s: %w", n, dev, err)
	}
	on := map[string]bool{}
	path := []int{unix.ETHTOOL_A_FEATURES_ACTIVE, unix.ETHTOOL_A_BITSET_BITS, unix.ETHTOOL_A_BITSET_BITS_BIT,
		unix.ETHTOOL_A_BITSET_BIT_NAME}
	for _, reply := range replies {
		if len(reply) < nl.SizeofGenlmsg {
			continue
		}
		for _, name := range attrsAt(reply[nl.SizeofGenlmsg:], path) {
			on[string(bytes.TrimRight(name, "\x00"))] = true
		}
	}
	return on, nil
}

// attrsAt finds all attributes at a path of nested attribute types; what is malformed is left out.
func attrsAt(b []byte, path []int) [][]byte {
	attrs, err := nl.ParseRouteAttr(b)
	if err != nil {
		return nil
	}
	var found [][]byte
	for _, a := range attrs {
		switch {
		case int(a.Attr.Type&^unix.NLA_F_NESTED) != path[0]:
		case len(path) == 1:
			found = append(found, a.Value)
		default:
			found = append(found, attrsAt(a.Value, path[1:])...)
		}
	}
	return found
}

// ethtool sends one request about dev to the namespace's kernel and returns the replies.
func (n *NS) ethtool(dev string, command uint8, attrs ...*nl.RtAttr) (replies [][]byte, err error) {
	family, err := n.links.GenlFamilyGet(unix.ETHTOOL_GENL_NAME)
	if err != nil {
		return nil, err
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	req.AddData(&nl.Genlmsg{Command: command, Version: unix.ETHTOOL_GENL_VERSION})
	// The message's own header comes first; every ethtool message has it as attribute 1.
	header := nl.NewRtAttr(unix.ETHTOOL_A_FEATURES_HEADER|unix.NLA_F_NESTED, nil)
	header.AddRtAttr(unix.ETHTOOL_A_HEADER_DEV_NAME, nl.ZeroTerminated(dev))
	req.AddData(header)
	for _, a := range attrs {
		req.AddData(a)
	}
	err = n.Do(func() error {
		replies, err = req.Execute(unix.NETLINK_GENERIC, 0)
		return err
	})
	return replies, err
}
