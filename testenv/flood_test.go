// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// safeBurst is how many frames a veth's ring of 256 takes without loss, whenever it is emptied.
const safeBurst = 200

// floodTo is a flood from host a to host b.
func floodTo(b *Host, flows uint32, vlans ...uint16) FloodConfig {
	return FloodConfig{Dst: b.MAC, DstAddr: b.IPv4, DstPort: 9999, Flows: flows, VLANs: vlans}
}

func TestSinkCountsEveryFrameOfAFlood(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	b := l.Host("b")
	// From the gateway's port straight into the host: there is no other ring on the way that could be full.
	for _, tc := range []struct {
		name  string
		size  int
		flows uint32
		vlans []uint16
	}{
		{"short", 60, 1000, nil},
		{"long", 1514, 1, nil},
		{"new flows", 60, 0, nil},
		{"two tags", 64, 7, []uint16{5, 6}},
	} {
		cfg := floodTo(b, tc.flows, tc.vlans...)
		cfg.Size = tc.size
		flood, err := l.Gateway.NewFlood("w1", cfg)
		must(t, err)
		sink, err := b.NewSink(b.Dev, cfg.DstPort, len(tc.vlans))
		must(t, err)
		want := SinkCount{}
		for range 5 {
			sent, err := flood.Run(soon(t), safeBurst)
			if err != nil || sent != safeBurst {
				t.Fatalf("%s: sent %d: %v", tc.name, sent, err)
			}
			want.Packets += safeBurst
			want.Bytes += safeBurst * uint64(tc.size)
			eventually(t, tc.name, func() bool {
				got, err := sink.Count()
				must(t, err)
				return got.Packets >= want.Packets
			})
		}
		got, err := sink.Count()
		got.Others = 0 // neighbour discovery of the host's peer, if any
		if err != nil || got != want {
			t.Errorf("%s: counted %+v, want %+v: %v", tc.name, got, want, err)
		}
		must(t, flood.Close())
		must(t, sink.Close())
	}
}

func TestFloodFramesAreRightAndItsFlowsEven(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	b := l.Host("b")
	raw := RawForTest(t, b.NS, b.Dev)
	cfg := floodTo(b, 40_000, 12)
	cfg.SrcAddr = netip.MustParseAddr("198.18.255.255") // so that adding one carries over
	flood, err := l.Gateway.NewFlood("w1", cfg)
	must(t, err)
	flows := map[string]int{}
	for range 5 { // the later ones are in recycled pages
		_, err := flood.Run(soon(t), safeBurst)
		must(t, err)
		for i := range safeBurst {
			got, err := raw.Recv(soon(t), func(f []byte) bool { return f[12] == 0x81 })
			must(t, err)
			if want := floodFrame(cfg, i); rewriteUDP(t, got.Frame) != want {
				t.Fatalf("frame %d: got %v, want %v", i, rewriteUDP(t, got.Frame), want)
			}
			flows[string(got.Frame[30:42])]++
		}
	}
	if len(flows) != safeBurst {
		t.Errorf("%d flows, want %d", len(flows), safeBurst)
	}
	// Flow 32768 has the next address; the state map lets the count begin there.
	must(t, flood.state.Put(floodMade, uint64(39_999)))
	must(t, flood.state.Put(floodLimit, uint64(40_001)))
	must(t, flood.call(2))
	for _, i := range []int{39_999, 0} {
		got, err := raw.Recv(soon(t), func(f []byte) bool { return f[12] == 0x81 })
		must(t, err)
		if want := floodFrame(cfg, i); rewriteUDP(t, got.Frame) != want {
			t.Errorf("frame %d: got %v, want %v", i, rewriteUDP(t, got.Frame), want)
		}
	}
}

// flowOf is what a frame of a flood says.
type flowOf struct {
	src, dst         string
	srcPort, dstPort uint16
	tag              uint16
	size             int
}

func floodFrame(cfg FloodConfig, number int) flowOf {
	src := cfg.SrcAddr
	for range number / 32768 {
		src = src.Next()
	}
	return flowOf{src.String(), cfg.DstAddr.String(), uint16(1024 + number%32768), cfg.DstPort, cfg.VLANs[0], 60}
}

