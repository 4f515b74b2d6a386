// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Only conversions here: bytes that are mapped become the words and entries that
// the kernel has in them, and pointers become arguments of system calls.

const (
	addrSize = uint64(unsafe.Sizeof(uint64(0)))
	descSize = uint64(unsafe.Sizeof(Desc{}))
)

// Desc is struct xdp_desc: a difference below zero does not compile.
const (
	kernelDescSize = uint64(unsafe.Sizeof(unix.XDPDesc{}))
	_              = descSize - kernelDescSize
	_              = kernelDescSize - descSize
)

// wordAt is the 32-bit word at an offset of mem.
func wordAt(mem []byte, offset uint64) *uint32 {
	return (*uint32)(unsafe.Pointer(&mem[offset : offset+4][0]))
}

// addrsAt are the n entries of a fill or completion ring.
func addrsAt(mem []byte, o unix.XDPRingOffset, n uint32) []uint64 {
	b := mem[o.Desc : o.Desc+uint64(n)*addrSize]
	return unsafe.Slice((*uint64)(unsafe.Pointer(&b[0])), n)
}

// descsAt are the n entries of an RX or TX ring.
func descsAt(mem []byte, o unix.XDPRingOffset, n uint32) []Desc {
	b := mem[o.Desc : o.Desc+uint64(n)*descSize]
	return unsafe.Slice((*Desc)(unsafe.Pointer(&b[0])), n)
}

// addressOf is where mem begins.
func addressOf(mem []byte) uintptr { return uintptr(unsafe.Pointer(&mem[0])) }

// getsockopt reads an option of SOL_XDP into v, all of it.
func getsockopt[T any](fd, option int, v *T) error {
	size := uint32(unsafe.Sizeof(*v))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(option),
		uintptr(unsafe.Pointer(v)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return errno
	}
	if uintptr(size) != unsafe.Sizeof(*v) {
		return unix.ENOTSUP // a kernel before 5.4 or 5.9 knows fewer fields
	}
	return nil
}

// registerMemory tells the kernel that mem is the UMEM of the socket fd.
func registerMemory(fd int, mem []byte, frameSize uint32) error {
	r := unix.XDPUmemReg{Addr: uint64(addressOf(mem)), Len: uint64(len(mem)), Size: frameSize}
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&r)), unsafe.Sizeof(r), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// ppoll waits without telling Go's scheduler, unlike unix.Ppoll: to let go of
// the processor and to get it back costs more than the wait of a busy worker,
// and makes the runtime's monitor run 400 times a second for an idle one. The
// processor that the goroutine keeps is idle meanwhile. When the runtime wants
// the goroutine to stop it interrupts the call with a signal, again and again
// until it has: EINTR.
func ppoll(fds []unix.PollFd, timeout *unix.Timespec) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(timeout)), 0, 0, 0)
	return int(n), errno
}
