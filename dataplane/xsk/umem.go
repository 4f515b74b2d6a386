// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// owner says who has a frame. Socket i of a UMEM is rxOwner(i) and txOwner(i).
type owner uint8

const (
	ownerFree   owner = iota // on the free list
	ownerCaller              // out of Receive or Take, not yet in Send or Give
	ownerSocket              // the first socket's receive side, then its transmit side, and so on
)

func rxOwner(socket int) owner { return ownerSocket + owner(2*socket) }
func txOwner(socket int) owner { return ownerSocket + owner(2*socket) + 1 }

// Umem is the packet memory of one worker and the sockets that share it. Make
// one with Open, end it with Close. It must not be copied, and one goroutine at
// a time may use it and its sockets; there are no locks.
//
// The free list is a stack, so that the frame given back last, which is in the
// cache, is used first.
//
// Shares: of N frames and S sockets, the TX side of a socket may own N/2S at
// most, so that a backlog there leaves half of the frames to RX; and the RX
// sides of all sockets but one may never own so many that fewer than N/4S are
// left for that one. A single socket may have all but N/4 for RX.
type Umem struct {
	mem    []byte
	owners []owner  // of each frame
	free   []uint32 // stack of free frames (numbers, not addresses)
	nfree  int
	held   int    // frames that the caller has
	misuse uint64 // Give of a frame that the caller did not have

	shift   uint // log2 of the frame size
	size    uint64
	mode    Mode
	refusal error

	sockets          []*Socket
	rxShare, txShare int    // frames that each socket may have
	mapping          []byte // what mem is a part of
}

// newUmem makes a UMEM of c.Frames free frames over mem, for a number of sockets.
func newUmem(c Config, sockets int, mem []byte) *Umem {
	u := &Umem{
		mem:    mem,
		owners: make([]owner, c.Frames),
		free:   make([]uint32, c.Frames),
		nfree:  int(c.Frames),
		shift:  uint(bits.TrailingZeros32(c.FrameSize)),
		size:   uint64(c.FrameSize),
	}
	u.rxShare, u.txShare = shares(int(c.Frames), sockets)
	for i := range u.free {
		u.free[i] = c.Frames - 1 - uint32(i)
	}
	return u
}

// Sockets are the UMEM's sockets, in the order of the queues given to Open. The
// slice is the UMEM's own.
func (u *Umem) Sockets() []*Socket { return u.sockets }

// Mode is Copy or ZeroCopy, as the kernel told; all sockets have the same.
func (u *Umem) Mode() Mode { return u.mode }

// Refusal says why an Auto UMEM is in copy mode, for status and logs; nil otherwise.
func (u *Umem) Refusal() error { return u.refusal }

// Frame is the n bytes of packet memory at addr. It cannot be extended beyond
// its frame. It panics if addr and n are not within one frame, which cannot
// happen with what Receive and Take returned.
func (u *Umem) Frame(addr uint64, n uint32) []byte {
	end := addr&^(u.size-1) + u.size
	return u.mem[addr : addr+uint64(n) : end]
}

// Take gives the caller a free frame for a packet of its own: the address of
// FrameSize-Headroom usable bytes. It says false if there is none.
func (u *Umem) Take() (addr uint64, ok bool) {
	if u.nfree == 0 {
		return 0, false
	}
	u.held++
	return u.take(ownerCaller) + Headroom, true
}

// Give gives the frame of a packet back that is not sent: of any address in it.
// A frame that is not the caller's is left where it is and counted as Misuse.
func (u *Umem) Give(addr uint64) {
	if !u.give(addr, ownerCaller) {
		u.misuse++
		return
	}
	u.held--
}

// Misuse counts frames given back by a caller that did not have them: 0 unless
// there is a bug.
func (u *Umem) Misuse() uint64 { return u.misuse }

// give is the one place where a frame becomes free again, and only if it is
// from's.
func (u *Umem) give(addr uint64, from owner) bool {
	if !u.move(addr, from, ownerFree) {
		return false
	}
	u.free[u.nfree] = uint32(addr >> (u.shift & 63))
	u.nfree++
	return true
}

// take is the one place where a frame stops being free. There must be one.
func (u *Umem) take(to owner) (addr uint64) {
	u.nfree--
	f := u.free[u.nfree]
	u.owners[f] = to
	return uint64(f) << (u.shift & 63)
}

// move changes the owner of the frame at addr, if it is from. An address outside
// of the UMEM has no owner.
func (u *Umem) move(addr uint64, from, to owner) bool {
	f := addr >> (u.shift & 63)
	if f >= uint64(len(u.owners)) || u.owners[f] != from {
		return false
	}
	u.owners[f] = to
	return true
}

// inFrame reports whether a descriptor's bytes are at least one and all in the
// frame in which they begin.
func (u *Umem) inFrame(d Desc) bool {
	return d.Len != 0 && d.Addr&(u.size-1)+uint64(d.Len) <= u.size
}

// Close closes all sockets and releases the memory. Before, take the sockets out
// of the XSKMAP, so that the kernel stops receiving into them. Nothing of the
// UMEM may be used afterwards. A second Close does nothing.
func (u *Umem) Close() error {
	var errs []error
	for i := len(u.sockets) - 1; i >= 0; i-- {
		errs = append(errs, u.sockets[i].close())
	}
	if u.mapping != nil {
		if err := unix.Munmap(u.mapping); err != nil {
			errs = append(errs, fmt.Errorf("xsk: unmap packet memory: %w", err))
		}
	}
	u.sockets, u.mapping, u.mem = nil, nil, nil
	return errors.Join(errs...)
}
