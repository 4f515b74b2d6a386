// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"errors"

	"golang.org/x/sys/unix"
)

// What is asked of ethtool(7): the structs and commands of linux/ethtool.h. The
// library for it hands the kernel addresses that the Go runtime may move.

// ethtoolChannels is struct ethtool_channels; what is not used of it has no name.
type ethtoolChannels struct {
	command  uint32
	_        [4]uint32 // the most that are possible: rx, tx, other, combined
	rx       uint32
	_        [2]uint32 // tx, other
	combined uint32
}

// ethtoolValue is struct ethtool_value.
type ethtoolValue struct{ command, data uint32 }

// hiding are the offloads (enum ethtool_flags) that keep a frame from being
// seen as it is on the cable, and what that means.
var hiding = map[uint32]string{
	1 << 8:  "the NIC takes VLAN tags off, and they cannot be seen (rxvlan)",
	1 << 15: "the NIC merges frames, which then may not fit (lro)",
}

// channels counts the receive queues of an interface: its combined and its
// receive channels. A driver that knows of no channels has one queue.
func channels(name string) (int, error) {
	c := ethtoolChannels{command: unix.ETHTOOL_GCHANNELS}
	switch err := ethtool(name, &c); {
	case errors.Is(err, unix.EOPNOTSUPP):
		return 1, nil
	case err != nil:
		return 0, err
	}
	return max(1, int(c.combined+c.rx)), nil
}

// offloads reads those that can be switched by a flag.
func offloads(name string) (uint32, error) {
	v := ethtoolValue{command: unix.ETHTOOL_GFLAGS}
	err := ethtool(name, &v)
	return v.data, err
}

// setOffloads switches them.
func setOffloads(name string, flags uint32) error {
	return ethtool(name, &ethtoolValue{command: unix.ETHTOOL_SFLAGS, data: flags})
}
