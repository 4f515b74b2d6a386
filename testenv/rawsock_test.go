// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// joined is two hosts with nothing but a bridge between them, and their raw sockets.
func joined(t *testing.T, cfg LabConfig) (l *Lab, a, b *RawConn) {
	t.Helper()
	l = LabForTest(t, cfg)
	must(t, l.Join())
	return l, RawForTest(t, l.Host("a").NS, hostDev), RawForTest(t, l.Host("b").NS, hostDev)
}

func TestFramesArriveBitForBit(t *testing.T) {
	cfg := TwoHosts()
	cfg.ExactCapture = true
	_, a, b := joined(t, cfg)
	frames := map[string][]byte{
		"shortest":            Frame(Ether{}),
		"longest":             Pad(Frame(Ether{}, IPv4{}), 1514),
		"longest with a tag":  Pad(Frame(Ether{}, Tag(1), IPv4{}), 1518),
		"priority tag":        Frame(Ether{}, VLAN{Priority: 7}, IPv4{}, UDP{}),
		"tag 4095":            Frame(Ether{}, VLAN{ID: 4095, DEI: true}, IPv4{}, UDP{}),
		"old QinQ":            Frame(Ether{}, VLAN{ID: 5, TPID: 0x9100}, IPv4{}, UDP{}),
		"service tag":         Frame(Ether{}, STag(5), IPv4{}, UDP{}),
		"shortest with a tag": Frame(Ether{}, Tag(5), Bytes("\x08\x00")),
		"length":              Frame(Ether{}, LLC{0x42, 0x42, 3}, Bytes("abc")),
		"snap":                Frame(Ether{}, SNAP{}, IPv4{}, UDP{}),
		"lldp":                Frame(Ether{Dst: []byte{1, 0x80, 0xc2, 0, 0, 0x0e}, Type: 0x88cc}, Bytes("x")),
		"stp":                 Frame(Ether{Dst: []byte{1, 0x80, 0xc2, 0, 0, 0}}, LLC{0x42, 0x42, 3}),
		"bad checksums":       Frame(Ether{}, IPv4{BadChecksum: true}, TCP{BadChecksum: true}),
		"broadcast":           Frame(Ether{Dst: Broadcast}, ARP{}),
	}
	for _, tc := range judged {
		frames[tc.name] = Frame(tc.layers...)
	}
	for name, frame := range frames {
		must(t, a.Send(frame))
		if err := b.RecvFrame(frame, 10*time.Second); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSegmentsAreNotMergedBeforeTheyAreSeen(t *testing.T) {
	cfg := TwoHosts()
	cfg.ExactCapture = true
	l, _, b := joined(t, cfg)
	server, err := l.Host("b").ServeTCPEcho(7)
	must(t, err)
	defer server.Close()
	must(t, l.Host("a").EchoTCP(soon(t), netip.AddrPortFrom(l.Host("b").IPv4, 7), make([]byte, 1<<20)))
	frames, err := b.Collect(brief(t), nil)
	must(t, err)
	if len(frames) < 1<<20/1460 {
		t.Errorf("only %d frames for 1 MiB", len(frames))
	}
	for _, f := range frames {
		if len(f.Frame) > 1514 {
			t.Fatalf("a frame of %d bytes", len(f.Frame))
		}
	}
}

func TestFramesArriveInTheirOrder(t *testing.T) {
	cfg := TwoHosts()
	cfg.ExactCapture = true
	l, a, b := joined(t, cfg)
	holdInGRO(t, l.Host("b"))
	nobody := Ether{Src: []byte{2, 0, 0, 0, 0, 1}, Dst: []byte{2, 0, 0, 0, 0, 2}} // so that no host answers
	for i := range uint32(1000) {
		// GRO would keep the segment for the next of its flow, and let the other frame pass.
		must(t, a.Send(Frame(nobody, IPv4{}, TCP{Seq: 8 * i, Flags: ACK}, Bytes("12345678"))))
		must(t, a.Send(Frame(nobody, Bytes(be32(nil, i)))))
	}
	for i := range uint32(1000) {
		for _, offset := range []int{38, 14} { // of the sequence number, and of the payload
			got, err := b.Recv(soon(t), func(f []byte) bool { return bytes.HasPrefix(f, Frame(nobody)[:12]) })
			must(t, err)
			if len(got.Frame) < offset+4 {
				t.Fatalf("got %x as number %d", got.Frame, i)
			}
			number := binary.BigEndian.Uint32(got.Frame[offset:])
			if offset == 38 {
				number /= 8
			}
			if number != i {
				t.Fatalf("got %x as number %d", got.Frame, i)
			}
		}
	}
}

// holdInGRO makes the host's GRO, if it works, hold segments for longer than one round of its NAPI.
func holdInGRO(t *testing.T, h *Host) {
	sys := t.TempDir()
	must(t, h.Do(func() error { return unix.Mount("sysfs", sys, "sysfs", 0, "") })) // shows this namespace's interfaces
	defer func() { must(t, unix.Unmount(sys, unix.MNT_DETACH)) }()
	must(t, os.WriteFile(filepath.Join(sys, "class/net", h.Dev, "gro_flush_timeout"), []byte("100000000"), 0o644))
}

func TestRecvSaysWhatCameInstead(t *testing.T) {
	_, a, b := joined(t, TwoHosts())
	other := Frame(Ether{}, ARP{})
	must(t, a.Send(other))
	must(t, b.RecvFrame(other, 10*time.Second))
	must(t, a.Send(other))
	ctx, cancel := context.WithCancel(context.Background())
	_, err := b.Recv(ctx, func(frame []byte) bool {
		if bytes.Equal(frame, other) {
			cancel()
		}
		return false
	})
	if err == nil || !strings.Contains(err.Error(), "02bb0000000202bb000000010806") || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("got %v, want the context's end and the other frame", err)
	}
	if _, err := b.Recv(brief(t), func([]byte) bool { return false }); err == nil {
		t.Error("the context ended without an error")
	}
	must(t, a.Send(other)) // and the socket still works
	must(t, b.RecvFrame(other, 10*time.Second))
}

func TestArrivalIsStampedByTheKernel(t *testing.T) {
	_, a, b := joined(t, TwoHosts())
	frame := Frame(Ether{}, IPv4{}, UDP{}, Bytes("time"))
	before := Now()
	must(t, a.Send(frame))
	got, err := b.Recv(soon(t), func(f []byte) bool { return bytes.Equal(f, frame) })
	must(t, err)
	if got.At < before-Instant(time.Millisecond) || got.At > Now() {
		t.Errorf("sent after %d, arrived at %d, now %d", before, got.At, Now())
	}
}

func TestMissingChecksumIsAnError(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	raw := RawForTest(t, l.Gateway, "w0")
	must(t, l.Host("a").SetOffloads(hostDev, map[string]bool{"tx-checksum-ip-generic": true}))
	must(t, l.Host("a").AddNeighbour(hostDev, l.Host("b").IPv4, l.Host("b").MAC))
	c, err := l.Host("a").Dial(soon(t), "udp", netip.AddrPortFrom(l.Host("b").IPv4, 9))
	must(t, err)
	defer c.Close()
	_, err = c.Write([]byte("x"))
	must(t, err)
	_, err = raw.Recv(soon(t), func([]byte) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "tx checksum offload is on") {
		t.Errorf("got %v, want that the checksum is missing", err)
	}
}

func TestDropsOfTheSocketAreCounted(t *testing.T) {
	_, a, b := joined(t, TwoHosts())
	must(t, b.rc.Control(func(fd uintptr) {
		must(t, unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4096))
	}))
	frame := Pad(Frame(Ether{}, IPv4{}), 1514)
	var drops uint32
	eventually(t, "a drop", func() bool {
		must(t, a.Send(frame))
		n, err := b.Drops()
		must(t, err)
		drops += n
		return drops > 0
	})
}

