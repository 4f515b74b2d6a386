// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"bulkhead/testenv"
)

// Ports of b: the policy allows one and denies the other.
const (
	portAllowed = 53
	portDenied  = 54
)

// form is a way of writing a UDP datagram to b's port, in one frame or several.
type form func(port uint16, data string) [][]byte

// forms are ways that a filter and a host may read differently: what the host
// takes for a datagram to a denied port, the gateway must have taken for one as
// well (VU#855201, RFC 1858, RFC 5722, RFC 7112).
func forms(src, dst net.HardwareAddr) map[string]form {
	frame := func(layers ...testenv.Layer) []byte { return between(src, dst, layers) }
	one := func(port uint16, data string, layers ...testenv.Layer) [][]byte {
		return [][]byte{frame(append(layers, testenv.UDP{Src: 9, Dst: port}, testenv.Bytes(data))...)}
	}
	behind := func(layers ...testenv.Layer) form {
		return func(port uint16, data string) [][]byte { return one(port, data, layers...) }
	}
	tag0, stag0, qinq0 := testenv.Tag(0), testenv.STag(0), testenv.VLAN{TPID: 0x9100}
	all := map[string]form{
		"plain":            behind(toB4),
		"plain v6":         behind(toB6),
		"a priority tag":   behind(tag0, toB4),
		"two":              behind(tag0, tag0, toB4),
		"three":            behind(tag0, tag0, tag0, toB6),
		"a service tag":    behind(stag0, toB4),
		"both tags":        behind(stag0, tag0, toB6),
		"an old QinQ tag":  behind(qinq0, toB4),
		"SNAP":             behind(testenv.SNAP{}, toB4),
		"SNAP v6":          behind(testenv.SNAP{}, toB6),
		"SNAP and tag":     behind(tag0, testenv.SNAP{}, toB4),
		"tag in SNAP":      behind(testenv.SNAP{}, tag0, toB4),
		"bridge tunnel":    behind(testenv.SNAP{OUI: [3]byte{0, 0, 0xf8}}, toB4),
		"options":          behind(testenv.IPv4{Options: []byte{1, 1, 1, 1}}),
		"router alert":     behind(testenv.IPv4{Options: []byte{148, 4, 0, 0}}),
		"source route":     behind(testenv.IPv4{Options: []byte{131, 3, 4}}),
		"hop-by-hop":       behind(toB6, testenv.HopByHop()),
		"destination opts": behind(toB6, testenv.DestOpts()),
		"nine headers":     behind(slices.Concat([]testenv.Layer{toB6}, slices.Repeat([]testenv.Layer{testenv.DestOpts()}, 9))...),
		"routing, type 0":  behind(toB6, testenv.Routing(0)),
		"routing, type 2":  behind(toB6, testenv.Routing(2)),
		"routing, type 4":  behind(toB6, testenv.Routing(4)),
		"atomic fragment":  behind(toB6, testenv.Fragment6{ID: 1}),
		"two of these":     behind(toB6, testenv.Fragment6{ID: 1}, testenv.Fragment6{ID: 2}),
		"hop-by-hop late":  behind(toB6, testenv.DestOpts(), testenv.HopByHop()),
	}
	all["padding"] = func(port uint16, data string) [][]byte { return [][]byte{testenv.Pad(one(port, data, toB4)[0], 1000)} }
	maps.Copy(all, fragmentForms(frame))
	return all
}

