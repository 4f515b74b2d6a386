// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// both are the two addresses of a host, with a port.
func both(h *Host, port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(h.IPv4, port), netip.AddrPortFrom(h.IPv6, port)}
}

func TestOrdinaryTrafficFlows(t *testing.T) {
	l, _, _ := joined(t, TwoHosts())
	a, b := l.Host("a"), l.Host("b")
	tcp, err := b.ServeTCPEcho(7)
	must(t, err)
	udp, err := b.ServeUDPEcho(7)
	must(t, err)
	stream, err := b.ServeStream(80)
	must(t, err)
	for i, to := range both(b, 7) {
		must(t, a.EchoTCP(soon(t), to, bytes.Repeat([]byte("tcp"), 100_000)))
		must(t, a.EchoUDP(soon(t), to, []byte("udp")))
		res, err := a.Ping(soon(t), to.Addr(), PingConfig{Count: 5, Interval: time.Millisecond, Size: 1400})
		if err != nil || res.Received != 5 || res.Worst <= 0 {
			t.Errorf("ping %s: %+v %v", to.Addr(), res, err)
		}
		got, err := a.Download(soon(t), both(b, 80)[i], 8<<20+1, 42)
		want := sha256.New()
		_, _ = io.CopyN(want, streamOf(42), 8<<20+1)
		if err != nil || got.Bytes != 8<<20+1 || got.SHA256 != hex.EncodeToString(want.Sum(nil)) {
			t.Errorf("download: %+v, want sha256 %x: %v", got, want.Sum(nil), err)
		}
	}
	if tcp.Served() != 2 || udp.Served() != 2 || stream.Served() != 2 {
		t.Errorf("served %d, %d and %d, want 2 of each", tcp.Served(), udp.Served(), stream.Served())
	}
}

func TestDownloadFindsDamage(t *testing.T) {
	n := NSForTest(t, "n")
	for why, serve := range map[string]http.HandlerFunc{
		"byte 70000 is wrong": func(w http.ResponseWriter, _ *http.Request) {
			b, _ := io.ReadAll(io.LimitReader(streamOf(1), 100_000))
			b[70_000] ^= 1
			_, _ = w.Write(b)
		},
		"ended after 10 of 100000": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, streamOf(1), 10) },
		"the server says": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", digestTrailer)
			_, _ = io.CopyN(w, streamOf(1), 100_000)
			w.Header().Set(digestTrailer, "00")
		},
		"status 404": http.NotFound,
	} {
		l, err := n.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		hs := &http.Server{Handler: serve}
		go func() { _ = hs.Serve(l) }()
		_, err = n.Download(soon(t), netip.MustParseAddrPort(l.Addr().String()), 100_000, 1)
		if err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("got %v, want an error with %q", err, why)
		}
		must(t, hs.Close())
	}
}

func TestEchoFindsDamageAndDelay(t *testing.T) {
	n := NSForTest(t, "n")
	wrong, err := n.serveTCP(7, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		b[1] ^= 1
		_, _ = c.Write(b)
	})
	must(t, err)
	defer wrong.Close()
	silent, err := n.ListenPacket("udp", ":7")
	must(t, err)
	to := netip.MustParseAddrPort("127.0.0.1:7")
	if err := n.EchoTCP(soon(t), to, []byte("hello")); err == nil || !strings.Contains(err.Error(), "differ at 1") {
		t.Errorf("tcp: got %v, want a difference at 1", err)
	}
	if err := n.EchoUDP(brief(t), to, []byte("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("udp: got %v, want deadline exceeded", err)
	}
	must(t, silent.Close())
}

func TestServersEndWithTheirConnections(t *testing.T) {
	n := NSForTest(t, "n")
	s, err := n.ServeTCPEcho(7)
	must(t, err)
	c, err := n.Dial(soon(t), "tcp", netip.MustParseAddrPort("[::1]:7"))
	must(t, err)
	defer c.Close()
	eventually(t, "the connection is accepted", func() bool { return s.Served() == 1 })
	must(t, s.Close())
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives its server")
	}
	if _, err := n.Dial(brief(t), "tcp", netip.MustParseAddrPort("[::1]:7")); err == nil {
		t.Error("a closed server accepts")
	}
}

func TestPingSaysWhatIsMissing(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	a, b := l.Host("a"), l.Host("b")
	res, err := a.Ping(soon(t), b.IPv4, PingConfig{Count: 2, Wait: 30 * time.Millisecond})
	if err == nil || res.Sent != 2 || res.Received != 0 || !strings.Contains(err.Error(), "0 of 2 answers: no answer within 30ms") {
		t.Errorf("got %+v %v", res, err)
	}
	if _, err := a.Ping(soon(t), netip.MustParseAddr("203.0.113.1"), PingConfig{}); err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("no route: got %v", err)
	}
}

