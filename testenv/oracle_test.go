// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"
)

// counts leaves the times out of a comparison.
var counts = cmpopts.IgnoreFields(ClassReport{}, "MaxAge", "MaxGap")

func TestOracleCountsWhatShouldNotHappen(t *testing.T) {
	o := NewOracle(time.Second)
	allow, deny, change := o.Class("allow", MustPass), o.Class("deny", MustDrop), o.Class("change", MustPass)
	stamp := func(c *Class, n int) (packets [][]byte) {
		for range n {
			packets = append(packets, c.Stamp(50))
		}
		return packets
	}
	see := func(packets ...[]byte) {
		for _, p := range packets {
			if !o.See(Frame(Ether{}, Tag(9), IPv4{}, UDP{}, Bytes(p)), Now()) {
				t.Error("not recognised as the oracle's own")
			}
		}
	}
	p := stamp(allow, 6) // 0 lost, 4 before 3, 5 twice
	see(p[1], p[2], p[4], p[3], p[5], p[5])
	leaks := stamp(deny, 3)
	see(leaks[1])

	q := stamp(change, 1) // passes, as it must
	change.Expect(MayPass)
	r := stamp(change, 2) // one passes
	change.Expect(MustDrop)
	s := stamp(change, 2) // one leaks
	see(q[0], r[1], s[0])

	damaged := stamp(allow, 4)
	see(Patch(damaged[0], 49, damaged[0][49]^1), Patch(damaged[1], 24, 0xff), Patch(damaged[2], 35, 255))
	if !o.See(damaged[3], Now()+Instant(2*time.Second)) {
		t.Error("a bare payload is not recognised")
	}

	want := []ClassReport{
		{Class: "allow", Sent: 10, Received: 6, Lost: 4, Duplicated: 1, Reordered: 1, Corrupt: 3, TooOld: 1},
		{Class: "deny", Sent: 3, Received: 1, Leaked: 1},
		{Class: "change", Sent: 5, Received: 3, Leaked: 1},
	}
	if diff := cmp.Diff(want, o.Report(), counts); diff != "" {
		t.Error(diff)
	}
	verdict := o.Verdict()
	for _, part := range []string{"allow: sent 10 received 6 lost 4 duplicated 1 reordered 1 too-old 1 corrupt 3", "deny: sent 3 received 1 leaked 1", "change: "} {
		if verdict == nil || !strings.Contains(verdict.Error(), part) {
			t.Errorf("verdict %v, want %q in it", verdict, part)
		}
	}
}

func TestOracleKnowsItsOwnPackets(t *testing.T) {
	o, other := NewOracle(time.Second), NewOracle(time.Second)
	c := o.Class("c", MustPass)
	other.Class("c", MustPass)
	if other.See(c.Stamp(0), Now()) || other.Foreign() != 1 {
		t.Errorf("another oracle took the packet for its own; foreign %d", other.Foreign())
	}
	for _, b := range [][]byte{nil, []byte(stampMagic), bytes.Repeat([]byte{0}, 100)} {
		if o.See(b, Now()) {
			t.Errorf("%x taken for a test packet", b)
		}
	}
	if o.Verdict() == nil {
		t.Error("a packet that did not arrive is no fault")
	}
	if NewOracle(0).Verdict() != nil {
		t.Error("an oracle without classes finds a fault")
	}
}

func TestGapAndAgeAreMeasured(t *testing.T) {
	o := NewOracle(time.Hour)
	c := o.Class("c", MustPass)
	start := Now()
	for _, at := range []time.Duration{time.Second, 4 * time.Second, 5 * time.Second} {
		o.See(c.Stamp(0), start+Instant(at))
	}
	r := o.Report()[0]
	if r.MaxGap != 3*time.Second || r.MaxAge < 4*time.Second || r.MaxAge > 5*time.Second || !r.OK() {
		t.Errorf("%v", r)
	}
}

func FuzzOracle(f *testing.F) {
	o := NewOracle(time.Second)
	c := o.Class("c", MustPass)
	f.Add(c.Stamp(64), 3)
	f.Add(Frame(Ether{}, IPv4{}, UDP{}, Bytes(c.Stamp(64))), 60)
	f.Fuzz(func(t *testing.T, frame []byte, at int) {
		o.See(frame, Instant(at))
		if at >= 0 && at < len(frame) {
			o.See(Patch(c.Stamp(64), min(at, 63), frame[at]), Now()) // one byte of a good packet is another
		}
		if r := o.Report()[0]; r.Received > r.Sent || r.Lost+r.Received != r.Sent {
			t.Errorf("%v", r)
		}
	})
}

