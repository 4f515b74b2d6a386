// SPDX-License-Identifier: Apache-2.0

// Package xsk is our AF_XDP layer: packet memory and rings shared with the
// kernel, on golang.org/x/sys/unix and nothing else.
//
// A UMEM is one region of memory, cut into frames of one size. It is registered
// with the kernel once and shared by all sockets of one worker; a socket is
// bound to one queue of one network device. A frame is named by its address, an
// offset into the region. Four rings of each socket hand frames back and forth:
//
//	free frames --fill ring--> kernel --RX ring--> Receive --> caller
//	caller --> Send --TX ring--> kernel --completion ring--> free frames
//
// So a frame that came in on one socket goes out on another by moving its
// descriptor, and nothing is copied. Because every ring has one reader and one
// writer, nothing is locked either. Each frame has one owner at any time (the
// free list, a socket's receive or transmit side, or the caller) and the owner
// is written down: a descriptor that names a frame which is not where it should
// be is counted and not used, and Umem.Frames says at any time where all are.
//
// # One turn of a worker
//
//	for each socket s:
//		s.Refill()            // before looking for frames: the kernel needs memory
//		s.Wake()              // only does something where the kernel asked for it
//		n := s.Receive(batch)
//		... judge; Give frames back, Send the others on another socket ...
//		s.Kick()              // after Send: the kernel takes from the TX ring now
//		s.Complete()          // frames sent come back; never wait for them
//
// When a few turns found nothing, Poller.Wait sleeps until there is something.
// The Example is a whole forwarder.
//
// Do not spin for ever where the kernel's receive work (NAPI) is on the worker's
// core: it would get no time. Sleeping in Wait after an empty turn lets it in, and
// costs nothing under load, when no turn is empty.
//
// # Sizes
//
// Frames are 2048 or 4096 bytes, a power of two and not over a page (aligned
// mode). The kernel keeps the first 256 bytes of a received frame free
// (XDP_PACKET_HEADROOM), so a packet has at most FrameSize-256 bytes; what does
// not fit is dropped by the kernel and counted as Statistics.RXDropped, and a
// packet spread over several frames (XDP_PKT_CONTD) is given back and counted.
// Rings are powers of two. The fill ring should hold what the receive side may
// own: with zero-copy that is the device's RX ring as well as ours.
//
// # What the kernel does that is easily overlooked
//
//   - The second and later sockets of a UMEM bind with XDP_SHARED_UMEM alone and
//     inherit copy or zero-copy and need_wakeup from the first (xsk_bind). So all
//     sockets have one mode, and it is copy if one device cannot do zero-copy.
//   - In copy mode nothing is sent without a system call, at most 32 frames a
//     call unless Config.TXBudget raises it (Linux 6.17). need_wakeup is always set
//     on the TX ring then, and never on the fill ring (__xsk_generic_xmit).
//   - A completion may come much later or, from a broken device, never. Nothing
//     here waits for one, and the TX side may own only a part of the frames
//     (Umem: shares), so that RX goes on.
//   - An invalid TX descriptor is skipped, and before Linux 7.2 (and the stable
//     kernels of July 2026) never completed: its frame is lost until the socket is
//     closed. So Send looks at each.
//   - After an interface went down, poll reports nothing and sendto says ENETDOWN;
//     after it was deleted, ENXIO. Socket.State has what was heard last.
//   - A ring that is still mapped keeps the queue busy after close; and even
//     after munmap the kernel releases it from a work queue, some 20 ms later, or
//     seconds on a machine that is busy. Open tries again until then.
//
// References: Documentation/networking/af_xdp.rst, net/xdp/xsk.c,
// net/xdp/xsk_queue.h and net/xdp/xsk_buff_pool.c of Linux 6.18.
package xsk
