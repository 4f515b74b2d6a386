// SPDX-License-Identifier: Apache-2.0

package xsk

import "golang.org/x/sys/unix"

// ringMemory is the memory of a socket's four rings, each a whole mapping, and
// where in it the indices and entries are.
type ringMemory struct {
	fill, rx, tx, completion []byte
	offsets                  unix.XDPMmapOffsets
}

// mapRings asks the kernel for the four rings and maps them. What is mapped is
// written down in s.maps, so that close unmaps it whatever happens next.
func mapRings(s *Socket, c Config) (ringMemory, error) {
	var m ringMemory
	for _, r := range []struct {
		name   string
		option int
		size   uint32
	}{
		{"fill", unix.XDP_UMEM_FILL_RING, c.FillSize},
		{"completion", unix.XDP_UMEM_COMPLETION_RING, c.CompletionSize},
		{"RX", unix.XDP_RX_RING, c.RXSize},
		{"TX", unix.XDP_TX_RING, c.TXSize},
	} {
		if err := unix.SetsockoptInt(s.fd, unix.SOL_XDP, r.option, int(r.size)); err != nil {
			return m, opError("make "+r.name+" ring", s.queue, err)
		}
	}
	if err := getsockopt(s.fd, unix.XDP_MMAP_OFFSETS, &m.offsets); err != nil {
		return m, opError("read ring offsets", s.queue, err)
	}
	for _, r := range []struct {
		mem    *[]byte
		page   int64
		length uint64
	}{
		{&m.fill, unix.XDP_UMEM_PGOFF_FILL_RING, m.offsets.Fr.Desc + uint64(c.FillSize)*addrSize},
		{&m.completion, unix.XDP_UMEM_PGOFF_COMPLETION_RING, m.offsets.Cr.Desc + uint64(c.CompletionSize)*addrSize},
		{&m.rx, unix.XDP_PGOFF_RX_RING, m.offsets.Rx.Desc + uint64(c.RXSize)*descSize},
		{&m.tx, unix.XDP_PGOFF_TX_RING, m.offsets.Tx.Desc + uint64(c.TXSize)*descSize},
	} {
		mem, err := unix.Mmap(s.fd, r.page, int(r.length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
		if err != nil {
			return m, opError("map ring", s.queue, err)
		}
		*r.mem = mem
		s.maps = append(s.maps, mem)
	}
	return m, nil
}

// attach makes s, which is the last of the UMEM's sockets, use the rings in m,
// and gives it its share of the frames.
func (u *Umem) attach(s *Socket, m ringMemory, c Config) {
	i := len(u.sockets) - 1
	s.umem = u
	s.fill = fillRing{
		producer: producerAt(m.fill, m.offsets.Fr, c.FillSize),
		addrs:    addrsAt(m.fill, m.offsets.Fr, c.FillSize),
		umem:     u, owner: rxOwner(i),
	}
	s.rx = rxRing{
		consumer: consumerAt(m.rx, m.offsets.Rx, c.RXSize),
		descs:    descsAt(m.rx, m.offsets.Rx, c.RXSize),
		umem:     u, owner: rxOwner(i),
	}
	s.tx = txRing{
		producer: producerAt(m.tx, m.offsets.Tx, c.TXSize),
		descs:    descsAt(m.tx, m.offsets.Tx, c.TXSize),
		umem:     u, owner: txOwner(i),
	}
	s.completion = completionRing{
		consumer: consumerAt(m.completion, m.offsets.Cr, c.CompletionSize),
		addrs:    addrsAt(m.completion, m.offsets.Cr, c.CompletionSize),
		umem:     u, owner: txOwner(i),
	}
	s.rxLimit, s.txLimit = u.rxShare, u.txShare
	s.refillBatch = max(1, min(64, int(c.FillSize)/4, s.rxLimit/4))
}

// shares says how many frames the RX side and the TX side of each socket may
// have, see Umem.
func shares(frames, sockets int) (rx, tx int) {
	tx = frames / (2 * sockets)
	if sockets == 1 {
		return frames - frames/4, tx
	}
	return (frames/2 - frames/(4*sockets)) / (sockets - 1), tx
}