// faultyWire forwards what comes at one port to the other until stopped, as fault says.
func faultyWire(t *testing.T, l *Lab, fault func(number int, frame []byte) [][]byte) (stop func()) {
	in, out := RawForTest(t, l.Gateway, "w0"), RawForTest(t, l.Gateway, "w1")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for number := 0; ; number++ {
			got, err := in.Recv(ctx, func(f []byte) bool { return bytes.Contains(f, []byte(stampMagic)) })
			if err != nil {
				return
			}
			for _, f := range fault(number, got.Frame) {
				if err := out.Send(f); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func TestOracleOverAFaultyWire(t *testing.T) {
	const total = 4000
	l := LabForTest(t, TwoHosts())
	var held []byte
	stop := faultyWire(t, l, func(number int, frame []byte) [][]byte {
		switch {
		case number%100 == 5:
			return nil
		case number%100 == 15:
			return [][]byte{frame, frame}
		case number%100 == 25:
			held = frame
			return nil
		case number%100 == 27: // after the next of its class
			return [][]byte{frame, held}
		case frame[37] == 2 && number%1000 != 0: // port 2 is denied, with a leak
			return nil
		}
		return [][]byte{frame}
	})
	o := NewOracle(10 * time.Second)
	a, b := l.Host("a"), l.Host("b")
	in, out := RawForTest(t, a.NS, a.Dev), RawForTest(t, b.NS, b.Dev)
	stopHearing := o.Receive(out)
	stream := func(c *Class, port uint16) Stream {
		return Stream{Class: c, Size: 64, Frame: func(payload []byte) []byte {
			return Frame(Ether{Src: a.MAC, Dst: b.MAC}, IPv4{Src: a.IPv4, Dst: b.IPv4}, UDP{Src: 5, Dst: port}, Bytes(payload))
		}}
	}
	// Even numbers are denied, odd ones allowed: the faults above hit odd ones.
	must(t, o.Send(soon(t), in, 20_000, total, stream(o.Class("deny", MustDrop), 2), stream(o.Class("allow", MustPass), 1)))
	eventually(t, "all but the lost ones arrive", func() bool { return o.awaited() <= total/100 })
	stop()
	must(t, stopHearing())
	want := []ClassReport{
		{Class: "deny", Sent: total / 2, Received: total / 1000, Leaked: total / 1000},
		{Class: "allow", Sent: total / 2, Received: total/2 - total/100, Lost: total / 100,
			Duplicated: total / 100, Reordered: total / 100},
	}
	if diff := cmp.Diff(want, o.Report(), counts); diff != "" {
		t.Error(diff)
	}
}

func TestSendAndSettleHeedTheContext(t *testing.T) {
	l, in, _ := joined(t, TwoHosts())
	o := NewOracle(time.Millisecond)
	frame := func(payload []byte) []byte { return Frame(Ether{}, IPv4{}, UDP{}, Bytes(payload)) }
	s := Stream{Class: o.Class("never", MustPass), Frame: frame}
	if err := o.Send(brief(t), in, 10, 1_000_000, s); err == nil || o.Report()[0].Sent > 100 {
		t.Errorf("got %v after %d packets", err, o.Report()[0].Sent)
	}
	must(t, l.Unjoin())
	o.Settle(brief(t)) // returns although nothing arrives
	if err := o.Send(soon(t), in, 0, 1, s); err == nil {
		t.Error("a rate of 0 is accepted")
	}
}

func TestReceiverThatCannotBeTrustedSaysSo(t *testing.T) {
	_, in, out := joined(t, TwoHosts())
	o := NewOracle(time.Second)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	must(t, o.receive(ctx, out)) // nothing was dropped
	must(t, out.rc.Control(func(fd uintptr) {
		must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096))
	}))
	for range 100 {
		must(t, in.Send(Pad(Frame(Ether{}, IPv4{}), 1514)))
	}
	if err := o.receive(ctx, out); err == nil || !strings.Contains(err.Error(), "the receiver itself dropped") {
		t.Errorf("got %v, want that frames were dropped", err)
	}
	stop := o.Receive(out)
	must(t, out.Close())
	if err := stop(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v, want that the socket was closed", err)
	}
}
