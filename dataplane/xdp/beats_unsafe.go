// SPDX-License-Identifier: Apache-2.0

package xdp

import "unsafe"

// words views a mapped region, which is page-aligned, as 64-bit words.
func words(region []byte) []uint64 {
	return unsafe.Slice((*uint64)(unsafe.Pointer(unsafe.SliceData(region))), len(region)/8)
}
