// SPDX-License-Identifier: Apache-2.0

package xsk

import "unsafe"

// heapMemory is n bytes of the Go heap, aligned as a mapping is: the race
// detector sees it, unlike memory that is mapped.
func heapMemory(n uint64) []byte {
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), n)
}