// fragmentForms are those that take several frames. Every datagram has an
// identification of its own, unless the form is about that.
func fragmentForms(frame func(...testenv.Layer) []byte) map[string]form {
	id := uint16(0)
	// cut4 and cut6 split the datagram into pieces of that size.
	cut4 := func(size int, port uint16, data string) [][]byte {
		whole := frame(testenv.IPv4{ID: id}, testenv.UDP{Src: 9, Dst: port}, testenv.Bytes(data))
		frames, _ := testenv.FragmentIPv4(whole, size) // it is long enough
		return frames
	}
	cut6 := func(size int, port uint16, data string) [][]byte {
		whole := frame(toB6, testenv.UDP{Src: 9, Dst: port}, testenv.Bytes(data))
		frames, _ := testenv.FragmentIPv6(whole, size, uint32(id))
		return frames
	}
	type cutter func(size int, port uint16, data string) [][]byte
	all := map[string]form{}
	add := func(name string, write func(cut cutter, port uint16, data string) [][]byte) {
		all[name] = func(port uint16, data string) [][]byte { id++; return write(cut4, port, data) }
		all[name+" v6"] = func(port uint16, data string) [][]byte { id++; return write(cut6, port, data) }
	}
	add("fragments", func(cut cutter, p uint16, d string) [][]byte { return cut(16, p, d) })
	add("ports alone", func(cut cutter, p uint16, d string) [][]byte { return cut(8, p, d) })
	add("last first", func(cut cutter, p uint16, d string) [][]byte {
		frames := cut(16, p, d)
		slices.Reverse(frames)
		return frames
	})
	add("another first", func(cut cutter, p uint16, d string) [][]byte {
		return slices.Concat(cut(16, portAllowed, d)[:1], cut(16, p, d))
	})
	add("another first, then the first", func(cut cutter, p uint16, d string) [][]byte {
		return slices.Concat(cut(16, p, d)[1:], cut(16, portAllowed, d)[:1], cut(16, p, d)[:1])
	})
	add("the ID of an allowed one", func(cut cutter, p uint16, d string) [][]byte {
		return slices.Concat(cut(16, portAllowed, "allowed, "+d), cut(16, p, d))
	})
	all["ports in the second"] = func(p uint16, d string) [][]byte {
		id++
		udp := string(testenv.Frame(toB6, testenv.UDP{Src: 9, Dst: p}, testenv.Bytes(d))[40:])
		return [][]byte{
			frame(toB6, testenv.Fragment6{ID: uint32(id), More: true, Next: 60}, testenv.Bytes("\x11\x00\x01\x04\x00\x00\x00\x00")),
			frame(toB6, testenv.Fragment6{ID: uint32(id), Offset: 1, Next: 60}, testenv.Bytes(udp)),
		}
	}
	return all
}

// mailbox is what has arrived at a host's UDP port.
type mailbox struct {
	mu   sync.Mutex
	seen map[string]bool // guarded by mu
}

func openMailbox(t testing.TB, h *testenv.Host, port uint16) *mailbox {
	t.Helper()
	c := get(h.ListenPacket("udp", fmt.Sprintf(":%d", port)))(t)
	m := &mailbox{seen: map[string]bool{}}
	go func() {
		buf := make([]byte, 2000)
		for {
			n, _, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			m.mu.Lock()
			m.seen[string(bytes.TrimRight(buf[:n], "."))] = true
			m.mu.Unlock()
		}
	}()
	return m
}

// names is what has arrived in a round.
func (m *mailbox) names(round string) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for data := range m.seen {
		if name, ok := strings.CutPrefix(data, round); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// TestNoFormGetsADeniedDatagramToTheHost sends every form to the denied port of a
// real host, and for comparison with a bridge in the gateway's place.
func TestNoFormGetsADeniedDatagramToTheHost(t *testing.T) {
	g := prepare(t, setup{policy: anyRule(`"dns"`, "[service.dns]", "udp = [53]")})
	a, b := g.lab.Host("a"), g.lab.Host("b")
	denied, allowed := openMailbox(t, b, portDenied), openMailbox(t, b, portAllowed)
	all, from := forms(a.MAC, b.MAC), g.end("a")
	send := func(round string, port uint16) {
		t.Helper()
		for name, write := range all {
			data := round + name
			for _, frame := range write(port, data+strings.Repeat(".", 80-len(data))) {
				must(t, from.Send(frame))
			}
		}
		must(t, from.Send(all["plain"](portAllowed, round+"end")[0]))
		eventually(t, "the last datagram arrives", func() bool { return slices.Contains(allowed.names(round), "end") })
	}
	must(t, g.lab.Join())
	send("bridge: ", portDenied)
	understood := denied.names("bridge: ")
	t.Logf("the host understands %q", understood)
	if len(understood) < 20 {
		t.Errorf("of %d forms, the host understands only %d", len(all), len(understood))
	}
	must(t, g.lab.Unjoin())

	g.run()
	send("gateway: ", portDenied)
	if passed := denied.names("gateway: "); len(passed) > 0 {
		t.Errorf("to the denied port of the host got %q", passed)
	}
	send("gateway, allowed: ", portAllowed)
	passed := allowed.names("gateway, allowed: ")
	t.Logf("of the allowed ones the host got %q", passed)
	for _, ordinary := range []string{
		"plain", "plain v6", "padding", "a priority tag", "options", "hop-by-hop", "destination opts", "atomic fragment",
		"fragments", "fragments v6",
	} {
		if !slices.Contains(passed, ordinary) {
			t.Errorf("to the allowed port, %s did not pass", ordinary)
		}
	}
}
