// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setAllThreads gives every thread of the process exactly the capabilities of
// set. Pid 0 in the header is each thread itself.
func setAllThreads(set uint64) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	data := capData(set)
	return allThreads("set capabilities", unix.SYS_CAPSET,
		uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])))
}
