// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"fmt"
	"math/bits"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Mode says how frames pass between the device and the UMEM.
type Mode uint8

// The modes. A wish may be any of the three; an open UMEM has one of the last two.
const (
	Auto     Mode = iota // zero-copy if every device can, else copy
	Copy                 // the kernel copies each frame; every driver can
	ZeroCopy             // the device reads and writes the UMEM itself
)

// String gives the mode as it is written in configuration and status.
func (m Mode) String() string {
	switch m {
	case Auto:
		return "auto"
	case Copy:
		return "copy"
	case ZeroCopy:
		return "zerocopy"
	}
	return fmt.Sprintf("mode(%d)", uint8(m))
}

// Headroom is what the kernel leaves free before the packet in a received frame,
// in bytes (XDP_PACKET_HEADROOM). A caller may put tags there.
const Headroom = unix.XDP_PACKET_HEADROOM

const (
	maxSockets = 64      // of one UMEM; an owner is one byte
	minFrames  = 64      // a socket: below that the shares are too small to work with
	maxRing    = 1 << 16 // entries; the kernel has no limit, our sense has
	minBudget  = 32      // TX_BATCH_SIZE of net/xdp/xsk.c

	// etherOverhead is what the kernel adds to an MTU to get a frame: header,
	// two tags and checksum (ETH_PAD_LEN of net/xdp/xsk_buff_pool.c).
	etherOverhead = 14 + 2*4 + 4
)

// Config sizes a UMEM and its sockets. The zero value asks for the defaults.
type Config struct {
	FrameSize      uint32        // bytes; 2048 (default) or 4096
	Frames         uint32        // in the whole UMEM; default 1024 for each socket
	FillSize       uint32        // entries, power of two; default twice RXSize
	RXSize         uint32        // entries, power of two; default 512
	TXSize         uint32        // entries, power of two; default 512
	CompletionSize uint32        // entries, power of two; default TXSize
	Mode           Mode          // wish; Umem.Mode tells what came of it
	TXBudget       uint32        // frames one call may send in copy mode, 32 to TXSize; default 64
	BusyPoll       BusyPoll      // zero: off
	BindTimeout    time.Duration // how long to retry a queue that is busy; default 5 s
}

// BusyPoll lets the system calls of the worker run the device's receive work
// (NAPI) instead of interrupts, see Documentation/networking/napi.rst. It is on
// when Budget is not zero. Whether it really works shows in Socket.NAPIID.
type BusyPoll struct {
	Microseconds uint32 // SO_BUSY_POLL: how long one call may poll
	Budget       uint32 // SO_BUSY_POLL_BUDGET: frames one call may handle, at most 65535
}

// Queue names what a socket is bound to.
type Queue struct {
	Interface string // name, for look-up and messages
	Index     int    // interface index; 0 means: look it up by name
	ID        uint32 // queue of the device, from 0
}

// MaxPacket is the largest packet that fits a frame, in bytes from the Ethernet
// header on, without checksum.
func (c Config) MaxPacket() int {
	return int(def(c.FrameSize, 2048)) - Headroom
}

// MaxMTU is the largest MTU of an interface for which every packet fits a frame,
// two VLAN tags included. Zero-copy drivers may demand a smaller one.
func (c Config) MaxMTU() int {
	return c.MaxPacket() - etherOverhead
}

// withDefaults replaces zeros, for the given number of sockets.
func (c Config) withDefaults(sockets int) Config {
	c.FrameSize = def(c.FrameSize, 2048)
	c.Frames = def(c.Frames, 1024*uint32(sockets))
	c.RXSize = def(c.RXSize, 512)
	c.TXSize = def(c.TXSize, 512)
	c.FillSize = def(c.FillSize, 2*c.RXSize)
	c.CompletionSize = def(c.CompletionSize, c.TXSize)
	c.BindTimeout = def(c.BindTimeout, 5*time.Second)
	if c.TXSize >= minBudget { // with a smaller ring there is nothing to choose
		c.TXBudget = def(c.TXBudget, min(64, c.TXSize))
	}
	return c
}

// check refuses what the kernel would refuse, in clearer words.
func (c Config) check(sockets int) error {
	if sockets < 1 || sockets > maxSockets {
		return fmt.Errorf("xsk: %d queues: a UMEM has 1 to %d", sockets, maxSockets)
	}
	if c.FrameSize != 2048 && c.FrameSize != 4096 || int(c.FrameSize) > os.Getpagesize() {
		return fmt.Errorf("xsk: frame size %d: must be 2048 or 4096", c.FrameSize)
	}
	if c.Frames < minFrames*uint32(sockets) || uint64(c.Frames)*uint64(c.FrameSize) > 1<<32 {
		return fmt.Errorf("xsk: %d frames for %d queues: must be %d or more for each queue and 4 GiB at most",
			c.Frames, sockets, minFrames)
	}
	if c.Mode > ZeroCopy {
		return fmt.Errorf("xsk: unknown %v: must be auto, copy or zerocopy", c.Mode)
	}
	if c.TXBudget != 0 && (c.TXBudget < minBudget || c.TXBudget > c.TXSize) {
		return fmt.Errorf("xsk: TX budget %d: must be %d to %d, the size of the TX ring", c.TXBudget, minBudget, c.TXSize)
	}
	if c.BusyPoll.Budget > 65535 {
		return fmt.Errorf("xsk: busy poll budget %d: must be 65535 at most", c.BusyPoll.Budget)
	}
	return c.checkRings()
}

// checkRings refuses ring sizes that are no power of two or out of range.
func (c Config) checkRings() error {
	for _, r := range []struct {
		name string
		size uint32
	}{{"fill", c.FillSize}, {"RX", c.RXSize}, {"TX", c.TXSize}, {"completion", c.CompletionSize}} {
		if bits.OnesCount32(r.size) != 1 || r.size < 2 || r.size > maxRing {
			return fmt.Errorf("xsk: %s ring of %d entries: must be a power of two, 2 to %d", r.name, r.size, maxRing)
		}
	}
	return nil
}

// def gives the default d for a value that is zero.
func def[T ~uint32 | ~int64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}
