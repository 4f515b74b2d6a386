// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"slices"
	"testing"

	"bulkhead/testenv"
)

// pieces splits a frame with an IP packet into fragments of 512 bytes.
func pieces(t testing.TB, frame []byte, id uint32) [][]byte {
	t.Helper()
	if frame[12] == 0x86 { // IPv6
		return get(testenv.FragmentIPv6(frame, 512, id))(t)
	}
	return get(testenv.FragmentIPv4(frame, 512))(t)
}

// datagrams is a long datagram to a port of b, of each IP version.
func datagrams(t testing.TB, port, id uint16) [][]byte {
	t.Helper()
	udp := []testenv.Layer{testenv.UDP{Src: 5000, Dst: port}, testenv.Bytes(random(t, 2000))}
	return [][]byte{
		fromA(append([]testenv.Layer{testenv.IPv4{ID: id}}, udp...)...),
		fromA(append([]testenv.Layer{toB6}, udp...)...),
	}
}

func TestBigPingsPassInFragments(t *testing.T) {
	g := start(t, setup{policy: threeWays})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	for _, to := range both(b, 0) {
		_, err := a.Ping(soon(t), to.Addr(), testenv.PingConfig{Count: 3, Size: 8000})
		must(t, err)
	}
	get(b.ServeUDPEcho(53))(t)
	for _, to := range both(b, 53) {
		for _, size := range []int{1473, 8000, 60000} {
			must(t, a.EchoUDP(soon(t), to, random(t, size)))
		}
	}
}

func TestFragmentsPassOrDropWithTheirFirst(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	for _, frame := range datagrams(t, 53, 1) {
		ab.passes(pieces(t, frame, 1)...)
	}
	for _, frame := range datagrams(t, 54, 2) {
		ab.drops(pieces(t, frame, 2)...)
	}
	v4 := fromA(testenv.IPv4{ID: 3}, testenv.ICMP{Type: 8, ID: 3}, testenv.Bytes(random(t, 2000)))
	v6 := fromA(toB6, testenv.ICMPv6{Type: 128, ID: 3}, testenv.Bytes(random(t, 2000)))
	for _, frame := range [][]byte{v4, v6} {
		ab.passes(pieces(t, frame, 3)...)
	}
}

func TestFragmentsWithoutAFirstDrop(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	for i, frame := range datagrams(t, 53, 4) {
		all := pieces(t, frame, 4)
		ab.drops(all[1:]...)
		ab.passes(all[0]) // late, but then the rest may follow
		ab.passes(all[1:]...)
		other := pieces(t, datagrams(t, 53, 5)[i], 5)
		ab.drops(other[1:]...) // the first of another datagram stands for nothing
	}
}

func TestOverlappingFragmentsDropTheDatagram(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	first := pieces(t, datagrams(t, 53, 6)[0], 6)
	back := fromA(testenv.IPv4{ID: 6, Offset: 63, Proto: 17}, testenv.Bytes(random(t, 504))) // by 8 bytes
	ab.passes(first[0])
	ab.drops(back)
	ab.drops(first[1:]...)
	first = pieces(t, datagrams(t, 53, 0)[1], 7)
	back6 := fromA(toB6, testenv.Fragment6{ID: 7, Offset: 63, More: true, Next: 17}, testenv.Bytes(random(t, 504)))
	ab.passes(first[0])
	ab.drops(back6)
	ab.drops(first[1:]...)
}

func TestFragmentsThatHideTheirPortsDrop(t *testing.T) {
	g := quiet(t, setup{policy: allowAll})
	tcp := string(testenv.Frame(toB4, testenv.TCP{Src: 5, Dst: 80, Flags: testenv.SYN})[20:])
	g.judges([]packet{
		{"eight bytes of TCP", "a", fromA(testenv.IPv4{ID: 1, MF: true, Proto: 6}, testenv.Bytes(tcp[:8])), "fragment_tiny"},
		{"the flags come later", "a", fromA(testenv.IPv4{ID: 1, Offset: 1, Proto: 6}, testenv.Bytes(tcp[8:])), "fragment_tiny"},
		{"eight bytes of TCP in v6", "a", fromA(toB6, testenv.Fragment6{ID: 1, More: true, Next: 6}, testenv.Bytes(tcp[:8])), "fragment_tiny"},
		{"two fragment headers", "a", fromA(toB6, testenv.Fragment6{ID: 2, More: true}, testenv.Fragment6{ID: 3, More: true, Next: 17}, testenv.Bytes(tcp[:16])), "ipv6_fragments"},
		{"beyond 65,535 bytes", "a", fromA(testenv.IPv4{ID: 4, Offset: 8191, Proto: 17}, testenv.Bytes(tcp)), "fragment_long"},
		{"ports behind a chain in another fragment", "a", fromA(toB6, testenv.Fragment6{ID: 5, More: true, Next: 60}, testenv.Bytes("\x11\x02123456")), "fragment_tiny"},
		{"an atomic fragment is whole", "a", fromA(toB6, testenv.Fragment6{ID: 6}, testenv.UDP{Src: 1, Dst: 2}), ""},
	})
}

// TestRevokedDatagramEndsBetweenItsFragments: a later fragment is judged by
// the policy in force, too.
func TestRevokedDatagramEndsBetweenItsFragments(t *testing.T) {
	g := quiet(t, setup{policy: threeWays})
	ab, _ := g.paths("a", "b")
	frames := datagrams(t, 53, 9)
	var rest [][]byte
	for _, frame := range frames {
		all := pieces(t, frame, 9)
		ab.passes(all[0])
		rest = append(rest, all[1:]...)
	}
	g.apply(threeWays + "# the same again\n")
	half := len(rest) / 2
	ab.passes(slices.Concat(rest[:1], rest[half:half+1])...)
	g.apply(denyAll)
	ab.drops(rest...)
}
