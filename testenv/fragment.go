// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"fmt"
)

// FragmentIPv4 splits a frame with an IPv4 packet into frames whose IP payload is at most size bytes, a
// multiple of 8, in the order of their offsets. The link header and the IP options are repeated in each.
// It refuses frames without a whole IPv4 header and sizes that give fewer than two fragments.
func FragmentIPv4(frame []byte, size int) ([][]byte, error) {
	off, etherType, ok := networkHeader(frame)
	if !ok || etherType != 0x0800 || len(frame) < off+20 {
		return nil, fmt.Errorf("fragment: no IPv4 header in the frame")
	}
	head, total := int(frame[off]&0xf)*4, int(binary.BigEndian.Uint16(frame[off+2:]))
	if head < 20 || total < head || len(frame) < off+total {
		return nil, fmt.Errorf("fragment: bad IPv4 header (length %d, total %d of %d)", head, total, len(frame)-off)
	}
	payload := frame[off+head : off+total]
	base := binary.BigEndian.Uint16(frame[off+6:])
	return split(payload, size, func(part []byte, at int, last bool) []byte {
		b := append([]byte(nil), frame[:off+head]...)
		h := b[off:]
		flags := base + uint16(at/8) // a fragment can be split again: its own offset and MF stay
		if !last {
			flags |= 0x2000
		}
		binary.BigEndian.PutUint16(h[2:], uint16(head+len(part)))
		binary.BigEndian.PutUint16(h[6:], flags)
		binary.BigEndian.PutUint16(h[10:], 0)
		setSum(h, 10, checksum(0, h), false)
		return append(b, part...)
	})
}

// FragmentIPv6 splits a frame with an IPv6 packet into frames with at most size bytes, a multiple of 8, of its
// fragmentable part, in the order of their offsets. The headers up to hop-by-hop and routing are repeated
// in each, as RFC 8200 section 4.5 has it. It refuses what FragmentIPv4 refuses.
func FragmentIPv6(frame []byte, size int, id uint32) ([][]byte, error) {
	off, etherType, ok := networkHeader(frame)
	if !ok || etherType != 0x86dd || len(frame) < off+40 {
		return nil, fmt.Errorf("fragment: no IPv6 header in the frame")
	}
	end := off + 40 + int(binary.BigEndian.Uint16(frame[off+4:]))
	if len(frame) < end {
		return nil, fmt.Errorf("fragment: IPv6 payload of %d bytes, %d are there", end-off-40, len(frame)-off-40)
	}
	nextAt, head := unfragmentable(frame[:end], off)
	next := frame[nextAt]
	return split(frame[head:end], size, func(part []byte, at int, last bool) []byte {
		b := append([]byte(nil), frame[:head]...)
		b[nextAt] = protoFragment
		binary.BigEndian.PutUint16(b[off+4:], uint16(head-off-40+8+len(part)))
		f := Fragment6{Offset: uint16(at / 8), More: !last, ID: id, Next: next}
		return append(b, f.wrap(part, env{})...)
	})
}

// unfragmentable finds where the part that each fragment repeats ends, and where its last next-header field is.
func unfragmentable(b []byte, off int) (nextAt, head int) {
	nextAt, head = off+6, off+40
	for at, field := head, nextAt; ; {
		proto := b[field]
		if proto != protoHopByHop && proto != protoRouting && proto != protoDestOpts || len(b) < at+8 {
			return nextAt, head
		}
		field, at = at, at+8+8*int(b[at+1])
		if at > len(b) {
			return nextAt, head
		}
		if proto != protoDestOpts { // repeated only if a routing header follows
			nextAt, head = field, at
		}
	}
}

// split cuts a payload and lets build make a frame of each part.
func split(payload []byte, size int, build func(part []byte, at int, last bool) []byte) ([][]byte, error) {
	if size <= 0 || size%8 != 0 || len(payload) <= size {
		return nil, fmt.Errorf("fragment: %d bytes do not split into parts of %d (a multiple of 8)", len(payload), size)
	}
	var frames [][]byte
	for at := 0; at < len(payload); at += size {
		end := min(at+size, len(payload))
		frames = append(frames, build(payload[at:end], at, end == len(payload)))
	}
	return frames, nil
}

// networkHeader finds the header after Ethernet and any tags.
func networkHeader(frame []byte) (off int, etherType uint16, ok bool) {
	for off = 12; len(frame) >= off+2; off += 4 {
		switch etherType = binary.BigEndian.Uint16(frame[off:]); etherType {
		case 0x8100, 0x88a8, 0x9100:
		default:
			return off + 2, etherType, true
		}
	}
	return 0, 0, false
}
