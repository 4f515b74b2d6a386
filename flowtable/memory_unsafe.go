// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
	"syscall"
	"unsafe"
)

const (
	pageBytes = 4096
	hugeBytes = 2 << 20
)

// Map takes memory of that size from the kernel, outside Go's heap, and asks
// for huge pages (a lookup in a large table misses the TLB otherwise). Where
// the kernel has none it works all the same. Unmap gives it back.
func Map(s Size) (*Memory, error) {
	tags := roundUp(s.Buckets*bucketWords*8, pageBytes)
	size := roundUp(pageBytes+tags+s.Entries*entryWords*8, hugeBytes)
	b, err := syscall.Mmap(-1, 0, size+hugeBytes, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("flow table: map %d MiB: %w", size>>20, err)
	}
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) // an error means a kernel without them: slower, not wrong
	base := unsafe.Pointer(&b[0])
	skip := roundUp(int(uintptr(base)%hugeBytes), hugeBytes) - int(uintptr(base)%hugeBytes)
	w := unsafe.Slice((*uint64)(unsafe.Add(base, skip)), size/8)
	first := pageBytes / 8
	return &Memory{
		Header:  w[:headerWords],
		Tags:    w[first : first+s.Buckets*bucketWords],
		Pool:    w[first+tags/8 : first+tags/8+s.Entries*entryWords],
		mapping: b,
	}, nil
}

// Unmap gives memory of Map back to the kernel, and does nothing to other
// memory. No table may use it any more.
func (m *Memory) Unmap() error {
	if m.mapping == nil {
		return nil
	}
	b := m.mapping
	*m = Memory{}
	if err := syscall.Munmap(b); err != nil {
		return fmt.Errorf("flow table: unmap: %w", err)
	}
	return nil
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
