// SPDX-License-Identifier: Apache-2.0

package packet

import "testing"

// checkInvariants holds whatever the frame: Parse says the same twice and
// whatever was in the Info, its offsets are in the frame, and its key is that
// of the packet that goes the other way.
func checkInvariants(t *testing.T, frame []byte) {
	t.Helper()
	whole := make([]byte, len(frame)) // without spare capacity: reads past the end panic
	copy(whole, frame)
	var info Info
	Parse(whole, &info)
	stale := staleInfo()
	Parse(whole, &stale)
	if info != stale {
		t.Fatalf("%x: stale fields were left:\n%+v\n%+v", frame, info, stale)
	}
	for i := range whole {
		if whole[i] != frame[i] {
			t.Fatalf("%x: byte %d was changed", frame, i)
		}
	}
	checkFields(t, frame, &info)
	checkSlowPath(t, whole, &info)
	if info.Outcome == IP {
		checkKey(t, frame, &info)
	}
	checkAnswer(t, frame, &info)
}

// staleInfo has something in every field.
func staleInfo() Info {
	var info Info
	Parse(build(eth(0x88a8), tag(1, 0x8100), tag(2, 0x86dd), ip6("2001:db8::9", hostA6, 60), extension(58, 8),
		icmp(2, 3, 0), ip6(hostA6, hostB6, 58), icmp(128, 9, 7)), &info)
	info.Tunnel, info.Payload, info.FragmentID, info.FragmentOffset = GUE, 1, 2, 3
	info.FragmentMore, info.Fragmented, info.SrcPort, info.DstPort = true, true, 4, 5
	info.ICMPID, info.TCPFlags, info.TCPWindow, info.TCPSeq, info.TCPAck = 6, 7, 8, 9, 10
	return info
}

func checkFields(t *testing.T, frame []byte, info *Info) {
	t.Helper()
	fail := func(rule string) { t.Helper(); t.Fatalf("%x: %s: %+v", frame, rule, *info) }
	if info.Outcome == Unparsed || info.Outcome >= NumOutcomes {
		fail("the outcome is none")
	}
	if info.Tags > MaxTags+1 || (info.Tags > MaxTags) != (info.Outcome == VLANDepth) {
		fail("the number of tags")
	}
	if info.VLAN[0] == 0 && info.VLAN[1] != 0 || info.VLAN[0] > 4095 || info.VLAN[1] > 4095 {
		fail("the VLANs")
	}
	if info.Outcome.IsIP() && info.Family == 0 || info.Outcome.PassesByDefault() && info.Family == 4 {
		fail("the family")
	}
	if info.Family == 0 {
		if info.L3 != 0 || info.End != 0 || info.L4 != 0 || info.Src != (Addr{}) || info.Dst != (Addr{}) {
			fail("IP fields without IP")
		}
		return
	}
	header := map[Family]int{4: 20, 6: 40}[info.Family]
	if int(info.L3) < ethernetSize || int(info.End) > len(frame) || int(info.L3)+header > int(info.End) && info.Outcome != IPv4Header {
		fail("the packet's bounds")
	}
	if info.L4 != 0 && (int(info.L4) < int(info.L3)+header || info.L4 > info.End) || info.Outcome.IsIP() && info.L4 == 0 {
		fail("the transport header's offset")
	}
	if int(info.L4)+int(info.Payload) > int(info.End) {
		fail("the payload's length")
	}
	if info.FragmentOffset%8 != 0 || (info.FragmentMore || info.FragmentOffset > 0) && !info.Fragmented {
		fail("the fragment")
	}
	if info.Outcome == Fragment && info.FragmentOffset == 0 {
		fail("a later fragment without an offset")
	}
	if info.Outcome == IP && info.FragmentOffset > 0 {
		fail("a later fragment as a packet")
	}
	if info.Outcome == ICMPError && info.Quote.Family != info.Family {
		fail("an error without a quote")
	}
}

// checkSlowPath sends the packet by the way that only odd ones take: what it
// says must be the same.
func checkSlowPath(t *testing.T, frame []byte, info *Info) {
	t.Helper()
	if info.Family == 0 || info.Outcome == IPv4Header || info.Outcome == IPv6Header {
		return
	}
	slow := Info{Tags: info.Tags, Tag: info.Tag, VLAN: info.VLAN, EtherType: info.EtherType,
		Family: info.Family, HopLimit: info.HopLimit, L3: info.L3, End: info.End, Src: info.Src, Dst: info.Dst}
	b, l3 := frame[info.L3:info.End], int(info.L3)
	if info.Family == 4 {
		slow.Proto = b[9]
		slow.Outcome = judgeIPv4(b, int(b[0]&0xf)*4, &slow)
	} else {
		slow.Proto = b[6]
		slow.Outcome = judgeIPv6(b[ipv6Size:], l3+ipv6Size, &slow)
	}
	if slow != *info {
		t.Fatalf("%x: the two ways differ:\n%+v\n%+v", frame, *info, slow)
	}
}

