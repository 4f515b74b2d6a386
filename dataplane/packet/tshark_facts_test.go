// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// facts are what tshark and Parse have to agree on.
type facts struct {
	Outcome  Outcome
	Tags     string // VIDs as on the wire
	Src, Dst string
	Proto    int
	Hops     int
	Fragment string
	Ports    string
	TCP      string
	ICMP     string
	Quote    string
}

// factsOf are the facts of an Info. The inner VID is known only when it is not
// 0, which is how expect prints it too.
func factsOf(p *Info) facts {
	f := facts{Outcome: p.Outcome}
	if p.Tags > 0 {
		f.Tags = fmt.Sprintf("%d: %d %v", p.Tags, p.Tag, p.VLAN)
	}
	if p.Family == 0 {
		return f
	}
	f.Src, f.Dst = p.Src.Netip(p.Family).String(), p.Dst.Netip(p.Family).String()
	f.Proto, f.Hops = int(p.Proto), int(p.HopLimit)
	if p.Fragmented {
		f.Fragment = fmt.Sprintf("%#x at %d more %v", p.FragmentID, p.FragmentOffset, p.FragmentMore)
	}
	if p.SrcPort != 0 || p.DstPort != 0 {
		f.Ports = fmt.Sprintf("%d > %d", p.SrcPort, p.DstPort)
	}
	if p.Proto == ProtoTCP && f.Ports != "" {
		f.TCP = fmt.Sprintf("%#x %d %d %d", p.TCPFlags, p.TCPSeq, p.TCPAck, p.TCPWindow)
	}
	if isICMP(p.Family, p.Proto) && p.L4 != 0 && p.Outcome != Fragment {
		f.ICMP = fmt.Sprintf("%d/%d id %d", p.ICMPType, p.ICMPCode, p.ICMPID)
	}
	if q := p.Quote; p.Outcome == ICMPError {
		f.Quote = fmt.Sprintf("%v %d > %v %d", q.Src.Netip(q.Family), q.SrcPort, q.Dst.Netip(q.Family), q.DstPort)
	}
	return f
}

// linkOutcomes are the EtherTypes that are not IP.
var linkOutcomes = map[int]Outcome{
	0x0806: ARP, 0x8035: ARP, 0x8809: Slow, 0x88cc: LLDP, 0x888e: EAPOL, 0x88f7: PTP, 0x8902: CFM,
	0x88e5: MACsec, 0x8847: MPLS, 0x8848: MPLS, 0x8863: PPPoE, 0x8864: PPPoE, 0x88e7: PBB, 0x894f: NSH,
}

