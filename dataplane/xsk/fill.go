// SPDX-License-Identifier: Apache-2.0

package xsk

// fillRing gives free frames to the kernel to receive into. One goroutine.
type fillRing struct {
	producer
	addrs []uint64 // shared; the kernel masks them to the start of the frame
	umem  *Umem
	owner owner // who has a frame that is in here
}

// refill moves up to n free frames into the ring and says how many. The caller
// has seen that there are n free frames.
func (f *fillRing) refill(n uint32) uint32 {
	n = f.room(n)
	if n == 0 {
		return 0
	}
	for i := range n {
		f.addrs[(f.next+i)&f.mask] = f.umem.take(f.owner)
	}
	f.submit(n)
	return n
}
