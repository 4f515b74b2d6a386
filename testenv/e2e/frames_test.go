// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"net/netip"
	"testing"

	"bulkhead/testenv"
)

// MACs of link control: of the bridges' groups, and of Cisco's.
var (
	bridgeGroup = []byte{0x01, 0x80, 0xc2, 0, 0, 0}
	slowGroup   = []byte{0x01, 0x80, 0xc2, 0, 0, 2}
	lldpGroup   = []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e}
	ciscoGroup  = []byte{0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc}
	pvstGroup   = []byte{0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd}
)

// linkControl is a frame of every kind that passes by default, unjudged, by
// the name that it is counted under.
func linkControl() []packet {
	to := func(dst []byte, ether uint16, layers ...testenv.Layer) []byte {
		return testenv.Pad(testenv.Frame(append([]testenv.Layer{testenv.Ether{Src: macA, Dst: dst, Type: ether}}, layers...)...), 60)
	}
	bpdu := func(version byte) testenv.Layer { return testenv.Bytes([]byte{0, 0, version, 0, 0}) }
	llc := func(sap byte) testenv.Layer { return testenv.LLC{DSAP: sap, SSAP: sap, Control: 3} }
	cisco := func(kind uint16) testenv.Layer { return testenv.SNAP{OUI: [3]byte{0, 0, 0x0c}, Type: kind} }
	solicit := fromA(testenv.IPv6{HopLimit: 255}, testenv.ND{LinkAddr: macA})
	body := testenv.Bytes("some body or other")
	who := testenv.ARP{SenderMAC: macA, TargetIP: netip.MustParseAddr("198.18.0.99")} // no host answers
	return []packet{
		{name: "arp", frame: testenv.Pad(fromA(who), 60)},
		{name: "arp", frame: to(testenv.Broadcast, 0, who)},
		{name: "nd", frame: solicit},
		{name: "stp", frame: to(bridgeGroup, 0, llc(0x42), bpdu(0))},
		{name: "rstp", frame: to(bridgeGroup, 0, llc(0x42), bpdu(2))},
		{name: "mstp", frame: to(bridgeGroup, 0, llc(0x42), bpdu(3))},
		{name: "pvst", frame: to(pvstGroup, 0, cisco(0x010b), bpdu(0))},
		{name: "cdp", frame: to(ciscoGroup, 0, cisco(0x2000), body)},
		{name: "udld", frame: to(ciscoGroup, 0, cisco(0x0111), body)},
		{name: "isis", frame: to(bridgeGroup, 0, llc(0xfe), testenv.Bytes("\x83"), body)},
		{name: "slow", frame: to(slowGroup, 0x8809, body)},
		{name: "lldp", frame: to(lldpGroup, 0x88cc, body)},
		{name: "eapol", frame: to(bridgeGroup, 0x888e, body)},
		{name: "ptp", frame: to(lldpGroup, 0x88f7, body)},
		{name: "cfm", frame: to(bridgeGroup, 0x8902, body)},
	}
}

// tagged is an IP packet behind every kind of tags that is understood.
func tagged() []packet {
	inner := []testenv.Layer{testenv.IPv4{}, testenv.UDP{Src: 5000, Dst: 53}, testenv.Bytes("behind tags")}
	var all []packet
	for name, tags := range map[string][]testenv.Layer{
		"no tag":           nil,
		"one tag":          {testenv.VLAN{ID: 10, Priority: 5, DEI: true}},
		"highest VLAN":     {testenv.Tag(4095)},
		"priority tag":     {testenv.VLAN{ID: 0, Priority: 7}},
		"two tags":         {testenv.Tag(10), testenv.VLAN{ID: 20, Priority: 3}},
		"802.1ad":          {testenv.STag(100), testenv.Tag(10)},
		"service tag only": {testenv.STag(100)},
		"priority twice":   {testenv.Tag(0), testenv.Tag(0)},
	} {
		all = append(all, packet{name: name, frame: testenv.Pad(fromA(append(tags, inner...)...), 60)})
	}
	return all
}

func TestFramesPassBitForBit(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	var packets []packet
	for _, p := range append(linkControl(), tagged()...) {
		for _, from := range []string{"a", "b"} {
			p.from = from
			packets = append(packets, p)
		}
	}
	g.judges(packets)
}

func TestFramesOfEverySizePassBitForBit(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	everySize(t, g, 1514)
}

// everySize sends frames of every size in both directions.
func everySize(t *testing.T, g *gate, longest int) {
	t.Helper()
	ab, ba := g.paths("a", "b")
	const headers, most = 14 + 20 + 8, 100 // a socket's rings hold a few hundred
	for first := 60; first <= longest; first += most {
		var up, down [][]byte
		for size := first; size < first+most && size <= longest; size++ {
			payload := testenv.Bytes(random(t, size-headers))
			up = append(up, fromA(toB4, testenv.UDP{Src: 5000, Dst: 53}, payload))
			down = append(down, fromB(toA4, testenv.UDP{Src: 53, Dst: 5000}, payload))
		}
		ab.passes(up...)
		ba.passes(down...)
	}
}

func TestJumboFramesPassUpToTheLargestMTU(t *testing.T) {
	lab := twoHosts()
	lab.MTU = 3498 // of a veth with XDP
	g := start(t, setup{lab: lab, policy: allowAll})
	if w := g.wire(); w.A.MTU != 3498 || w.B.MTU != 3498 {
		t.Errorf("the ports have MTUs %d and %d", w.A.MTU, w.B.MTU)
	}
	a, b := g.lab.Host("a"), g.lab.Host("b")
	get(b.ServeStream(80))(t)
	_, err := a.Ping(soon(t), b.IPv4, testenv.PingConfig{Size: 3470, DontFragment: true})
	must(t, err)
	download(t, g.lab, 2, 4<<20)
	g.silence()
	everySize(t, g, 14+3498)
	ab, _ := g.paths("a", "b")
	ab.passes(fromA(testenv.Tag(10), testenv.IPv4{}, testenv.UDP{Dst: 53}, testenv.Bytes(random(t, 3470))))
}

func TestLongestFramesPassBehindTheirTags(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	ab, ba := g.paths("a", "b")
	for tags := range 2 { // a packet socket sends no longer frame than this
		t.Run(fmt.Sprint(tags, " tags"), func(t *testing.T) {
			layers := []testenv.Layer{testenv.Tag(10)}[:tags]
			layers = append(layers, testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes(random(t, 1500-28)))
			ab.passes(fromA(layers...))
			ba.passes(fromB(layers...))
		})
	}
}
