// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

// maxDatagram is what the fragments of a datagram may come to: an IPv4 packet
// with its header, an IPv6 packet without.
const maxDatagram = 65535

// parseFragmentHeader reads the IPv6 fragment header at the front of b, whose
// place in the frame is off: IP when the headers behind it are to be read.
// before is the number of bytes of extension headers in front of it. An atomic
// fragment (RFC 6946) is a whole packet.
func parseFragmentHeader(b []byte, before, off int, info *Info) Outcome {
	word := binary.BigEndian.Uint16(b[2:])
	if word&^6 == 0 { // the two bits are reserved
		return IP
	}
	info.FragmentID = binary.BigEndian.Uint32(b[4:])
	info.FragmentOffset = uint32(word &^ 7)
	info.FragmentMore = word&1 != 0
	info.Proto = b[0]
	return judgeFragment(len(b)-extensionUnit, before, off+extensionUnit, info)
}

// judgeFragment says what is to be done with a fragment of so many bytes of
// data, which begin at off: IP for a first one, whose transport header is to be
// read. before is the number of bytes in front of the data that count towards
// the length of the datagram.
//
// A later TCP fragment that begins within the header could overwrite the ports
// and flags that the first was judged by (RFC 1858 and RFC 3128).
func judgeFragment(size, before, off int, info *Info) Outcome {
	info.Fragmented = true
	offset := int(info.FragmentOffset)
	info.FragmentEnd = uint32(offset + size)
	switch {
	case info.FragmentMore && size%8 != 0:
		if info.Family == 4 {
			return IPv4Header
		}
		return IPv6Header
	case before+offset+size > maxDatagram:
		return FragmentLong
	case offset == 0:
		return IP
	case offset < headerMin(info.Proto):
		return FragmentTiny
	}
	info.L4 = uint16(off)
	info.Tunnel = tunnelOf(info.Proto)
	return Fragment
}

// short is the outcome of a header that does not fit: o, or what a first
// fragment is called that hides its transport header from a filter (RFC 1858,
// RFC 7112).
func (p *Info) short(o Outcome) Outcome {
	if p.FragmentMore {
		return FragmentTiny
	}
	return o
}
