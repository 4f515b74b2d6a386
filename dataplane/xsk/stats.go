// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Statistics is what the kernel counted for a socket (XDP_STATISTICS). Losses
// for want of frames show here and nowhere else, not even in the interface's
// counters.
type Statistics struct {
	RXDropped     uint64 // packets larger than a frame, or without a free frame
	RXInvalid     uint64 // always 0 on Linux 6.18: the RX ring has no descriptors of ours
	TXInvalid     uint64 // TX descriptors that the kernel refused; their frames are lost
	RXRingFull    uint64 // packets lost because we did not Receive in time
	FillRingEmpty uint64 // times that the kernel found no frame in the fill ring
	TXRingEmpty   uint64 // times that the kernel found nothing to send: no fault
}

// Statistics reads the kernel's counters; a system call. Unlike the rest of
// Socket it may be called from any goroutine as long as the socket is open.
func (s *Socket) Statistics() (Statistics, error) {
	var k unix.XDPStatistics
	if err := getsockopt(s.fd, unix.XDP_STATISTICS, &k); err != nil {
		return Statistics{}, fmt.Errorf("xsk: %v: read statistics: %w", s, err)
	}
	return Statistics{
		RXDropped:     k.Rx_dropped,
		RXInvalid:     k.Rx_invalid_descs,
		TXInvalid:     k.Tx_invalid_descs,
		RXRingFull:    k.Rx_ring_full,
		FillRingEmpty: k.Rx_fill_ring_empty_descs,
		TXRingEmpty:   k.Tx_ring_empty_descs,
	}, nil
}

// NAPIID is the kernel's number for what polls the socket's queue, or 0 if it
// knows none. With 0, busy polling is set but does nothing, and frames come by
// interrupt as usual. Some kernels know it only after the first packet.
func (s *Socket) NAPIID() (int, error) {
	id, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_INCOMING_NAPI_ID)
	if err != nil {
		return 0, fmt.Errorf("xsk: %v: read NAPI id: %w", s, err)
	}
	return id, nil
}
