// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"testing"

	"bulkhead/dataplane/event"
	"bulkhead/testenv"
)

// pieces cuts a UDP datagram to a port into fragments.
func pieces(t *testing.T, v6 bool, dport uint16, id uint32) [][]byte {
	t.Helper()
	body := testenv.Bytes(make([]byte, 3000))
	var all [][]byte
	var err error
	if v6 {
		all, err = testenv.FragmentIPv6(testenv.Frame(testenv.Ether{}, testenv.IPv6{Src: web6, Dst: db6}, testenv.UDP{Src: 9, Dst: dport}, body), 1200, id)
	} else {
		all, err = testenv.FragmentIPv4(testenv.Frame(testenv.Ether{}, testenv.IPv4{Src: web4, Dst: db4, ID: uint16(id)}, testenv.UDP{Src: 9, Dst: dport}, body), 1200)
	}
	if err != nil || len(all) < 3 {
		t.Fatalf("%d fragments, %v: want at least 3", len(all), err)
	}
	return all
}

func TestFragmentsFollowTheirFirst(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		r := newRig(t, 1, defaults(), plainWire)
		r.publish(Drop, tierSets, webToDB)
		allowed := pieces(t, v6, 53, 1)
		if out := r.send(a, allowed...); len(out) != len(allowed) {
			t.Errorf("v6 %v: %d of %d fragments of an allowed datagram passed", v6, len(out), len(allowed))
		}
		denied := pieces(t, v6, 54, 2)
		if out := r.send(a, denied...); len(out) != 0 {
			t.Errorf("v6 %v: %d fragments of a denied datagram passed", v6, len(out))
		}
		orphans := pieces(t, v6, 53, 3)[1:]
		before := r.dropped(event.FragmentOrphan)
		if out := r.send(a, orphans...); len(out) != 0 || r.dropped(event.FragmentOrphan) != before+uint64(len(orphans)) {
			t.Errorf("v6 %v: %d orphans passed", v6, len(out))
		}
	}
}

func TestFragmentsOfOtherHostsAndDirectionsAreNotTakenForOurs(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	r.send(a, pieces(t, false, 53, 1)[0])
	for name, later := range map[string]testenv.IPv4{
		"another id":       {Src: web4, Dst: db4, ID: 2, Offset: 150, Proto: 17},
		"another protocol": {Src: web4, Dst: db4, ID: 1, Offset: 150, Proto: 6},
		"the way back":     {Src: db4, Dst: web4, ID: 1, Offset: 150, Proto: 17},
		"another source":   {Src: web4.Next(), Dst: db4, ID: 1, Offset: 150, Proto: 17},
	} {
		if len(r.send(a, testenv.Frame(testenv.Ether{}, later, testenv.Bytes("0123456789")))) != 0 {
			t.Errorf("a fragment with %s passed", name)
		}
	}
}

func TestFragmentThatReachesBackIntoTheFirstEndsTheDatagram(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	all := pieces(t, false, 53, 1)
	over := testenv.Frame(testenv.Ether{}, testenv.IPv4{Src: web4, Dst: db4, ID: 1, Offset: 1, MF: true, Proto: 17}, testenv.Bytes(make([]byte, 64)))
	if out := r.send(a, all[0], over, all[1], all[2]); len(out) != 1 {
		t.Errorf("%d fragments passed, want only the first", len(out))
	}
	if n := r.dropped(event.FragmentOverlap); n != 1 {
		t.Errorf("fragment_overlap counted %d, want 1", n)
	}
}

func TestSecondFirstFragmentCannotWidenTheVerdict(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	allowed, denied := pieces(t, false, 53, 1), pieces(t, false, 54, 1)
	r.send(a, denied[0])
	r.send(a, allowed[0])
	if out := r.send(a, denied[1]); len(out) != 0 {
		t.Error("a later fragment passed although one of two first fragments was denied")
	}
}

func TestFragmentTableForgetsTheOldestNotTheNewest(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	for id := range uint32(3 * fragmentSets * fragmentWays) {
		r.send(a, pieces(t, false, 53, id&0xffff)[0])
	}
	last := pieces(t, false, 53, 60000)
	if out := r.send(a, last...); len(out) != len(last) {
		t.Errorf("%d of %d fragments of the newest datagram passed", len(out), len(last))
	}
}

func TestLaterFragmentIsJudgedByThePolicyInForce(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	all := pieces(t, false, 53, 1)
	r.send(a, all[0])
	r.publish(Drop, tierSets, webToDB)
	if len(r.send(a, all[1])) != 1 {
		t.Error("a fragment was lost because a policy that allows it as well was published")
	}
	r.publish(Drop, tierSets)
	if len(r.send(a, all[2])) != 0 {
		t.Error("a fragment passed by a verdict of the old policy")
	}
}

// TestOptionsInFrontOfTheTransportHeaderCountForTheOverlap holds that where a
// first fragment ends is measured from where fragments are, not from the ports.
func TestOptionsInFrontOfTheTransportHeaderCountForTheOverlap(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	ip6 := testenv.IPv6{Src: web6, Dst: db6}
	whole := testenv.Frame(testenv.Ether{}, ip6, testenv.DestOpts(make([]byte, 6)...), testenv.UDP{Src: 9, Dst: 53}, testenv.Bytes(make([]byte, 3000)))
	all, err := testenv.FragmentIPv6(whole, 1200, 7)
	if err != nil {
		t.Fatal(err)
	}
	if out := r.send(a, all...); len(out) != len(all) {
		t.Errorf("%d of %d fragments passed", len(out), len(all))
	}
}