// reversed is the packet that goes the other way: addresses and ports
// changed about, a query's request for its reply.
func reversed(info Info) Info {
	info.Src, info.Dst = info.Dst, info.Src
	info.SrcPort, info.DstPort = info.DstPort, info.SrcPort
	if !isICMP(info.Family, info.Proto) {
		return info
	}
	pairs := map[Family]map[uint8]uint8{
		4: {8: 0, 13: 14, 15: 16, 17: 18, 42: 43},
		6: {128: 129, 139: 140, 160: 161},
	}
	for request, reply := range pairs[info.Family] {
		switch info.ICMPType {
		case request:
			info.ICMPType = reply
			return info
		case reply:
			info.ICMPType = request
			return info
		}
	}
	return info
}

func isQuery(info *Info) bool {
	r := reversed(*info)
	return isICMP(info.Family, info.Proto) && r.ICMPType != info.ICMPType
}

func checkKey(t *testing.T, frame []byte, info *Info) {
	t.Helper()
	k, d := info.Key(7)
	back := reversed(*info)
	rk, rd := back.Key(7)
	oneWay := isICMP(info.Family, info.Proto) && !isQuery(info)
	loop := info.Src == info.Dst && info.SrcPort == info.DstPort && !isQuery(info)
	switch {
	case loop:
		if rk != k || rd != d {
			t.Fatalf("%x: a packet to its own endpoint has two keys", frame)
		}
	case oneWay:
		if rk == k || rd == d {
			t.Fatalf("%x: both directions of a one-way message have one key", frame)
		}
	case rk != k || rd == d:
		t.Fatalf("%x: reverse packet has key %+v %v, want %+v %v", frame, rk, rd, k, d^1)
	}
	src, dst, srcPort, dstPort := k.A, k.B, k.PortA(), k.PortB()
	if d == BtoA {
		src, dst, srcPort, dstPort = dst, src, dstPort, srcPort
	}
	if src != info.Src || dst != info.Dst || k.Group() != 7 || k.Family() != info.Family ||
		k.Proto() != info.Proto || k.VLANs() != info.VLAN {
		t.Fatalf("%x: key %+v %v is not that of %+v", frame, k, d, *info)
	}
	if !isICMP(info.Family, info.Proto) && (srcPort != info.SrcPort || dstPort != info.DstPort) {
		t.Fatalf("%x: key %+v %v has other ports than %+v", frame, k, d, *info)
	}
	q := Quote{info.Src, info.Dst, info.SrcPort, info.DstPort, info.Family, info.Proto, info.ICMPType, info.ICMPCode, info.ICMPID}
	if qk, qd := q.Key(info.VLAN, 7); qk != k || qd != d {
		t.Fatalf("%x: as a quote it has the key %+v %v, want %+v %v", frame, qk, qd, k, d)
	}
}

// checkAnswer parses the answer, if there is one: it is an IP packet back to
// the sender, in the same VLANs, and would itself not be answered if it is
// a reset, nor if it is an error.
func checkAnswer(t *testing.T, frame []byte, info *Info) {
	t.Helper()
	var out [MaxAnswer]byte
	n := Answer(frame, info, out[:])
	if n == 0 {
		return
	}
	var back Info
	Parse(out[:n], &back)
	want := ICMPError
	if info.Proto == ProtoTCP {
		want = IP
	}
	if back.Outcome != want || back.Src != info.Dst || back.Dst != info.Src || back.VLAN != info.VLAN || back.Tags != info.Tags {
		t.Fatalf("%x: answered by %x, which is %+v", frame, out[:n], back)
	}
	k, d := info.Key(1)
	bk, bd := back.Key(1)
	if want == ICMPError {
		bk, bd = back.Quote.Key(back.VLAN, 1)
		bd ^= 1
	}
	if bk != k || bd == d {
		t.Fatalf("%x: the answer %x belongs to another flow", frame, out[:n])
	}
	var again [MaxAnswer]byte
	if Answer(out[:n], &back, again[:]) != 0 {
		t.Fatalf("%x: the answer %x would be answered", frame, out[:n])
	}
}
