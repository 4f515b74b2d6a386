// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// judged are frames whose every field the judge, gopacket, can write as well.
var judged = []struct {
	name   string
	layers []Layer
}{
	{"udp", []Layer{Ether{}, IPv4{}, UDP{Src: 1, Dst: 9}, Bytes("hello")}},
	{"udp odd length", []Layer{Ether{}, IPv4{}, UDP{Src: 1, Dst: 9}, Bytes("hell")}},
	{"udp6", []Layer{Ether{}, IPv6{TrafficClass: 0x12, FlowLabel: 0x34567}, UDP{Src: 1, Dst: 9}, Bytes("hello")}},
	{"tcp", []Layer{Ether{}, IPv4{TTL: 3, TOS: 8, ID: 77, DF: true}, TCP{Src: 9, Dst: 80, Seq: 5, Ack: 6, Flags: SYN | ACK | PSH}}},
	{"tcp options", []Layer{Ether{}, IPv4{}, TCP{Dst: 80, Flags: SYN, Options: []byte{2, 4, 5, 0xb4}}, Bytes("x")}},
	{"tcp6 urgent", []Layer{Ether{}, IPv6{HopLimit: 1}, TCP{Dst: 80, Flags: ACK | URG | ECE | CWR | FIN | RST, Urgent: 7, Window: 9}}},
	{"ip options", []Layer{Ether{}, IPv4{Options: []byte{148, 4, 0, 0}}, UDP{Dst: 53}}},
	{"icmp", []Layer{Ether{}, IPv4{}, ICMP{Type: 8, ID: 3, Seq: 4}, Bytes("ping")}},
	{"icmp6", []Layer{Ether{}, IPv6{}, ICMPv6{Type: 128, ID: 3, Seq: 4}, Bytes("ping")}},
	{"sctp", []Layer{Ether{}, IPv4{}, SCTP{Src: 5, Dst: 6, Tag: 0xdeadbeef}, Chunk(0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'x', 'y', 'z', 0)}},
	{"tag", []Layer{Ether{}, VLAN{ID: 10, Priority: 5, DEI: true}, IPv4{}, UDP{}}},
	{"qinq", []Layer{Ether{}, STag(7), Tag(10), IPv6{}, UDP{}}},
	{"eight tags", []Layer{Ether{}, Tag(1), Tag(2), Tag(3), Tag(4), Tag(5), Tag(6), Tag(7), Tag(8), IPv4{}, UDP{}}},
	{"arp", []Layer{Ether{Dst: Broadcast}, ARP{}}},
	{"arp reply", []Layer{Ether{}, Tag(3), ARP{Op: 2, TargetMAC: defaultDstMAC}}},
	{"ip in ip", []Layer{Ether{}, IPv4{}, IPv6{}, IPv4{TTL: 9}, UDP{Dst: 1}}},
	{"fragment", []Layer{Ether{}, IPv4{MF: true, Offset: 185, ID: 5, Proto: 17}, Bytes("12345678")}},
	{"fragment6", []Layer{Ether{}, IPv6{}, Fragment6{Offset: 185, More: true, ID: 5, Next: 17}, Bytes("12345678")}},
}

// TestFramesAreThoseOfTheJudge decodes each frame and lets gopacket write it again with lengths and checksums of its own.
func TestFramesAreThoseOfTheJudge(t *testing.T) {
	for _, tc := range judged {
		frame := Frame(tc.layers...)
		// gopacket pads some frames to 60 bytes.
		if again := rewrite(t, frame); !bytes.Equal(Pad(frame, len(again)), again) {
			t.Errorf("%s:\n got %x\nwant %x", tc.name, frame, again)
		}
	}
}

func rewrite(t *testing.T, frame []byte) []byte {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	if p.ErrorLayer() != nil {
		t.Fatalf("%v\n%x", p.ErrorLayer().Error(), frame)
	}
	var out []gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	for _, l := range p.Layers() {
		if n, ok := l.(gopacket.NetworkLayer); ok {
			network = n
		}
		if s, ok := l.(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			must(t, s.SetNetworkLayerForChecksum(network))
		}
		switch l := l.(type) {
		// What follows these gopacket cannot write, or not whole.
		case *layers.IPv6Fragment:
			return serialize(t, append(out, gopacket.Payload(append(l.LayerContents(), l.LayerPayload()...))))
		case *layers.ICMPv6:
			return serialize(t, append(out, l, gopacket.Payload(l.LayerPayload())))
		case *layers.SCTP:
			return serialize(t, append(out, l, gopacket.Payload(l.LayerPayload())))
		case gopacket.SerializableLayer:
			out = append(out, l)
		}
	}
	return serialize(t, out)
}

