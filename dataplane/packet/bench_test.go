// SPDX-License-Identifier: Apache-2.0

package packet

import "testing"

// BenchmarkParse parses one frame again and again. The target is under 15 ns
// for IPv4, checksum included.
func BenchmarkParse(b *testing.B) {
	frames := []struct {
		name  string
		frame []byte
	}{
		{"tcp4", tcp4Frame()},
		{"udp4", udp4Frame()},
		{"tcp6", tcp6Frame()},
		{"udp6", udp6Frame()},
		{"vlan_tcp4", vlanFrame()},
		{"qinq_udp6", build(eth(0x88a8), tag(200, 0x8100), tag(100, 0x86dd), ip6(hostA6, hostB6, 17), udp(1, 53))},
		{"snap_udp4", build(eth802(macB), snap("000000", 0x0800), ip4(hostA4, hostB4, 17), udp(1, 53))},
		{"echo4", build(eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 7), zeros(48))},
		{"error4", build(eth(0x0800), ip4(hostB4, hostA4, 1), icmp(3, 1, 0), ip4(hostA4, hostB4, 17), udp(1, 53))},
		{"fragment4", build(eth(0x0800), ip4(hostA4, hostB4, 17, fragment(1480, true)), zeros(1480))},
		{"dest_options6", build(eth(0x86dd), ip6(hostA6, hostB6, 60), extension(6, 8), tcp(1, 443, FlagACK))},
		{"arp", build(eth(0x0806), zeros(46))},
	}
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			var info Info
			for b.Loop() {
				Parse(f.frame, &info)
			}
		})
	}
}

// BenchmarkParseMix parses a batch in which the kinds of frame change, so that
// the branches cannot be foretold: nearer to life than one frame repeated.
func BenchmarkParseMix(b *testing.B) {
	kinds := [][]byte{tcp4Frame(), udp4Frame(), tcp4Frame(), tcp6Frame(), udp6Frame(), vlanFrame(), tcp4Frame()}
	var batch [64][]byte
	seed := uint32(1)
	for i := range batch {
		seed = seed*1664525 + 1013904223
		batch[i] = kinds[seed>>8%uint32(len(kinds))]
	}
	b.ReportAllocs()
	var info Info
	i := 0
	for b.Loop() {
		Parse(batch[i&63], &info)
		i++
	}
}

func BenchmarkKey(b *testing.B) {
	frames := []struct {
		name  string
		frame []byte
	}{
		{"tcp4", tcp4Frame()},
		{"tcp6", tcp6Frame()},
		{"echo4", build(eth(0x0800), ip4(hostA4, hostB4, 1), icmp(8, 0, 7))},
	}
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			var info Info
			Parse(f.frame, &info)
			var k Key
			var sink uint64
			for b.Loop() {
				sink += uint64(info.FillKey(&k, 1)) + k.A.Lo
			}
			_ = sink
		})
	}
}

func BenchmarkAnswer(b *testing.B) {
	frames := []struct {
		name  string
		frame []byte
	}{
		{"tcp4", tcp4Frame()},
		{"udp4", udp4Frame()},
		{"tcp6", tcp6Frame()},
		{"udp6", udp6Frame()},
	}
	for _, f := range frames {
		b.Run(f.name, func(b *testing.B) {
			b.ReportAllocs()
			var info Info
			var out [MaxAnswer]byte
			Parse(f.frame, &info)
			for b.Loop() {
				if Answer(f.frame, &info, out[:]) == 0 {
					b.Fatal("no answer")
				}
			}
		})
	}
}
