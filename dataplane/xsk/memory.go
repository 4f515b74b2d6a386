// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20 // on amd64, and on arm64 with 4 KB pages

// mapPacketMemory maps size bytes for packets, all of them present: mem, which
// is a part of mapping. From one huge page on it asks for huge pages, which
// spares the worker most of its TLB misses. Packets are nobody's business but
// the wire's, so they are left out of core dumps.
func mapPacketMemory(size int) (mapping, mem []byte, err error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANONYMOUS
	if size < hugePage {
		mapping, err = unix.Mmap(-1, 0, size, prot, flags|unix.MAP_POPULATE)
		mem = mapping
	} else {
		mapping, err = unix.Mmap(-1, 0, size+hugePage, prot, flags|unix.MAP_NORESERVE)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("xsk: map %d bytes of packet memory: %w", size, err)
	}
	if mem == nil {
		skip := int(-addressOf(mapping) & (hugePage - 1))
		mem = mapping[skip : skip+size : skip+size]
		populateHuge(mem)
	}
	_ = unix.Madvise(mem, unix.MADV_DONTDUMP) // a wish; the kernel may not know it
	return mapping, mem, nil
}

// populateHuge makes the pages of mem present, huge ones if the kernel grants them.
func populateHuge(mem []byte) {
	_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // a wish; small pages do as well
	if unix.Madvise(mem, unix.MADV_POPULATE_WRITE) == nil {
		return
	}
	for i := 0; i < len(mem); i += 4096 { // before Linux 5.14
		mem[i] = 0
	}
}