func TestUnknownInterfaceIsNamed(t *testing.T) {
	n := NSForTest(t, "n")
	if _, err := n.OpenRaw("nic9"); err == nil || !strings.Contains(err.Error(), "nic9") {
		t.Errorf("got %v", err)
	}
}

// TestTheKernelAcceptsWhatIsBuilt sends frames built here to an ordinary server.
func TestTheKernelAcceptsWhatIsBuilt(t *testing.T) {
	cfg := TwoHosts()
	cfg.StaticNeighbours = true
	l, raw, _ := joined(t, cfg)
	a, b := l.Host("a"), l.Host("b")
	server, err := b.ServeUDPEcho(7)
	must(t, err)
	defer server.Close()
	ether := Ether{Src: a.MAC, Dst: b.MAC}
	v4, v6 := IPv4{Src: a.IPv4, Dst: b.IPv4, ID: 9}, IPv6{Src: a.IPv6, Dst: b.IPv6}
	udp, body := UDP{Src: 1000, Dst: 7}, Bytes(strings.Repeat("0123456789", 100))
	fragments := func(frames [][]byte, err error) [][]byte {
		must(t, err)
		return frames
	}
	optioned := v4
	optioned.Options = []byte{1, 1, 1, 0}
	bad := udp
	bad.BadChecksum = true
	badIP := v4
	badIP.BadChecksum = true
	for _, tc := range []struct {
		name   string
		frames [][]byte
		answer bool
	}{
		{"udp4", [][]byte{Frame(ether, v4, udp, body)}, true},
		{"udp6", [][]byte{Frame(ether, v6, udp, body)}, true},
		{"options", [][]byte{Frame(ether, optioned, udp, body)}, true},
		{"extension headers", [][]byte{Frame(ether, v6, HopByHop(), DestOpts(), udp, body)}, true},
		{"priority tag", [][]byte{Frame(ether, Tag(0), v4, udp, body)}, true},
		{"another VLAN", [][]byte{Frame(ether, Tag(5), v4, udp, body)}, false},
		{"bad UDP checksum", [][]byte{Frame(ether, v4, bad, body)}, false},
		{"bad UDP checksum over IPv6", [][]byte{Frame(ether, v6, bad, body)}, false},
		{"bad IP checksum", [][]byte{Frame(ether, badIP, udp, body)}, false},
		{"fragments", fragments(FragmentIPv4(Frame(ether, v4, udp, body), 256)), true},
		{"fragments6", fragments(FragmentIPv6(Frame(ether, v6, HopByHop(), udp, body), 256, 77)), true},
		{"all fragments but one", fragments(FragmentIPv4(Frame(ether, v4, udp, body), 256))[1:], false},
	} {
		before := server.Served()
		for _, f := range tc.frames {
			must(t, raw.Send(f))
		}
		// What must not be answered has passed when a frame sent after it has been.
		must(t, a.EchoUDP(soon(t), netip.AddrPortFrom(b.IPv4, 7), []byte("after")))
		want := before + 1
		if tc.answer {
			want++
		}
		eventually(t, tc.name, func() bool { return server.Served() >= want })
		if got := server.Served(); got != want {
			t.Errorf("%s: the server saw %d packets, want %d", tc.name, got-before-1, want-before-1)
		}
	}
}