func TestProbeTellsTheOutcomesApart(t *testing.T) {
	cfg := TwoHosts()
	cfg.StaticNeighbours = true
	l, _, raw := joined(t, cfg)
	a, b := l.Host("a"), l.Host("b")
	tcp, err := b.ServeTCPEcho(7)
	must(t, err)
	defer tcp.Close()
	udp, err := b.ServeUDPEcho(7)
	must(t, err)
	defer udp.Close()
	// Nobody has this address; what plays a rejecting gateway answers for it.
	denied := netip.MustParseAddr("198.18.0.99")
	must(t, a.AddNeighbour(hostDev, denied, b.MAC))
	rejecting := rejectAll(t, raw, denied, a, b)
	defer rejecting()

	const unreachable, unreachable6 = 3, 1
	for _, tc := range []struct {
		network string
		to      netip.AddrPort
		want    Reply
	}{
		{"tcp", both(b, 7)[0], Reply{Outcome: Open}},
		{"tcp", both(b, 7)[1], Reply{Outcome: Open}},
		{"udp", both(b, 7)[0], Reply{Outcome: Open}},
		{"udp", both(b, 7)[1], Reply{Outcome: Open}},
		{"tcp", both(b, 8)[0], Reply{Outcome: Refused}},
		{"tcp", both(b, 8)[1], Reply{Outcome: Refused}},
		{"udp", both(b, 8)[0], Reply{Rejected, unreachable, 3, b.IPv4}},
		{"udp", both(b, 8)[1], Reply{Rejected, unreachable6, 4, b.IPv6}},
		{"tcp", netip.AddrPortFrom(denied, 443), Reply{Rejected, unreachable, 13, denied}},
		{"udp", netip.AddrPortFrom(denied, 443), Reply{Rejected, unreachable, 13, denied}},
	} {
		got, err := a.Probe(soon(t), tc.network, tc.to)
		if err != nil || got != tc.want {
			t.Errorf("%s %s: got %v, want %v: %v", tc.network, tc.to, got, tc.want, err)
		}
		reached, err := a.Reachable(soon(t), tc.network, tc.to)
		if err != nil || reached != (tc.want.Outcome == Open) {
			t.Errorf("%s %s: reachable %v: %v", tc.network, tc.to, reached, err)
		}
	}
	must(t, l.Unjoin())
	for _, network := range []string{"tcp", "udp"} {
		for _, to := range both(b, 7) {
			if got, err := a.Probe(brief(t), network, to); err != nil || got != (Reply{Outcome: Silent}) {
				t.Errorf("%s %s through a cut wire: got %v %v", network, to, got, err)
			}
		}
	}
}

// rejectAll answers every packet to an address with "administratively prohibited", until stopped.
func rejectAll(t *testing.T, raw *RawConn, denied netip.Addr, from, to *Host) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			got, err := raw.Recv(ctx, func(f []byte) bool { return len(f) >= 42 && bytes.Equal(f[30:34], denied.AsSlice()) })
			if err != nil {
				return
			}
			reject := Frame(Ether{Src: to.MAC, Dst: from.MAC}, IPv4{Src: denied, Dst: from.IPv4},
				ICMP{Type: 3, Code: 13}, Bytes(got.Frame[14:14+28]))
			if err := raw.Send(reject); err != nil {
				t.Error(err)
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func TestProbeWithoutAnAnswerToARPIsSilent(t *testing.T) {
	l := LabForTest(t, TwoHosts())
	a, b := l.Host("a"), l.Host("b")
	must(t, a.Sysctl("net.ipv4.neigh."+hostDev+".retrans_time_ms", "10"))
	must(t, a.Sysctl("net.ipv6.neigh."+hostDev+".retrans_time_ms", "10"))
	for _, network := range []string{"tcp", "udp"} {
		for _, to := range both(b, 7) {
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			if got, err := a.Probe(ctx, network, to); err != nil || got.Outcome != Silent {
				t.Errorf("%s %s: got %v %v", network, to, got, err)
			}
			cancel()
		}
	}
}

func TestProbeThatCannotBeMadeIsAnError(t *testing.T) {
	n := NSForTest(t, "n")
	nowhere := netip.MustParseAddrPort("203.0.113.1:1")
	for _, network := range []string{"tcp", "udp", "sctp"} {
		if got, err := n.Probe(soon(t), network, nowhere); err == nil {
			t.Errorf("%s: got %v, want an error", network, got)
		}
	}
	l := LabForTest(t, TwoHosts())
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	for _, network := range []string{"tcp", "udp"} {
		if got, err := l.Host("a").Probe(ctx, network, both(l.Host("b"), 7)[0]); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, called off: got %v %v", network, got, err)
		}
	}
	_, err := n.HTTPClient().Get("http://localhost:1/")
	if err == nil || !strings.Contains(err.Error(), "localhost") || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a name instead of an address: %v", err)
	}
}