// expect works out from tshark's fields what Parse should say of a frame of so
// many bytes.
func expect(v view, size int) facts {
	var f facts
	layers := v.layers()
	etherType, vids := v.link()
	l3 := 14 + 4*len(vids)
	f.Tags = tagFacts(vids)
	switch {
	case len(vids) > 2:
		f.Outcome = VLANDepth
		return f
	case etherType < 0 && v.has("llc.type") && layers[1+len(vids)] == "llc":
		etherType = v.num("llc.type", 0)
		l3 += 8
	case etherType < 0:
		f.Outcome = llcOutcome(v)
		return f
	}
	switch network := layers[min(len(layers)-1, 1+len(vids)+btoi(l3 == 22+4*len(vids)))]; {
	case etherType == 0x0800 && network == "ip":
		expectIPv4(v, size-l3, &f)
	case etherType == 0x86dd && network == "ipv6":
		expectIPv6(v, size-l3, &f)
	default:
		f.Outcome = EtherType
		if o, ok := linkOutcomes[etherType]; ok {
			f.Outcome = o
		}
	}
	return f
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// link is the EtherType behind the tags, -1 where there is none, and the
// tags' VIDs. tshark has other names for the fields of an 802.1ad tag.
func (v view) link() (etherType int, vids []int) {
	names := map[int]string{0x8100: "vlan", 0x9100: "vlan", 0x88a8: "ieee8021ad"}
	etherTypes := map[string]string{"vlan": "vlan.etype", "ieee8021ad": "ieee8021ah.etype"}
	seen := map[string]int{}
	for etherType = v.num("eth.type", 0); names[etherType] != ""; {
		name := names[etherType]
		vids = append(vids, v.num(name+".id", seen[name]))
		etherType = v.num(etherTypes[name], seen[name])
		seen[name]++
	}
	return etherType, vids
}

func tagFacts(vids []int) string {
	if len(vids) == 0 {
		return ""
	}
	var vlan [2]int
	n := 0
	for _, vid := range vids[:min(len(vids), 2)] {
		if vid != 0 {
			vlan[n] = vid
			n++
		}
	}
	return fmt.Sprintf("%d: %d %v", min(len(vids), 3), vids[0], vlan)
}

// llcOutcome is the outcome of what has a length for an EtherType.
func llcOutcome(v view) Outcome {
	has := func(layer string) bool { return slices.Contains(v.layers(), layer) }
	pvst := v.num("llc.cisco_pid", 0) == 0x010b
	switch {
	case has("stp") && pvst:
		return PVST
	case has("stp") && v.num("stp.version", 0) == 0:
		return STP
	case has("stp") && v.num("stp.version", 0) == 2:
		return RSTP
	case has("stp"):
		return MSTP
	case has("cdp"):
		return CDP
	case has("udld"):
		return UDLD
	case has("isis"):
		return ISIS
	}
	return LLC
}

// expectIPv4 does the same for an IPv4 packet that has so many bytes of room.
func expectIPv4(v view, room int, f *facts) {
	if v.num("ip.version", 0) != 4 {
		f.Outcome = IPv4Header
		return
	}
	f.Src, f.Dst = v.first("ip.src"), v.first("ip.dst")
	f.Proto, f.Hops = max(v.num("ip.proto", 0), 0), max(v.num("ip.ttl", 0), 0)
	header, total := v.num("ip.hdr_len", 0), v.num("ip.len", 0)
	offset, more := v.num("ip.frag_offset", 0)*v.unit("ip.frag_offset"), v.first("ip.flags.mf") == "1"
	route := slices.ContainsFunc(v["ip.opt.type"], func(s string) bool { return s == "131" || s == "137" })
	switch {
	case header < 20, total < header, total > room:
		f.Outcome = IPv4Header
		return
	case v.first("ip.checksum.status") != "1":
		f.Outcome = IPv4Checksum
		return
	case route:
		f.Outcome = IPv4SourceRoute
		return
	}
	p := place{offset, more, header, total - header}
	if offset > 0 || more {
		f.Fragment = fmt.Sprintf("%#x at %d more %v", v.num("ip.id", 0), offset, more)
	}
	if f.Proto == protoAH && offset == 0 {
		f.Proto = v.num("ah.next_header", 0)
	}
	expectPayload(v, p, f)
	judgeAddresses(v, f)
}

// place is where a packet stands in its datagram: offset, more to follow, bytes
// in front of its data that count, bytes of data.
type place struct {
	offset       int
	more         bool
	before, size int
}

func expectIPv6(v view, room int, f *facts) {
	if v.num("ipv6.version", 0) != 6 {
		f.Outcome = IPv6Header
		return
	}
	f.Src, f.Dst = v.first("ipv6.src"), v.first("ipv6.dst")
	f.Proto, f.Hops = v.num("ipv6.nxt", 0), v.num("ipv6.hlim", 0)
	if v.num("ipv6.plen", 0) > room-40 {
		f.Outcome = IPv6Header
		return
	}
	if v.num("ipv6.plen", 0) == 0 && f.Proto == 0 {
		f.Outcome = IPv6Jumbogram
	} else {
		expectChain(v, place{size: v.num("ipv6.plen", 0)}, f)
	}
	judgeAddresses(v, f)
}

// expectChain follows tshark's next-header fields, a list for each kind.
func expectChain(v view, p place, f *facts) {
	kinds := map[int]string{0: "ipv6.hopopts.nxt", 43: "ipv6.routing.nxt", 44: "ipv6.fraghdr.nxt", 51: "ah.next_header", 60: "ipv6.dstopts.nxt"}
	seen := map[int]int{}
	for kinds[f.Proto] != "" {
		kind := f.Proto
		i := seen[kind]
		seen[kind]++
		next := v.num(kinds[kind], i)
		switch {
		case next < 0, kind == 0 && len(seen) > 1:
			f.Outcome = IPv6Chain
			return
		case kind == 44 && i > 0:
			f.Outcome = IPv6Fragments
			return
		case kind == 43 && (v.num("ipv6.routing.type", i) == 0 || v.num("ipv6.routing.segleft", i) != 0):
			f.Outcome = IPv6Routing
			return
		}
		f.Proto = next
		if kind != 44 {
			continue
		}
		p.offset, p.more = v.num("ipv6.fraghdr.offset", 0)*v.unit("ipv6.fraghdr.offset"), v.first("ipv6.fraghdr.more") == "1"
		p.size -= 8
		if p.offset > 0 || p.more {
			f.Fragment = fmt.Sprintf("%#x at %d more %v", v.num("ipv6.fraghdr.ident", 0), p.offset, p.more)
		}
		if p.offset > 0 {
			break
		}
	}
	expectPayload(v, p, f)
	if f.Outcome == ND && seen[44] > 0 {
		f.Outcome = NDInvalid
	}
}

// expectPayload is about fragments and transport headers.
func expectPayload(v view, p place, f *facts) {
	v4 := strings.Contains(f.Src, ".")
	switch {
	case p.more && p.size%8 != 0 && v4:
		f.Outcome = IPv4Header
	case p.more && p.size%8 != 0:
		f.Outcome = IPv6Header
	case p.before+p.offset+p.size > 65535:
		f.Outcome = FragmentLong
	case p.offset > 0 && p.offset < map[int]int{6: 20, 17: 8, 132: 12}[f.Proto]:
		f.Outcome = FragmentTiny
	case p.offset > 0:
		f.Outcome = Fragment
	case f.Proto == 6:
		expectTCP(v, p, f)
	case f.Proto == 17:
		expectUDP(v, p, f)
	case f.Proto == 132 && !v.has("sctp.srcport"):
		f.Outcome = shortOf(p, SCTPHeader)
	case f.Proto == 132:
		f.Outcome, f.Ports = IP, v.first("sctp.srcport")+" > "+v.first("sctp.dstport")
	case f.Proto == 1 && v4:
		expectICMP(v, "icmp", []int{3, 4, 5, 11, 12}, p, f)
	case f.Proto == 58 && !v4:
		expectICMP(v, "icmpv6", []int{1, 2, 3, 4}, p, f)
	default:
		f.Outcome = IP
	}
}

func shortOf(p place, o Outcome) Outcome {
	if p.more {
		return FragmentTiny
	}
	return o
}

func expectTCP(v view, p place, f *facts) {
	if p.size < 20 || !v.has("tcp.flags") {
		f.Outcome = shortOf(p, TCPHeader)
		return
	}
	flags, ack, header := v.num("tcp.flags", 0), v.num("tcp.ack_raw", 0), v.num("tcp.hdr_len", 0)
	if flags&FlagACK == 0 {
		ack = 0
	}
	f.Ports = v.first("tcp.srcport") + " > " + v.first("tcp.dstport")
	f.TCP = fmt.Sprintf("%#x %d %d %d", flags&0xff, v.num("tcp.seq_raw", 0), ack, v.num("tcp.window_size_value", 0))
	switch plain := flags & (FlagFIN | FlagSYN | FlagRST | FlagACK); {
	case header < 20:
		f.Outcome = TCPHeader
	case header > p.size:
		f.Outcome = shortOf(p, TCPHeader)
	case slices.Contains([]int{FlagSYN, FlagSYN | FlagACK, FlagRST, FlagRST | FlagACK, FlagFIN | FlagACK, FlagACK}, plain):
		f.Outcome = IP
	default:
		f.Outcome = TCPFlags
	}
}

func expectUDP(v view, p place, f *facts) {
	if p.size < 8 || !v.has("udp.length") {
		f.Outcome = shortOf(p, UDPHeader)
		return
	}
	f.Ports = v.first("udp.srcport") + " > " + v.first("udp.dstport")
	f.Outcome = IP
	if size := v.num("udp.length", 0); size < 8 || size > p.size && !p.more {
		f.Outcome = UDPHeader
	}
}

// expectICMP also compares the quote, whose header is tshark's second.
func expectICMP(v view, name string, errors []int, p place, f *facts) {
	kind, code := v.num(name+".type", 0), v.num(name+".code", 0)
	if kind < 0 {
		f.Outcome = shortOf(p, ICMPHeader)
		return
	}
	id := v.num(map[string]string{"icmp": "icmp.ident", "icmpv6": "icmpv6.echo.identifier"}[name], 0)
	isError, isND := slices.Contains(errors, kind), name == "icmpv6" && kind >= 133 && kind <= 137
	f.Outcome = IP
	switch {
	case isError:
		expectQuote(v, map[string]string{"icmp": "ip", "icmpv6": "ipv6"}[name], f)
	case isND && (f.Hops != 255 || p.more || code != 0):
		f.Outcome = NDInvalid
	case isND:
		f.Outcome = ND
	}
	f.ICMP = fmt.Sprintf("%d/%d id %d", kind, code, btoi(!isError)*max(id, 0))
}

func expectQuote(v view, ip string, f *facts) {
	f.Outcome = ICMPHeader
	src, dst := v.at(ip+".src", 1), v.at(ip+".dst", 1)
	if src == "" || src != f.Dst || v.num("ip.frag_offset", 1) > 0 || v.num("ipv6.fraghdr.offset", 0) > 0 {
		return
	}
	srcPort, dstPort := "0", "0"
	for _, transport := range []string{"tcp", "udp", "sctp"} {
		if v.has(transport + ".srcport") {
			srcPort, dstPort = v.first(transport+".srcport"), v.first(transport+".dstport")
		}
	}
	f.Outcome, f.Quote = ICMPError, fmt.Sprintf("%s %s > %s %s", src, srcPort, dst, dstPort)
}

// judgeAddresses is about addresses that outrank everything behind the header.
func judgeAddresses(v view, f *facts) {
	src, dst := netip.MustParseAddr(f.Src), netip.MustParseAddr(f.Dst)
	last := netip.MustParsePrefix("224.0.0.0/3")
	echo := f.Proto == 17 && strings.HasSuffix(f.Ports, " > 3785")
	switch {
	case src.IsMulticast(), last.Contains(src), src.IsLoopback(), dst.IsLoopback(), src.Is4In6(), dst.Is4In6():
		f.Outcome, f.Quote = BadAddress, ""
	case src == dst && !src.IsUnspecified() && !echo:
		f.Outcome, f.Quote = Land, ""
	}
}
