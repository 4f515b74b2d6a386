// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"bytes"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// answer is the answer to a frame, nil when there is none.
func answer(frame []byte) []byte {
	var info Info
	Parse(frame, &info)
	out := make([]byte, MaxAnswer)
	n := Answer(frame, &info, out)
	if n == 0 {
		return nil
	}
	return out[:n]
}

// What is never answered, each for its own reason.
func TestNeverAnswered(t *testing.T) {
	syn := tcp(1, 2, FlagSYN)
	for _, tt := range []struct {
		name   string
		layers []layer
	}{
		{"reset", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, FlagRST)}},
		{"reset that acknowledges", []layer{eth(0x86dd), ip6(hostA6, hostB6, 6), tcp(1, 2, FlagRST|FlagACK)}},
		{"ICMP error", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(3, 0, 0), ip4(hostB4, hostA4, 17), udp(1, 2)}},
		{"echo reply", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(0, 0, 0)}},
		{"ICMP type that nobody knows", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(200, 0, 0)}},
		{"ICMPv6 error type that nobody knows", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(100, 0, 0)}},
		{"multicast listener report", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(143, 0, 0)}},
		{"neighbour discovery", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58, hops(255)), icmp(135, 0, 0), zeros(16)}},
		{"first fragment", []layer{eth(0x0800), ip4(hostA4, hostB4, 6, fragment(0, true)), syn, zeros(4)}},
		{"later fragment", []layer{eth(0x0800), ip4(hostA4, hostB4, 17, fragment(64, false)), zeros(8)}},
		{"to an Ethernet group", []layer{ethTo("01005e000001", 0x0800), ip4(hostA4, hostB4, 6), syn}},
		{"to all of the Ethernet", []layer{ethTo("ffffffffffff", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)}},
		{"from an Ethernet group", []layer{set(6, 0x01), eth(0x0800), ip4(hostA4, hostB4, 6), syn}},
		{"to an IPv4 group", []layer{eth(0x0800), ip4(hostA4, "224.0.0.1", 17), udp(1, 2)}},
		{"to everybody", []layer{eth(0x0800), ip4(hostA4, "255.255.255.255", 17), udp(1, 2)}},
		{"to an IPv6 group", []layer{eth(0x86dd), ip6(hostA6, "ff02::1", 17), udp(1, 2)}},
		{"from nobody", []layer{eth(0x0800), ip4("0.0.0.0", hostB4, 17), udp(68, 67)}},
		{"from this network", []layer{eth(0x0800), ip4("0.1.2.3", hostB4, 6), syn}},
		{"to nobody", []layer{eth(0x0800), ip4(hostA4, "0.0.0.0", 6), syn}},
		{"from the unspecified address", []layer{eth(0x86dd), ip6("::", hostB6, 17), udp(1, 2)}},
		{"to the unspecified address", []layer{eth(0x86dd), ip6(hostA6, "::", 17), udp(1, 2)}},
		{"SNAP", []layer{eth802(macB), snap("000000", 0x0800), ip4(hostA4, hostB4, 6), syn}},
		{"BFD echo", []layer{eth(0x0800), ip4(hostA4, hostA4, 17), udp(1, 3785)}},
		{"not IP", []layer{eth(0x0806), zeros(28)}},
		{"land", []layer{eth(0x0800), ip4(hostA4, hostA4, 6), syn}},
		{"TCP flags that nobody sends", []layer{eth(0x0800), ip4(hostA4, hostB4, 6), tcp(1, 2, 0)}},
	} {
		if b := answer(build(tt.layers...)); b != nil {
			t.Errorf("%s: answered by %x", tt.name, b)
		}
	}
}

// RFC 9293, section 3.10.7.1: the answer to a segment for a port that is
// closed.
func TestResets(t *testing.T) {
	const seq, ack = 1000, 2000
	for _, tt := range []struct {
		name             string
		flags            int
		payload          int
		seq, ack         uint32
		wantACK          bool
		sequence, number change
	}{
		{name: "SYN", flags: FlagSYN, ack: seq + 1, wantACK: true},
		{name: "SYN with data", flags: FlagSYN, payload: 10, ack: seq + 11, wantACK: true},
		{name: "SYN at the end of the numbers", flags: FlagSYN, sequence: put(4, 0xff, 0xff, 0xff, 0xff), ack: 0, wantACK: true},
		{name: "SYN that acknowledges", flags: FlagSYN | FlagACK, seq: ack},
		{name: "data", flags: FlagACK, payload: 10, seq: ack},
		{name: "end", flags: FlagFIN | FlagACK, seq: ack},
	} {
		for _, family := range []Family{4, 6} {
			header := tcp(40000, 443, tt.flags)
			if tt.sequence != nil {
				header = tcp(40000, 443, tt.flags, tt.sequence)
			}
			frame := build(eth(0x0800), ip4(hostA4, hostB4, 6), header, zeros(tt.payload))
			if family == 6 {
				frame = build(eth(0x86dd), ip6(hostA6, hostB6, 6), header, zeros(tt.payload))
			}
			p := decodeAnswer(t, answer(frame))
			r, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
			if !ok {
				t.Fatalf("%s: the answer is %v", tt.name, p)
			}
			if !r.RST || r.ACK != tt.wantACK || r.SYN || r.FIN || r.Seq != tt.seq || r.Ack != tt.ack || r.SrcPort != 443 || r.DstPort != 40000 || len(r.Payload) != 0 {
				t.Errorf("%s in IPv%d: answered by %+v", tt.name, family, r)
			}
		}
	}
}

