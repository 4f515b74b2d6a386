// SPDX-License-Identifier: Apache-2.0

package xsk

// completionRing brings back the frames that were sent. One goroutine.
type completionRing struct {
	consumer
	addrs []uint64 // shared; as they were in the TX ring, so anywhere in the frame
	umem  *Umem
	owner owner // who has a frame that is allowed to come out of here

	invalid uint64 // addresses of frames that were not being sent
}

// drain gives back all frames that have come back and says how many.
func (c *completionRing) drain() uint32 {
	n := c.ready(c.size)
	if n == 0 {
		return 0
	}
	freed := uint32(0)
	for i := range n {
		if c.umem.give(c.addrs[(c.next+i)&c.mask], c.owner) {
			freed++
		} else {
			c.invalid++
		}
	}
	c.release(n)
	return freed
}