// auxdata is a struct tpacket_auxdata.
func auxdata(status uint32, tci, tpid uint16) []byte {
	b := make([]byte, 20)
	binary.NativeEndian.PutUint32(b, status)
	binary.NativeEndian.PutUint16(b[16:], tci)
	binary.NativeEndian.PutUint16(b[18:], tpid)
	return b
}

func TestTagIsPutBack(t *testing.T) {
	tagged, plain := Frame(Ether{}, STag(0xabc), IPv4{}), Frame(Ether{}, IPv4{})
	for name, tc := range map[string]struct {
		aux  []byte
		want []byte
	}{
		"service tag": {auxdata(unix.TP_STATUS_VLAN_VALID|unix.TP_STATUS_VLAN_TPID_VALID, 0xabc, 0x88a8), tagged},
		"no TPID":     {auxdata(unix.TP_STATUS_VLAN_VALID, 0, 0), Frame(Ether{}, Tag(0), IPv4{})},
		"none":        {auxdata(0, 7, 0x8100), plain},
		"short":       {nil, plain},
	} {
		if got, err := retag(plain, tc.aux); err != nil || !bytes.Equal(got, tc.want) {
			t.Errorf("%s: got %x, want %x: %v", name, got, tc.want, err)
		}
	}
}

func FuzzControlMessages(f *testing.F) {
	f.Add(Frame(Ether{}, IPv4{}), auxdata(unix.TP_STATUS_VLAN_VALID, 1, 2))
	f.Add([]byte{}, make([]byte, 64))
	f.Fuzz(func(t *testing.T, data, oob []byte) {
		before := bytes.Clone(data)
		got, err := onTheWire(data, oob)
		if err == nil && len(got.Frame) < len(data) {
			t.Errorf("%d bytes became %d", len(data), len(got.Frame))
		}
		if _, err := retag(data, oob); err == nil && !bytes.Equal(data, before) {
			t.Error("the frame was changed")
		}
		icmpReply(oob)
		instantOf(oob)
	})
}
