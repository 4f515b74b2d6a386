// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"bytes"
	"testing"
	"time"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
	"bulkhead/testenv"
)

// TestTagOfThePortsIsRewrittenPutOnOrTakenOff holds the ways in which a frame
// changes its VLAN, and that nothing else of it changes.
func TestTagOfThePortsIsRewrittenPutOnOrTakenOff(t *testing.T) {
	frame := func(tags ...testenv.Layer) []byte {
		l := append([]testenv.Layer{testenv.Ether{}}, tags...)
		return testenv.Frame(append(l, testenv.IPv4{}, testenv.UDP{Src: 1, Dst: 2}, testenv.Bytes("payload"))...)
	}
	for name, c := range map[string]struct {
		wire    Wire
		in, out []byte
	}{
		"tags of others stay":      {plainWire, frame(testenv.STag(7), testenv.Tag(8)), frame(testenv.STag(7), testenv.Tag(8))},
		"rewritten, priority kept": {Wire{Name: "w", A: Port{"t", 10}, B: Port{"t", 20}}, frame(testenv.VLAN{ID: 10, Priority: 5, DEI: true}), frame(testenv.VLAN{ID: 20, Priority: 5, DEI: true})},
		"rewritten, inner kept":    {Wire{Name: "w", A: Port{"t", 10}, B: Port{"u", 20}}, frame(testenv.Tag(10), testenv.Tag(10)), frame(testenv.Tag(20), testenv.Tag(10))},
		"put on":                   {Wire{Name: "w", A: Port{"a0", 0}, B: Port{"b0", 20}}, frame(), frame(testenv.Tag(20))},
		"put on around another":    {Wire{Name: "w", A: Port{"a0", 0}, B: Port{"b0", 20}}, frame(testenv.Tag(3)), frame(testenv.Tag(20), testenv.Tag(3))},
		"taken off":                {Wire{Name: "w", A: Port{"a0", 20}, B: Port{"b0", 0}}, frame(testenv.Tag(20)), frame()},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 1, defaults(), c.wire)
			r.publish(Drop, nil, anything)
			out := r.send(a, c.in)
			if c.wire.A.Interface == c.wire.B.Interface { // one cable: what came in and went out
				out = r.edge(0, 0, 0).out
			}
			if len(out) != 1 || !bytes.Equal(out[0], c.out) {
				t.Errorf("got  %x\nwant %x", out, c.out)
			}
		})
	}
}

func TestFrameOfNobodysVLANIsDroppedAndCounted(t *testing.T) {
	r := newRig(t, 1, defaults(), Wire{Name: "w", A: Port{"t", 10}, B: Port{"t", 20}})
	r.publish(Drop, nil, anything)
	r.send(a, testenv.Frame(testenv.Ether{}, testenv.Tag(30), testenv.IPv4{}, testenv.UDP{}), testenv.Frame(testenv.Ether{}, testenv.IPv4{}, testenv.UDP{}))
	if n := r.dropped(event.VLANUnknown); n != 2 {
		t.Errorf("%d frames of no port counted, want 2", n)
	}
}

func TestFullWayOutDropsAndGivesFramesBack(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Forward, nil)
	r.edge(0, 0, b).room = 3
	var frames [][]byte
	for p := range uint16(10) {
		frames = append(frames, udp(web4, db4, 100+p, 53))
	}
	if out := r.send(a, frames...); len(out) != 3 { // send fails if a frame is not given back
		t.Errorf("%d frames passed through room for 3", len(out))
	}
	if c := r.tallyOf(0, a); c.forwarded.Frames != 3 || c.dropped[event.TXFull] != 7 || c.received.Frames != 10 {
		t.Errorf("counted %d received, %d forwarded, %d tx_full", c.received.Frames, c.forwarded.Frames, c.dropped[event.TXFull])
	}
}

