// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

const (
	ipv4Size = 20 // header without options, RFC 791

	flagMore   = 0x2000 // in the word of flags and fragment offset
	offsetMask = 0x1fff // in units of 8 bytes

	mappedPrefix = 0xffff << 32 // low word of ::ffff:0.0.0.0
)

// IPv4 options that are looked at.
const (
	optionEnd         = 0
	optionNop         = 1
	optionLooseRoute  = 131
	optionStrictRoute = 137
)

// parseIPv4 reads the packet at the front of b, whose place in the frame is
// off, and which ends where the link layer says so. What lies behind the
// packet's own length is padding, and nothing reads it.
//
// Nearly all packets have nothing in them that calls for more than the sum of
// their header, and go straight on to the transport header.
func parseIPv4(b []byte, off int, info *Info) Outcome {
	if len(b) < ipv4Size {
		return IPv4Header
	}
	h := (*[ipv4Size]byte)(b)
	if h[0]>>4 != 4 {
		return IPv4Header
	}
	src, dst := binary.BigEndian.Uint32(h[12:]), binary.BigEndian.Uint32(h[16:])
	info.Src.Lo, info.Dst.Lo = mappedPrefix|uint64(src), mappedPrefix|uint64(dst)
	info.Family, info.HopLimit, info.Proto = 4, h[8], h[9]
	info.L3, info.End = uint16(off), uint16(off+len(b))
	size, total := int(h[0]&0xf)*4, int(binary.BigEndian.Uint16(h[2:]))
	if size < ipv4Size || total < size || total > len(b) {
		return IPv4Header
	}
	info.End = uint16(off + total)
	fragment := binary.BigEndian.Uint16(h[6:]) & (flagMore | offsetMask)
	if size == ipv4Size && fragment == 0 && h[9] != protoAH && isPlain(src, dst) && sum20(h)%onesModulus == 0 {
		return parseTransport(b[ipv4Size:total], off+ipv4Size, info)
	}
	return judgeIPv4(b[:total], size, info)
}

// onesModulus makes sums into those of RFC 1071: to add in ones' complement
// with 16 bits is to add modulo 65535. Then a word of 32 bits is worth the two
// words in it, byte order multiplies the sum by 256, and a header is right when
// its sum, that of the checksum included, is a multiple of the modulus.
const onesModulus = 0xffff

func sum20(h *[ipv4Size]byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(h[0:])) + uint64(binary.LittleEndian.Uint32(h[4:])) +
		uint64(binary.LittleEndian.Uint32(h[8:])) + uint64(binary.LittleEndian.Uint32(h[12:])) +
		uint64(binary.LittleEndian.Uint32(h[16:]))
}

// isPlain says that nothing is odd about the addresses.
func isPlain(src, dst uint32) bool {
	return !isBad(src, dst) && src != dst
}

// isBad says that a host cannot have the source address, which may be
// multicast, class E or loopback, or that the destination is loopback.
func isBad(src, dst uint32) bool {
	const multicast, loopback = 224, 127
	return src>>24 >= multicast || src>>24 == loopback || dst>>24 == loopback
}

// judgeIPv4 reads any packet b, whose header is size bytes long. A fault of
// the addresses outranks what is found behind the header: BFD echo, which may
// have its source for its destination, is known by its port.
func judgeIPv4(b []byte, size int, info *Info) Outcome {
	if sum(b[:size])%onesModulus != 0 {
		return IPv4Checksum
	}
	if o := judgeOptions(b[ipv4Size:size]); o != IP {
		return o
	}
	o := parseIPv4Payload(b, size, info)
	src, dst := uint32(info.Src.Lo), uint32(info.Dst.Lo)
	switch {
	case isBad(src, dst):
		return BadAddress
	case src == dst && src != 0 && !info.bfdEcho():
		return Land
	}
	return o
}

// judgeOptions walks the options, at most 40 bytes of them: IP when they are
// well formed and do not say where the packet has to go.
func judgeOptions(b []byte) Outcome {
	for len(b) > 0 && b[0] != optionEnd {
		size := 1
		if b[0] != optionNop {
			if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
				return IPv4Header
			}
			size = int(b[1])
		}
		if b[0] == optionLooseRoute || b[0] == optionStrictRoute {
			return IPv4SourceRoute
		}
		b = b[size:]
	}
	return IP
}

// parseIPv4Payload reads what is behind the header of b: the fragment's place
// in its datagram, an authentication header, the transport header.
func parseIPv4Payload(b []byte, size int, info *Info) Outcome {
	off := int(info.L3) + size
	if word := binary.BigEndian.Uint16(b[6:]); word&(flagMore|offsetMask) != 0 {
		info.FragmentID = uint32(binary.BigEndian.Uint16(b[4:]))
		info.FragmentOffset = uint32(word&offsetMask) * 8
		info.FragmentMore = word&flagMore != 0
		if o := judgeFragment(len(b)-size, size, off, info); o != IP {
			return o
		}
	}
	return parseChain(b[size:], off, info)
}