// decodeAnswer has gopacket read the answer and write it anew, with lengths
// and checksums of its own: the bytes must be the same.
func decodeAnswer(t *testing.T, b []byte) gopacket.Packet {
	t.Helper()
	p := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
	if p.ErrorLayer() != nil {
		t.Fatalf("%x: gopacket: %v", b, p.ErrorLayer().Error())
	}
	var ls []gopacket.SerializableLayer
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.TCP:
			l.SetNetworkLayerForChecksum(p.NetworkLayer())
		case *layers.ICMPv6:
			l.SetNetworkLayerForChecksum(p.NetworkLayer())
		}
		s, ok := l.(gopacket.SerializableLayer)
		if !ok {
			break
		}
		ls = append(ls, s)
	}
	anew := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(anew, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ls...); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pad(anew.Bytes()), b) {
		t.Errorf("the answer is\n%x, gopacket makes of it\n%x", b, anew.Bytes())
	}
	if len(b) < 60 {
		t.Errorf("the answer has %d bytes, fewer than an Ethernet frame", len(b))
	}
	return p
}

func pad(b []byte) []byte { return append(b, make([]byte, max(0, 60-len(b)))...) }

// The answer to what is not TCP: prohibited by the administrator, with as much
// of the packet as the RFCs ask for and no more.
func TestUnreachables(t *testing.T) {
	for _, tt := range []struct {
		name   string
		layers []layer
		quoted int
	}{
		{"UDP", []layer{eth(0x0800), ip4(hostA4, hostB4, 17), udp(1, 2), zeros(100)}, 28},
		{"UDP with IP options", []layer{eth(0x0800), ip4Options("94040000", hostA4, hostB4, 17), udp(1, 2), zeros(100)}, 32},
		{"UDP behind an authentication header", []layer{eth(0x0800), ip4(hostA4, hostB4, 51), authentication(17, 24), udp(1, 2), zeros(100)}, 52},
		{"a long authentication header", []layer{eth(0x0800), ip4(hostA4, hostB4, 51), authentication(51, 512-24), authentication(17, 24), udp(1, 2), zeros(100)}, 540},
		{"less than 8 bytes", []layer{padded(30), eth(0x0800), ip4(hostA4, hostB4, 50), zeros(3)}, 23},
		{"echo request", []layer{eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 1), zeros(56)}, 28},
		{"SCTP in a VLAN", []layer{eth(0x8100), tag(0x6005, 0x0800), ip4(hostA4, hostB4, 132), sctp(1, 2)}, 28},
		{"UDP over IPv6", []layer{padded(8), eth(0x86dd), ip6(hostA6, hostB6, 17), udp(1, 2), zeros(100)}, 148},
		{"UDP over IPv6, long", []layer{eth(0x88a8), tag(5, 0x8100), tag(6, 0x86dd), ip6(hostA6, hostB6, 17), udp(1, 2), zeros(1400)}, 1232},
		{"ICMPv6 echo request", []layer{eth(0x86dd), ip6(hostA6, hostB6, 58), icmp(128, 0, 1)}, 48},
	} {
		frame := build(tt.layers...)
		var info Info
		Parse(frame, &info)
		p := decodeAnswer(t, answer(frame))
		var quote []byte
		switch l := p.Layers()[2+int(info.Tags)].(type) {
		case *layers.ICMPv4:
			if l.TypeCode != layers.CreateICMPv4TypeCode(3, 13) {
				t.Errorf("%s: answered by %v", tt.name, l.TypeCode)
			}
			quote = l.Payload
		case *layers.ICMPv6:
			if l.TypeCode != layers.CreateICMPv6TypeCode(1, 1) {
				t.Errorf("%s: answered by %v", tt.name, l.TypeCode)
			}
			quote = l.Payload[4:] // gopacket leaves the unused word to the payload
		}
		if len(quote) != tt.quoted || !bytes.HasPrefix(frame[info.L3:info.End], quote) {
			t.Errorf("%s: %d bytes are quoted, want the first %d:\n%x\n%x", tt.name, len(quote), tt.quoted, quote, frame[info.L3:])
		}
	}
}

// The link header goes back as it came, priority bits and all.
func TestAnswersStayInTheirVLAN(t *testing.T) {
	b := answer(build(eth(0x88a8), tag(0xb064, 0x8100), tag(0, 0x0800), ip4(hostA4, hostB4, 17), udp(1, 2)))
	if want := unhex(macA + macB + "88a8 b064 8100 0000 0800"); !bytes.HasPrefix(b, want) {
		t.Errorf("the answer is %x, want it to begin %x", b, want)
	}
}
