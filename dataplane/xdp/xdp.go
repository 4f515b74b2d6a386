// SPDX-License-Identifier: Apache-2.0

// Package xdp loads and attaches the kernel's end of a wire: the XDP program
// in bpf/bulkhead.c, one instance on each interface.
//
// The program hands each frame to the AF_XDP socket of the queue that it came
// by. What it does when it cannot depends on the beats: words in memory shared
// with the program, in which every worker writes the time. A queue without a
// socket while the gateway beats is a fault and drops; when nobody beats, the
// gateway is gone or hung and the wire's fail mode decides.
//
// Kernel features: native XDP and bpf_link for XDP (5.9), AF_XDP sockets that
// share packet memory over devices (5.10), the coarse clock (5.11).
package xdp

import "fmt"

// MaxQueues is how many receive queues of an interface the program serves.
// MaxLanes bounds the ports on one interface: lane 0 is nobody's.
const (
	MaxQueues = 256
	MaxLanes  = 64
)

// The longest frames that sockets take, in bytes: a frame of packet memory of
// 2,048 or 4,096 bytes less the headroom that the kernel leaves.
const (
	SmallFrame = 2048 - 256
	LargeFrame = 4096 - 256
)

// Cause says why the program did not hand a frame to a socket. The numbers are
// those of enum cause in bpf/bulkhead.c.
type Cause uint8

// The causes.
const (
	QueueUnbound Cause = iota // no socket on the queue while the gateway lives
	FailClosed                // nobody beats, the wire fails closed
	FailOpen                  // nobody beats, the wire fails open: passed
	Oversize                  // longer than a frame of packet memory
	NoLane                    // no port has the frame's VLAN

	NumCauses
)

// Lane is a port as the program of its interface sees it.
type Lane struct {
	VLAN     uint16 // by which frames are sorted into it; 0: the whole interface
	Open     bool   // fail mode
	PeerVLAN uint16 // tag of the peer port; 0: none
	PeerIf   int    // interface index of the peer port
}

// word packs a lane as the program's array holds it.
func (l Lane) word(number int) uint64 {
	w := uint64(number) | uint64(l.PeerVLAN)<<16 | uint64(number)<<32
	if l.Open {
		w |= 1 << 8
	}
	return w
}

// check refuses lanes that the program cannot tell apart.
func checkLanes(lanes []Lane) error {
	if len(lanes) == 0 || len(lanes) >= MaxLanes {
		return fmt.Errorf("%d ports on one interface: from 1 to %d are possible", len(lanes), MaxLanes-1)
	}
	seen := map[uint16]bool{}
	for _, l := range lanes {
		if seen[l.VLAN] || (l.VLAN == 0 && len(lanes) > 1) {
			return fmt.Errorf("VLAN %d: an interface belongs to one port, or each of its VLANs to one", l.VLAN)
		}
		if l.VLAN > 4094 || l.PeerVLAN > 4094 {
			return fmt.Errorf("VLAN %d or %d: the highest VID is 4094", l.VLAN, l.PeerVLAN)
		}
		seen[l.VLAN] = true
	}
	return nil
}
