// SPDX-License-Identifier: Apache-2.0

package xsk

import "golang.org/x/sys/unix"

// Desc is one entry of an RX or TX ring: a packet, or what is left of one. It
// has the layout of struct xdp_desc in linux/if_xdp.h.
type Desc struct {
	Addr    uint64 // of the packet's first byte in the UMEM; any place in a frame
	Len     uint32 // bytes
	Options uint32 // 0 in what Receive returns; ignored by Send
}

// rxRing brings received frames from the kernel. One goroutine.
type rxRing struct {
	consumer
	descs []Desc // shared
	umem  *Umem
	owner owner  // who has a frame that is allowed to come out of here
	chain uint32 // XDP_PKT_CONTD while in the middle of a packet of several frames
	taken uint32 // frames that left the kernel in the last call

	invalid uint64 // descriptors that cannot be right
	multi   uint64 // packets of several frames
}

// receive copies up to len(out) good descriptors to out and says how many. Their
// frames are the caller's from now on. All others are counted and given back.
func (r *rxRing) receive(out []Desc) int {
	n := r.ready(uint32(len(out)))
	r.taken = 0
	if n == 0 {
		return 0
	}
	kept := 0
	for i := range n {
		d := r.descs[(r.next+i)&r.mask] // a copy: checked and used are the same bytes
		if !r.claim(d.Addr) {
			r.chain = d.Options & unix.XDP_PKT_CONTD
			continue
		}
		if d.Options|r.chain != 0 || !r.umem.inFrame(d) {
			r.refuse(d)
			continue
		}
		out[kept] = d
		kept++
	}
	r.release(n)
	return kept
}

// claim makes the frame of an address the caller's if the kernel could have it.
func (r *rxRing) claim(addr uint64) bool {
	if !r.umem.move(addr, r.owner, ownerCaller) {
		r.invalid++
		return false
	}
	r.taken++
	r.umem.held++
	return true
}

// refuse gives the frame of a descriptor back that is not a whole packet in one
// frame. A packet of several frames is counted once, at its first.
func (r *rxRing) refuse(d Desc) {
	more := d.Options & unix.XDP_PKT_CONTD
	switch {
	case d.Options&^unix.XDP_PKT_CONTD != 0 || !r.umem.inFrame(d):
		r.invalid++
	case r.chain == 0:
		r.multi++
	}
	r.chain = more
	r.umem.Give(d.Addr)
}
