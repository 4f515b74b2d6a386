// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// Parse agrees with gopacket on every frame that both understand: those of the
// tests and, when they are there, those of the captures.
func TestAgreesWithGopacket(t *testing.T) {
	compared := map[string]int{}
	check := func(name string, frame []byte) {
		var info Info
		Parse(frame, &info)
		if info.Outcome != IP && info.Outcome != Fragment {
			return
		}
		want, ok := decode(frame)
		if !ok {
			return
		}
		got := decodedOf(&info)
		if !want.ports {
			got.Src, got.Dst = "", ""
		}
		compared[want.Network]++
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(decoded{})); diff != "" {
			t.Errorf("%s: gopacket differs (-gopacket +ours):\n%s%x", name, diff, frame)
		}
	}
	t.Run("generated", func(t *testing.T) {
		for _, tt := range outcomeTests {
			check(tt.name, build(tt.layers...))
		}
	})
	if n := compared["IPv4"]; n < 10 || compared["IPv6"] < 5 {
		t.Errorf("only %v were compared", compared)
	}
	t.Run("captures", func(t *testing.T) {
		for _, f := range captures(t) {
			check(f.name, f.data)
		}
	})
	t.Logf("compared: %v", compared)
}

// decoded is what gopacket says of the outermost IP packet.
type decoded struct {
	Network  string
	Tags     []uint16
	Flow     string
	Hops     uint8
	Fragment string
	Src, Dst string // ports

	ports bool // the transport header stands right behind the IP header
}

func decodedOf(p *Info) decoded {
	d := decoded{
		Network: fmt.Sprintf("IPv%d", p.Family),
		Flow:    fmt.Sprint(p.Src.Netip(p.Family), "->", p.Dst.Netip(p.Family)),
		Hops:    p.HopLimit,
	}
	for _, vid := range p.VLAN {
		if vid != 0 {
			d.Tags = append(d.Tags, vid)
		}
	}
	if p.Fragmented && p.Family == 4 {
		d.Fragment = fmt.Sprint(p.FragmentID, p.FragmentOffset, p.FragmentMore)
	}
	d.Src, d.Dst = fmt.Sprint(p.SrcPort), fmt.Sprint(p.DstPort)
	return d
}

// decode asks gopacket; some of its decoders panic on hostile bytes, which
// counts as not having understood.
func decode(frame []byte) (d decoded, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.DecodeOptions{NoCopy: true})
	for i, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Dot1Q:
			if l.VLANIdentifier != 0 {
				d.Tags = append(d.Tags, l.VLANIdentifier)
			}
		case *layers.IPv4:
			d.Network, d.Hops = "IPv4", l.TTL
			d.Flow = fmt.Sprint(l.SrcIP, "->", l.DstIP)
			more := l.Flags&layers.IPv4MoreFragments != 0
			if more || l.FragOffset > 0 {
				d.Fragment = fmt.Sprint(l.Id, l.FragOffset*8, more)
			}
			return d.withPorts(p, i+1), true
		case *layers.IPv6:
			d.Network, d.Hops = "IPv6", l.HopLimit
			d.Flow = fmt.Sprint(l.SrcIP, "->", l.DstIP)
			return d.withPorts(p, i+1), true
		}
	}
	return d, false
}

func (d decoded) withPorts(p gopacket.Packet, i int) decoded {
	if i >= len(p.Layers()) {
		return d
	}
	switch l := p.Layers()[i].(type) {
	case *layers.TCP:
		d.Src, d.Dst, d.ports = fmt.Sprint(uint16(l.SrcPort)), fmt.Sprint(uint16(l.DstPort)), true
	case *layers.UDP:
		d.Src, d.Dst, d.ports = fmt.Sprint(uint16(l.SrcPort)), fmt.Sprint(uint16(l.DstPort)), true
	case *layers.SCTP:
		d.Src, d.Dst, d.ports = fmt.Sprint(uint16(l.SrcPort)), fmt.Sprint(uint16(l.DstPort)), true
	}
	return d
}