func serialize(t *testing.T, out []gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, out...))
	return buf.Bytes()
}

// golden are frames byte by byte, for what the judge cannot write.
var golden = []struct {
	name   string
	layers []Layer
	want   string // hexadecimal, a header in each word
}{
	{"llc snap", []Layer{Ether{}, SNAP{}, ARP{}},
		"02bb00000002 02bb00000001 0024 aaaa03 000000 0806 0001080006040001 02bb00000001 c6120001 000000000000 c6120002"},
	{"stp", []Layer{Ether{Dst: net.HardwareAddr{1, 0x80, 0xc2, 0, 0, 0}}, LLC{0x42, 0x42, 3}, Bytes("\x00\x00")},
		"0180c2000000 02bb00000001 0005 424203 0000"},
	{"tag and llc", []Layer{Ether{}, Tag(9), LLC{1, 2, 3}}, "02bb00000002 02bb00000001 8100 0009 0003 010203"},
	{"a type of one's own", []Layer{Ether{Type: 0x88cc}, Bytes("\x01")}, "02bb00000002 02bb00000001 88cc 01"},
	{"extension headers", []Layer{IPv6{}, HopByHop(), DestOpts(1, 3, 9, 9, 9), Routing(4), AH{SPI: 1, Seq: 2, ICV: make([]byte, 12)}},
		"60000000 0030 00 40 20010db8000000000000000000000001 20010db8000000000000000000000002" +
			"3c00 01040000 0000 2b00 0103090909 00 3300 040000000000 3b04 0000 00000001 00000002 000000000000000000000000"},
	{"nd", []Layer{ND{Type: 136, Flags: 0x60, LinkAddr: defaultSrcMAC}},
		"8800 e586 60000000 20010db8000000000000000000000002 0201 02bb00000001"},
	{"bad on purpose", []Layer{IPv4{IHL: 4, Len: 7, Proto: 1, BadChecksum: true}},
		"4400 0007 0000 0000 4001 ba9b c6120001 c6120002"},
	{"gre by hand", []Layer{IPv4{Proto: 47}, Bytes("\x00\x00\x08\x00"), IPv4{}},
		"4500 002c 0000 0000 402f ee7b c6120001 c6120002 00000800 4500 0014 0000 0000 40fd edc5 c6120001 c6120002"},
}

func TestGoldenFrames(t *testing.T) {
	for _, tc := range golden {
		want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(tc.want), []byte(" "), nil)))
		must(t, err)
		if got := Frame(tc.layers...); !bytes.Equal(got, want) {
			t.Errorf("%s:\n got %x\nwant %x", tc.name, got, want)
		}
	}
}

func TestPatchAndPadCopy(t *testing.T) {
	frame := Frame(Ether{}, ARP{})
	before := bytes.Clone(frame)
	patched, padded := Patch(frame, 12, 0x86, 0xdd), Pad(frame, 60)
	padded[0] ^= 1
	if !bytes.Equal(frame, before) || patched[12] != 0x86 || patched[13] != 0xdd || len(padded) != 60 {
		t.Errorf("frame %x, patched %x, padded %x", frame, patched, padded)
	}
}

// reassemble is a plain judge: payloads put at their offsets. It returns them and the total length.
func reassemble(t *testing.T, frames [][]byte) []byte {
	t.Helper()
	var whole []byte
	total := -1
	for _, f := range frames {
		p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
		var offset int
		var more bool
		var payload []byte
		if ip, ok := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok {
			offset, more, payload = int(ip.FragOffset)*8, ip.Flags&layers.IPv4MoreFragments != 0, ip.Payload
		} else if fr, ok := p.Layer(layers.LayerTypeIPv6Fragment).(*layers.IPv6Fragment); ok {
			offset, more, payload = int(fr.FragmentOffset)*8, fr.MoreFragments, fr.Payload
		} else {
			t.Fatalf("not a fragment: %x", f)
		}
		if offset != len(whole) {
			t.Fatalf("offset %d, want %d", offset, len(whole))
		}
		whole = append(whole, payload...)
		if !more {
			total = len(whole)
		}
	}
	if total != len(whole) {
		t.Fatalf("total %d of %d bytes: the last fragment is not marked as such, or another is", total, len(whole))
	}
	return whole
}

