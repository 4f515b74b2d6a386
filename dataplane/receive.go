// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"encoding/binary"

	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// receive takes a batch from an interface's ring. The fill ring is topped up
// first: an empty fill ring and an empty receive ring would wait for each other.
func (w *worker) receive(i int) int {
	e := w.edges[i]
	e.Refill()
	n := e.Receive(w.descs[:])
	for k := range n {
		f := &w.batch[k]
		f.desc = w.descs[k]
		f.bytes = w.umem.Frame(f.desc.Addr, f.desc.Len)
	}
	return n
}

// parse reads each frame's headers and finds the port that it came by.
func (w *worker) parse(i, n int) {
	f := w.cell.ifaces[i]
	for k := range n {
		p := &w.batch[k]
		packet.Parse(p.bytes, &p.info)
		p.in = f.whole
		if p.in == nil {
			p.in = f.portOf(p)
		}
		if p.in == nil { // the interface's first port counts it
			w.tally.received(f.ports[0], len(p.bytes))
			w.tally.dropped(f.ports[0], event.VLANUnknown)
			continue
		}
		w.tally.received(p.in, len(p.bytes))
	}
}

// portOf sorts a frame by its outermost tag, an 802.1Q one, as the kernel's
// program does. The tag is then no longer part of what policy and flow see: it
// says where the frame is, not what it is.
func (f *iface) portOf(p *frame) *port {
	info := &p.info
	if info.Tags == 0 || binary.BigEndian.Uint16(p.bytes[macsLen:]) != tpid {
		return nil
	}
	in := f.lanes[info.Tag&vidMask]
	if in != nil {
		info.VLAN[0], info.VLAN[1] = info.VLAN[1], 0
	}
	return in
}
