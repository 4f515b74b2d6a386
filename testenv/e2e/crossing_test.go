// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// Frames of the tests go between MACs that no host has, so that the hosts look
// away.
var (
	macA = net.HardwareAddr{0x02, 0xe2, 0xe0, 0, 0, 0xa}
	macB = net.HardwareAddr{0x02, 0xe2, 0xe0, 0, 0, 0xb}
)

// The addresses of hosts a and b, which IP layers have by default.
var (
	addrA4, addrB4 = netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("198.18.0.2")
	addrA6, addrB6 = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
)

// Headers from a to b and from b to a.
var (
	toB4, toA4 = testenv.IPv4{}, testenv.IPv4{Src: addrB4, Dst: addrA4}
	toB6, toA6 = testenv.IPv6{}, testenv.IPv6{Src: addrB6, Dst: addrA6}
)

// fromA and fromB are frames from one of these MACs to the other.
func fromA(layers ...testenv.Layer) []byte { return between(macA, macB, layers) }
func fromB(layers ...testenv.Layer) []byte { return between(macB, macA, layers) }

func between(src, dst net.HardwareAddr, layers []testenv.Layer) []byte {
	return testenv.Frame(append([]testenv.Layer{testenv.Ether{Src: src, Dst: dst}}, layers...)...)
}

// ours says whether a frame is one of the tests', or an answer to one.
func ours(frame []byte) bool {
	return len(frame) >= 12 && (bytes.HasPrefix(frame, macA[:5]) || bytes.HasPrefix(frame[6:], macA[:5]))
}

// path is one way through a wire: what is sent at from is looked for at to.
type path struct {
	t        testing.TB
	from, to *testenv.RawConn
	in, out  []testenv.Layer // the tags that frames have there
}

// paths opens both ways between two hosts. Each has sockets of its own, so that
// none sees what the other has left over.
func (g *gate) paths(a, b string) (ab, ba *path) {
	g.t.Helper()
	return &path{t: g.t, from: g.end(a), to: g.end(b)}, &path{t: g.t, from: g.end(b), to: g.end(a)}
}

// end is a raw socket at a host's end of its cable.
func (g *gate) end(host string) *testenv.RawConn {
	g.t.Helper()
	h := g.lab.Host(host)
	return testenv.RawForTest(g.t, h.NS, h.Dev)
}

// cross sends frames and returns those of the tests that come out at the far
// end, in their order. A marker follows them, which passes by any policy:
// what has not come out when it does was dropped.
func (p *path) cross(frames ...[]byte) [][]byte {
	p.t.Helper()
	for _, f := range frames {
		must(p.t, p.from.Send(f))
	}
	id := fmt.Sprintf("%s%46d", markerText, rand.Uint64()) // long enough to need no padding
	must(p.t, p.from.Send(lldp(id, p.in...)))
	end := lldp(id, p.out...)
	var out [][]byte
	for {
		got, err := p.to.Recv(soon(p.t), ours)
		if err != nil {
			p.t.Fatalf("the marker did not come: %v", err)
		}
		if bytes.Equal(got.Frame, end) {
			return out
		}
		if !bytes.Contains(got.Frame, []byte(markerText)) { // else of another path
			out = append(out, got.Frame)
		}
	}
}

// markerText begins the text of markers.
const markerText = "marker "

// lldp is a frame of link control behind tags.
func lldp(text string, tags ...testenv.Layer) []byte {
	f := fromA(append(tags[:len(tags):len(tags)], testenv.Bytes(text))...)
	return testenv.Patch(f, 12+4*len(tags), 0x88, 0xcc)
}

// passes sends frames and wants to see these very bytes, in this order.
func (p *path) passes(frames ...[]byte) {
	p.t.Helper()
	if diff := cmp.Diff(hexes(frames), hexes(p.cross(frames...))); diff != "" {
		p.t.Errorf("what came out is not what was sent (-sent +came out):\n%s", diff)
	}
}

// drops sends frames and wants to see none of them.
func (p *path) drops(frames ...[]byte) {
	p.t.Helper()
	if got := p.cross(frames...); got != nil {
		p.t.Errorf("passed:\n%v", hexes(got))
	}
}

// passesAmongOthers and dropsAmongOthers do the same on a wire where other
// frames are on their way as well.
func (p *path) passesAmongOthers(frames ...[]byte) {
	p.t.Helper()
	if got := common(p.cross(frames...), frames); len(got) != len(frames) {
		p.t.Errorf("of\n%v\npassed\n%v", hexes(frames), hexes(got))
	}
}

func (p *path) dropsAmongOthers(frames ...[]byte) {
	p.t.Helper()
	if got := common(p.cross(frames...), frames); got != nil {
		p.t.Errorf("of\n%v\npassed\n%v", hexes(frames), hexes(got))
	}
}

// common is the frames that are in both lists.
func common(got, sent [][]byte) (both [][]byte) {
	for _, f := range got {
		if slices.ContainsFunc(sent, func(s []byte) bool { return bytes.Equal(f, s) }) {
			both = append(both, f)
		}
	}
	return both
}

func hexes(frames [][]byte) []string {
	all := make([]string, len(frames))
	for i, f := range frames {
		all[i] = hex.EncodeToString(f)
	}
	return all
}

// packet is a line of a table: what becomes of a frame from one side.
type packet struct {
	name  string
	from  string // a or b
	frame []byte
	want  string // the reason for which it is dropped; empty: it passes
}

// judges sends the packets one after the other and compares what becomes of
// them, and what the gateway has counted, with what the table wants.
func (g *gate) judges(packets []packet) {
	g.t.Helper()
	ab, ba := g.paths("a", "b")
	before := g.dropped()
	want := map[string]uint64{}
	for _, p := range packets {
		way := map[string]*path{"a": ab, "b": ba}[p.from]
		out := way.cross(p.frame)
		switch {
		case p.want != "" && out != nil:
			g.t.Errorf("%s: passed, want %s", p.name, p.want)
		case p.want == "" && (len(out) != 1 || !bytes.Equal(out[0], p.frame)):
			g.t.Errorf("%s: sent\n%x, came out\n%x; counters %v", p.name, p.frame, out, g.dropped())
		}
		if p.want != "" {
			want[p.from+" "+p.want]++
		}
	}
	g.counts(before, want)
}

// dropped is what the first wire has dropped, by side and reason.
func (g *gate) dropped() map[string]uint64 {
	g.t.Helper()
	w := g.wire()
	all := map[string]uint64{}
	for side, p := range map[string]api.Port{"a": w.A, "b": w.B} {
		for reason, n := range p.Dropped {
			all[side+" "+reason] = n
		}
	}
	return all
}

// counts waits until the gateway has counted what was dropped since before.
func (g *gate) counts(before, want map[string]uint64) {
	g.t.Helper()
	since := func() map[string]uint64 {
		now := g.dropped()
		for k, n := range before {
			now[k] -= n
		}
		maps.DeleteFunc(now, func(_ string, n uint64) bool { return n == 0 })
		return now
	}
	eventually(g.t, "the counters are as wanted", func() bool { return maps.Equal(since(), want) },
		func() any { return cmp.Diff(want, since()) })
}
