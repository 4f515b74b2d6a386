// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"net/netip"
	"testing"
	"time"

	"bulkhead/testenv"
)

// TestRejectionsAreFewForEachSource floods rejected ports: the gateway's own
// packets are bounded, and one source's flood leaves the others their answers.
func TestRejectionsAreFewForEachSource(t *testing.T) {
	g := quiet(t, setup{policy: `default = "deny"
[[rule]]
name = "no"
from = "any"
to = "any"
services = ["any"]
action = "reject"`})
	ab, ba := g.paths("a", "b") // ba sees what comes back to a
	began := time.Now()
	const asked = 400
	for port := range uint16(asked) {
		ab.drops(fromA(toB4, testenv.UDP{Src: 1000 + port, Dst: 514}))
	}
	answers := len(ba.cross())
	const burst, perSecond = 20, 10
	if most := burst + perSecond*int(time.Since(began)/time.Second+1); answers < burst/2 || answers > most {
		t.Errorf("%d answers to %d packets of one source within %v, want up to %d", answers, asked, time.Since(began), most)
	}
	ab.drops(fromA(testenv.IPv4{Src: netip.MustParseAddr("198.18.0.77")}, testenv.UDP{Src: 1, Dst: 514}))
	if n := len(ba.cross()); n != 1 {
		t.Errorf("%d answers to another source, want 1", n)
	}
	if n := g.wire().A.Answered; n != uint64(answers+1) {
		t.Errorf("the gateway says that it answered %d times, %d answers came", n, answers+1)
	}
}

// TestRejectionsAnswerOnlyWhatMayBeAnswered: RFC 1122 and RFC 4443.
func TestRejectionsAnswerOnlyWhatMayBeAnswered(t *testing.T) {
	g := quiet(t, setup{policy: `default = "deny"
[[rule]]
name = "no"
from = "any"
to = "any"
services = ["any"]
action = "reject"`})
	ab, ba := g.paths("a", "b") // ba sees what comes back to a
	group := testenv.IPv4{Dst: netip.MustParseAddr("239.1.2.3")}
	for name, c := range map[string]struct {
		frame   []byte
		answers int
	}{
		"udp":                 {fromA(toB4, testenv.UDP{Dst: 9}), 1},
		"udp in v6":           {fromA(toB6, testenv.UDP{Dst: 9}), 1},
		"udp behind a tag":    {fromA(testenv.Tag(10), toB4, testenv.UDP{Dst: 9}), 1},
		"syn":                 {fromA(toB4, testenv.TCP{Src: 5, Dst: 9, Flags: testenv.SYN}), 1},
		"echo request":        {fromA(toB4, testenv.ICMP{Type: 8}), 1},
		"rst":                 {fromA(toB4, testenv.TCP{Src: 6, Dst: 9, Flags: testenv.RST}), 0},
		"ack of no flow":      {fromA(toB4, testenv.TCP{Src: 7, Dst: 9, Flags: testenv.ACK}), 0},
		"icmp error":          {fromA(toB4, testenv.ICMP{Type: 3}, testenv.IPv4{Src: addrB4, Dst: addrA4}, testenv.UDP{}), 0},
		"first fragment":      {fromA(testenv.IPv4{MF: true}, testenv.UDP{Dst: 9}, testenv.Bytes("fragment")), 0},
		"group":               {fromA(group, testenv.UDP{Dst: 9}), 0},
		"broadcast":           {testenv.Frame(testenv.Ether{Src: macA, Dst: testenv.Broadcast}, toB4, testenv.UDP{Dst: 9}), 0},
		"from nobody":         {fromA(testenv.IPv4{Src: netip.IPv4Unspecified()}, testenv.UDP{Dst: 9}), 0},
		"unknown ethertype":   {fromA(testenv.Bytes("what is this")), 0},
		"wrong IPv4 checksum": {fromA(testenv.IPv4{BadChecksum: true}, testenv.UDP{Dst: 9}), 0},
	} {
		ab.drops(c.frame)
		if got := ba.cross(); len(got) != c.answers {
			t.Errorf("%s: answers %v, want %d", name, hexes(got), c.answers)
		}
	}
}
