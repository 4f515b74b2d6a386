// SPDX-License-Identifier: Apache-2.0

package packet

import "encoding/binary"

const (
	ipv6Size      = 40 // header, RFC 8200
	extensionUnit = 8  // the shortest extension header, and what their lengths count in
	ahMin         = 12 // authentication header without a check value, RFC 4302
)

// Headers that may stand before the transport header. Mobility (135), HIP
// (139), Shim6 (140), ESP (50) and no-next-header (59) end a packet like any
// other protocol: nothing behind them can be judged by port.
const (
	protoHopByHop    = 0
	protoRouting     = 43
	protoFragment    = 44
	protoAH          = 51
	protoDestOptions = 60
)

// parseIPv6 reads the packet at the front of b, as parseIPv4 does.
func parseIPv6(b []byte, off int, info *Info) Outcome {
	if len(b) < ipv6Size {
		return IPv6Header
	}
	h := (*[ipv6Size]byte)(b)
	if h[0]>>4 != 6 {
		return IPv6Header
	}
	info.Src = Addr{binary.BigEndian.Uint64(h[8:]), binary.BigEndian.Uint64(h[16:])}
	info.Dst = Addr{binary.BigEndian.Uint64(h[24:]), binary.BigEndian.Uint64(h[32:])}
	info.Family, info.Proto, info.HopLimit = 6, h[6], h[7]
	info.L3, info.End = uint16(off), uint16(off+len(b))
	total := ipv6Size + int(binary.BigEndian.Uint16(h[4:]))
	if total > len(b) {
		return IPv6Header
	}
	info.End = uint16(off + total)
	if !isExtension(6, h[6]) && info.isPlain() {
		return parseTransport(b[ipv6Size:total], off+ipv6Size, info)
	}
	return judgeIPv6(b[ipv6Size:total], off+ipv6Size, info)
}

// isPlain says that nothing is odd about the addresses: neither is of those
// that begin with 64 zero bits (loopback, mapped, unspecified and some that
// are hardly used), and they differ. It asks for more than judgeIPv6 because
// that is quicker.
func (p *Info) isPlain() bool {
	const multicast = 0xff
	return p.Src.Hi != 0 && p.Dst.Hi != 0 && p.Src.Hi>>56 != multicast && p.Src != p.Dst
}

// judgeIPv6 reads any packet whose payload is b, as judgeIPv4 does. Only a
// jumbogram may say that its payload is 0 bytes long and begins with
// hop-by-hop options; the options themselves are the hosts' business.
func judgeIPv6(b []byte, off int, info *Info) Outcome {
	const multicast = 0xff
	o := IPv6Jumbogram
	if info.Proto != protoHopByHop || len(b) > 0 {
		o = parseChain(b, off, info)
	}
	src, dst := info.Src, info.Dst
	switch {
	case src.Hi>>56 == multicast, src.isLoopbackOrMapped(), dst.isLoopbackOrMapped():
		return BadAddress
	case src == dst && src != (Addr{}) && !info.bfdEcho():
		return Land
	}
	return o
}

// isLoopbackOrMapped: mapped addresses never belong on a wire (RFC 4291), and
// would look like IPv4 ones in a policy.
func (a Addr) isLoopbackOrMapped() bool {
	return a.Hi == 0 && (a.Lo == 1 || a.Lo>>32 == mappedPrefix>>32)
}

// isExtension says whether a header is walked: in IPv4 the authentication
// header alone, so that the policy sees the ports that the end host will.
func isExtension(family Family, proto uint8) bool {
	const v4 = 1 << protoAH
	const v6 = v4 | 1<<protoHopByHop | 1<<protoRouting | 1<<protoFragment | 1<<protoDestOptions
	if family == 4 {
		return proto == protoAH
	}
	return proto < 64 && v6>>proto&1 != 0
}

// extensionSize measures the extension header at the front of b: 0 when it
// is cut short, or shorter than its kind can be.
func extensionSize(family Family, proto uint8, b []byte) int {
	if len(b) < extensionUnit {
		return 0
	}
	size := (int(b[1]) + 1) * extensionUnit
	switch proto {
	case protoFragment:
		size = extensionUnit
	case protoAH:
		size = (int(b[1]) + 2) * 4
		if size < ahMin || family == 6 && size%extensionUnit != 0 {
			return 0
		}
	}
	if size > len(b) {
		return 0
	}
	return size
}

// parseChain walks the extension headers at the front of b, one a turn, and
// goes on with what they lead to. off is their place in the frame, and
// info.Proto names the header that is to be read next.
func parseChain(b []byte, off int, info *Info) Outcome {
	walked, fragment := 0, false
	for n := 0; isExtension(info.Family, info.Proto); n++ {
		size := extensionSize(info.Family, info.Proto, b[walked:])
		switch {
		case n == MaxHeaders, walked+size > MaxChain, n > 0 && info.Proto == protoHopByHop:
			return info.chainFault()
		case size == 0:
			return info.short(info.chainFault())
		}
		h := b[walked:]
		switch info.Proto {
		case protoRouting:
			if isRouted(h) {
				return IPv6Routing
			}
		case protoFragment:
			if fragment {
				return IPv6Fragments
			}
			fragment = true
			if o := parseFragmentHeader(h, walked, off+walked, info); o != IP {
				return o
			}
		}
		info.Proto = h[0]
		walked += size
	}
	o := parseTransport(b[walked:], off+walked, info)
	if o == ND && fragment {
		return NDInvalid // RFC 6980, atomic fragments included
	}
	return o
}

// chainFault is the outcome of a chain that cannot be walked to its end.
func (p *Info) chainFault() Outcome {
	if p.Family == 4 {
		return IPv4Header
	}
	return IPv6Chain
}

// isRouted says that a routing header names hosts which the packet is still
// to visit: the destination that a policy would judge is not its last. Type 0
// is refused whatever it says (RFC 5095).
func isRouted(h []byte) bool {
	kind, left := h[2], h[3]
	return kind == 0 || left != 0
}
