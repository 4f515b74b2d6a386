// SPDX-License-Identifier: Apache-2.0

package xsk

// txRing hands packets to the kernel to send. One goroutine.
type txRing struct {
	producer
	descs []Desc // shared
	umem  *Umem
	owner owner  // who has a frame that is in here or not completed yet
	put   uint32 // entries written in the last call

	invalid uint64 // descriptors refused
}

// send queues the first descriptors of descs, as many as limit and the ring
// allow, and says how many of descs are dealt with: their frames are no longer
// the caller's. One that the kernel would refuse is counted and its frame, if it
// was the caller's, given back.
func (t *txRing) send(descs []Desc, limit uint32) int {
	n := t.room(min(limit, uint32(len(descs))))
	t.put = 0
	if n == 0 {
		return 0
	}
	for _, d := range descs[:n] {
		if !t.umem.inFrame(d) || !t.umem.move(d.Addr, ownerCaller, t.owner) {
			t.refuse(d)
			continue
		}
		t.umem.held--
		t.descs[(t.next+t.put)&t.mask] = Desc{Addr: d.Addr, Len: d.Len}
		t.put++
	}
	if t.put > 0 {
		t.submit(t.put)
	}
	return int(n)
}

// refuse counts a descriptor that cannot be sent and gives its frame back, if
// the caller had it.
func (t *txRing) refuse(d Desc) {
	t.invalid++
	if t.umem.give(d.Addr, ownerCaller) {
		t.umem.held--
	}
}