// rewriteUDP reads a frame with gopacket and finds out that its checksums are right.
func rewriteUDP(t *testing.T, frame []byte) flowOf {
	t.Helper()
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.NoCopy)
	tag, _ := p.Layer(layers.LayerTypeDot1Q).(*layers.Dot1Q)
	ip, _ := p.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	udp, _ := p.Layer(layers.LayerTypeUDP).(*layers.UDP)
	if tag == nil || ip == nil || udp == nil || udp.Checksum != 0 || checksum(0, ip.Contents) != 0 || int(ip.Length)+18 != len(frame) {
		t.Fatalf("not a good frame: %x", frame)
	}
	return flowOf{ip.SrcIP.String(), ip.DstIP.String(), uint16(udp.SrcPort), uint16(udp.DstPort), tag.VLANIdentifier, len(frame)}
}

func TestSinkLetsOthersPass(t *testing.T) {
	l, _, _ := joined(t, TwoHosts())
	a, b := l.Host("a"), l.Host("b")
	sink, err := b.NewSink(b.Dev, 9999, 0)
	must(t, err)
	_, err = a.Ping(soon(t), b.IPv6, PingConfig{})
	must(t, err)
	udp, err := b.ServeUDPEcho(9999)
	must(t, err)
	if err := a.EchoUDP(brief(t), both(b, 9999)[0], []byte("x")); err == nil {
		t.Error("a datagram to the sink's port got through")
	}
	if got, err := sink.Count(); err != nil || got.Packets != 1 || got.Others == 0 {
		t.Errorf("counted %+v: %v", got, err)
	}
	must(t, sink.Close())
	must(t, a.EchoUDP(soon(t), both(b, 9999)[0], []byte("x")))
	must(t, udp.Close())
}

func TestSinkAndExactCaptureExcludeEachOther(t *testing.T) {
	cfg := TwoHosts()
	cfg.ExactCapture = true
	b := LabForTest(t, cfg).Host("b")
	if sink, err := b.NewSink(b.Dev, 9999, 0); err == nil {
		t.Errorf("got %v, want an error", sink)
	}
}

func TestFloodIsBoundedAndHeedsTheContext(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	b := l.Host("b")
	flood, err := l.Gateway.NewFlood("w1", floodTo(b, 1))
	must(t, err)
	sent, err := flood.Run(soon(t), 1)
	if err != nil || sent != 1 {
		t.Errorf("sent %d, want 1: %v", sent, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if sent, err := flood.Run(ctx, 1000); err == nil || sent != 0 {
		t.Errorf("sent %d after the context's end: %v", sent, err)
	}
	for why, cfg := range map[string]FloodConfig{
		"from 42":   {Size: 41},
		"to 1514":   {Size: 1515},
		"only IPv4": {SrcAddr: netip.MustParseAddr("::1")},
	} {
		if _, err := l.Gateway.NewFlood("w1", cfg); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want an error with %q", err, why)
		}
	}
	if _, err := l.Gateway.NewFlood("w9", FloodConfig{}); err == nil {
		t.Error("a flood on an interface that is not there")
	}
	if _, err := b.NewSink("eth9", 1, 0); err == nil {
		t.Error("a sink on an interface that is not there")
	}
}

// BenchmarkFlood is generator, veth and sink on one CPU: the limit of what this lab can measure.
func BenchmarkFlood(b *testing.B) {
	l := LabForTest(b, TwoHosts())
	host := l.Host("b")
	flood, err := l.Gateway.NewFlood("w1", floodTo(host, 1000))
	must(b, err)
	sink, err := host.NewSink(host.Dev, 9999, 0)
	must(b, err)
	const frames = 1_000_000
	for b.Loop() {
		if sent, err := flood.Run(context.Background(), frames); err != nil || sent != frames {
			b.Fatal(sent, err)
		}
	}
	got, err := sink.Count()
	must(b, err)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(frames*b.N), "ns/frame")
	b.ReportMetric(float64(got.Packets)/float64(frames*b.N), "delivered")
}
