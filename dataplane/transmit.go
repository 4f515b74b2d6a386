// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/dataplane/xsk"
)

// transmit carries the verdicts of a batch out: what passes goes to the ring
// of its way out, all else is given back.
func (w *worker) transmit(n int) {
	for k := range n {
		p := &w.batch[k]
		switch {
		case p.verdict == Forward && w.canLeave(p) && w.retag(p):
			w.queueOut(p)
		case p.verdict == Reject:
			w.reject(p)
			w.drop(p)
		default:
			w.drop(p)
		}
	}
	for i := range w.edges {
		w.sendOut(i)
	}
}

// canLeave says whether the peer port is up. What is handed to one that is not
// would leave when it comes back, long after it was judged.
func (w *worker) canLeave(p *frame) bool {
	if p.in.peer.iface.down.Load() {
		p.reason = event.TXDown
		return false
	}
	return true
}

// drop counts a frame that goes no further, unless parse has done so because
// it is of no port, and gives it back.
func (w *worker) drop(p *frame) {
	if p.in != nil {
		w.tally.dropped(p.in, p.reason)
	}
	w.giveBack(p.desc.Addr)
}

// giveBack is the one place at which a worker returns a frame that it did not
// send: what was sent comes back through the completion rings.
func (w *worker) giveBack(addr uint64) { w.umem.Give(addr) }

// queueOut puts a frame among those that leave by its port's peer.
func (w *worker) queueOut(p *frame) {
	out := p.in.peer.iface.number
	w.out[out] = append(w.out[out], p.desc)
	w.outIn[out] = append(w.outIn[out], passage{p.in, p.reason})
}

// passage is what is counted when a frame has found room on its way out.
type passage struct {
	in     *port
	reason event.Reason // of a pass that no rule decided; 0: a rule did
}

// sendOut gives an interface what a batch has for it. When its ring is full,
// the kernel is told to take what is there; what then finds no room is
// dropped: waiting is never the answer.
func (w *worker) sendOut(i int) {
	descs, passed := w.out[i], w.outIn[i]
	if len(descs) == 0 {
		return
	}
	e := w.edges[i]
	sent := e.Send(descs)
	if sent < len(descs) {
		e.Kick()
		e.Complete()
		sent += e.Send(descs[sent:])
	}
	for k := range sent {
		w.tally.forwarded(passed[k].in, passed[k].reason, int(descs[k].Len))
	}
	for k := sent; k < len(descs); k++ {
		w.tally.dropped(passed[k].in, event.TXFull)
		w.giveBack(descs[k].Addr)
	}
	w.out[i], w.outIn[i] = descs[:0], passed[:0]
	e.Kick()
	e.Complete()
}

// flush goes on with what the kernel has not yet taken, or not yet finished.
func (w *worker) flush() {
	for _, e := range w.edges {
		e.Kick()
		e.Complete()
		e.Wake()
	}
}

const (
	macsLen = 12 // both addresses, in front of tags and EtherType
	tagLen  = 4
	tpid    = 0x8100
	vidMask = 0x0fff
)

// retag gives a frame the tag of the port that it leaves by. It is false when
// the frame has no room for one.
func (w *worker) retag(p *frame) bool {
	in, out := p.in.conf.VLAN, p.in.peer.conf.VLAN
	switch {
	case in == out:
	case in == 0:
		return w.pushTag(p, out)
	case out == 0:
		popTag(p)
	default:
		tci := binary.BigEndian.Uint16(p.bytes[macsLen+2:])
		binary.BigEndian.PutUint16(p.bytes[macsLen+2:], tci&^vidMask|out)
	}
	return true
}

// pushTag moves the addresses to the front and puts a tag behind them.
func (w *worker) pushTag(p *frame, vid uint16) bool {
	if p.desc.Addr&(w.frameSize-1) < tagLen {
		p.reason = event.NoHeadroom
		return false
	}
	p.desc.Addr -= tagLen
	p.desc.Len += tagLen
	p.bytes = w.umem.Frame(p.desc.Addr, p.desc.Len)
	copy(p.bytes, p.bytes[tagLen:tagLen+macsLen])
	binary.BigEndian.PutUint16(p.bytes[macsLen:], tpid)
	binary.BigEndian.PutUint16(p.bytes[macsLen+2:], vid)
	return true
}

// popTag moves the addresses over the outermost tag.
func popTag(p *frame) {
	copy(p.bytes[tagLen:], p.bytes[:macsLen])
	p.desc.Addr += tagLen
	p.desc.Len -= tagLen
	p.bytes = p.bytes[tagLen:]
}

// reject tells the sender of a rejected packet, out of the port that it came
// by. It does not when nothing may be answered, when the source was told often
// enough, or when there is no frame or no room for it.
func (w *worker) reject(p *frame) {
	if !w.limit.allow(p.info.Src, w.now) {
		return
	}
	addr, ok := w.umem.Take()
	if !ok {
		return
	}
	n := packet.Answer(p.bytes, &p.info, w.umem.Frame(addr, packet.MaxAnswer))
	if n == 0 {
		w.giveBack(addr)
		return
	}
	w.answers = append(w.answers[:0], xsk.Desc{Addr: addr, Len: uint32(n)})
	e := w.edges[p.in.iface.number]
	if e.Send(w.answers) == 0 {
		w.giveBack(addr)
		return
	}
	w.tally.answered(p.in)
}