func TestReceivedIsForwardedAndDroppedToTheFrame(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Drop, tierSets, webToDB)
	mixed := [][]byte{
		udp(web4, db4, 1, 53), udp(web4, db4, 1, 54), tcp(web4, db4, 1, 5432, syn), tcp(web4, db4, 2, 5432, ack),
		testenv.Frame(testenv.Ether{}, testenv.ARP{}), {1, 2, 3}, testenv.Frame(testenv.Ether{Type: 0x1234}, testenv.Bytes("x")),
		echo(web4, db4, 8, 1), echo(web4, db4, 0, 1), testenv.Frame(testenv.Ether{}, testenv.IPv4{BadChecksum: true}, testenv.UDP{}),
	}
	out := r.send(a, mixed...)
	c := r.tallyOf(0, a)
	if c.received.Frames != uint64(len(mixed)) || c.forwarded.Frames != uint64(len(out)) ||
		c.received.Frames != c.forwarded.Frames+sum(c.dropped[:]) {
		t.Errorf("received %d, forwarded %d (seen %d), dropped %d", c.received.Frames, c.forwarded.Frames, len(out), sum(c.dropped[:]))
	}
	var bytes uint64
	for _, f := range out {
		bytes += uint64(len(f))
	}
	if c.forwarded.Bytes != bytes {
		t.Errorf("forwarded %d bytes, seen %d", c.forwarded.Bytes, bytes)
	}
}

func TestRejectAnswersOutOfThePortThatThePacketCameByAndNotForEver(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	reject := anything
	reject.Verdict = classifier.Verdict(Reject)
	r.publish(Drop, nil, reject)
	in := r.edge(0, 0, a)
	if out := r.send(a, tcp(web4, db4, 40000, 22, syn)); len(out) != 0 {
		t.Fatal("a rejected packet passed")
	}
	if len(in.out) != 1 {
		t.Fatalf("%d answers, want 1", len(in.out))
	}
	var info packet.Info
	packet.Parse(in.out[0], &info)
	if info.Outcome != packet.IP || info.TCPFlags&rst == 0 || info.Dst != packet.AddrFrom(web4) || info.DstPort != 40000 {
		t.Errorf("the answer is not a reset to the sender: %+v", info)
	}
	for p := range uint16(500) {
		r.send(a, udp(web4, db4, p, 99))
	}
	c := r.tallyOf(0, a)
	if c.answered < 2 || c.answered > 2*answerBurst {
		t.Errorf("%d answers to 501 packets of one source at once, want no more than about %d", c.answered, answerBurst)
	}
	if c.dropped[event.Rejected] != 501 {
		t.Errorf("rejected counted %d, want 501", c.dropped[event.Rejected])
	}
	if len(r.send(a, tcp(web4, db4, 1, 2, rst))) != 0 {
		t.Error("a reset of no flow passed")
	}
}

func TestNothingIsSentToAPortThatIsDown(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Forward, nil)
	r.wires[0].ports[b].iface.down.Store(true)
	if out := r.send(a, udp(web4, db4, 1, 53)); len(out) != 0 || r.dropped(event.TXDown) != 1 {
		t.Error("a frame was handed to a port without carrier, or not counted as tx_down")
	}
	r.wires[0].ports[b].iface.down.Store(false)
	if out := r.send(a, udp(web4, db4, 1, 53)); len(out) != 1 {
		t.Error("a frame did not pass after the port came back")
	}
}

func TestOnlyFramesWithAnIEEE8021QTagBelongToAVLANPort(t *testing.T) {
	r := newRig(t, 1, defaults(), Wire{Name: "w", A: Port{"a0", 10}, B: Port{"b0", 0}})
	r.publish(Forward, nil)
	for tpid, pass := range map[uint16]bool{0x8100: true, 0x88a8: false, 0x9100: false} {
		frame := testenv.Frame(testenv.Ether{}, testenv.VLAN{ID: 10, TPID: tpid}, testenv.IPv4{}, testenv.UDP{})
		if got := len(r.send(a, frame)) == 1; got != pass {
			t.Errorf("TPID %04x: passed %v", tpid, got)
		}
	}
}

func TestFramesThatWaitedForAHungWorkerAreDropped(t *testing.T) {
	r := newRig(t, 1, defaults(), plainWire)
	r.publish(Forward, nil)
	r.send(a, udp(web4, db4, 1, 53))
	r.conf.BeatLimit = time.Nanosecond // every pause is too long now
	if out := r.send(a, udp(web4, db4, 1, 53)); len(out) != 0 || r.dropped(event.Stale) != 1 {
		t.Error("a frame that waited for longer than the beat limit passed, or was not counted as stale")
	}
}