func TestFragmentsMakeTheWhole(t *testing.T) {
	body := Bytes(bytes.Repeat([]byte("0123456789"), 101))
	udp := Frame(IPv4{}, UDP{Dst: 9}, body)[20:]
	for _, size := range []int{8, 16, 512, 1016} {
		frames, err := FragmentIPv4(Frame(Ether{}, Tag(4), IPv4{ID: 7, DF: true, Options: []byte{1, 1, 1}}, UDP{Dst: 9}, body), size)
		must(t, err)
		if got := reassemble(t, frames); !bytes.Equal(got, udp) {
			t.Errorf("v4, size %d: %s", size, cmp.Diff(udp, got))
		}
		for _, f := range frames {
			if sum := checksum(0, f[18:18+24]); sum != 0 {
				t.Errorf("v4, size %d: header checksum is off by %#x", size, sum)
			}
		}
	}
	inner := Frame(IPv6{}, DestOpts(), UDP{Dst: 9}, body)[40:] // after the routing header: part of what is split
	for _, size := range []int{8, 512} {
		frames, err := FragmentIPv6(Frame(Ether{}, IPv6{}, HopByHop(), DestOpts(), Routing(0), DestOpts(), UDP{Dst: 9}, body), size, 99)
		must(t, err)
		if got := reassemble(t, frames); !bytes.Equal(got, inner) {
			t.Errorf("v6, size %d: %s", size, cmp.Diff(inner, got))
		}
	}
}

func TestFragmentOfAFragmentKeepsItsPlace(t *testing.T) {
	part := Frame(Ether{}, IPv4{MF: true, Offset: 100, Proto: 17}, Bytes(make([]byte, 32)))
	frames, err := FragmentIPv4(part, 16)
	must(t, err)
	for i, f := range frames {
		p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
		ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
		if int(ip.FragOffset) != 100+2*i || ip.Flags&layers.IPv4MoreFragments == 0 {
			t.Errorf("fragment %d: offset %d, flags %v", i, ip.FragOffset, ip.Flags)
		}
	}
}

func TestFragmentRefusesWhatItCannotSplit(t *testing.T) {
	whole := Frame(Ether{}, IPv4{}, UDP{}, Bytes(make([]byte, 64)))
	for name, try := range map[string]struct {
		frame []byte
		size  int
	}{
		"not IPv4": {Frame(Ether{}, ARP{}), 8}, "cut": {whole[:40], 8}, "not a multiple of 8": {whole, 12},
		"one part": {whole, 72}, "no size": {whole, 0}, "empty": {nil, 8}, "bad header": {Patch(whole, 14, 0x41), 8},
	} {
		if frames, err := FragmentIPv4(try.frame, try.size); err == nil {
			t.Errorf("%s: got %d fragments, want an error", name, len(frames))
		}
	}
	if _, err := FragmentIPv6(whole, 8, 1); err == nil {
		t.Error("IPv4 given to FragmentIPv6: want an error")
	}
}

func FuzzFragment(f *testing.F) {
	f.Add(Frame(Ether{}, Tag(1), IPv4{}, UDP{}, Bytes(make([]byte, 64))), 16)
	f.Add(Frame(Ether{}, IPv6{}, HopByHop(), Routing(0), UDP{}, Bytes(make([]byte, 64))), 8)
	f.Fuzz(func(t *testing.T, frame []byte, size int) {
		before := bytes.Clone(frame)
		v4, _ := FragmentIPv4(frame, size)
		v6, _ := FragmentIPv6(frame, size, 1)
		if len(v4) == 1 || len(v6) == 1 {
			t.Error("one fragment")
		}
		if !bytes.Equal(frame, before) {
			t.Error("the frame was changed")
		}
	})
}

func TestDefaultsMakeAValidFrame(t *testing.T) {
	frame := Frame(Ether{}, IPv4{}, UDP{})
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	ip := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	src, _ := netip.AddrFromSlice(ip.SrcIP)
	if src != defaultSrc4 || ip.TTL != 64 || p.Layer(layers.LayerTypeUDP) == nil {
		t.Errorf("%v", p)
	}
}
