// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// PingConfig says how to ping. The zero value is one echo request of 56 bytes of data.
type PingConfig struct {
	Count        int           // 0: 1
	Size         int           // bytes of data behind the ICMP header; 0: 56, at least 16 are sent
	Interval     time.Duration // between requests; 0: the next goes out when the answer to the last is there
	Wait         time.Duration // for each answer; 0: one second
	DontFragment bool
}

// PingResult is what came back.
type PingResult struct {
	Sent, Received int
	Worst          time.Duration // longest round trip
}

// Ping sends ICMP or ICMPv6 echo requests from the namespace and waits for the answers, through a raw socket
// (icmp(7), RFC 792, RFC 4443), each with random bytes that must come back. It is an error if any answer is missing;
// the result then says how many.
func (n *NS) Ping(ctx context.Context, to netip.Addr, cfg PingConfig) (PingResult, error) {
	cfg.Count, cfg.Size, cfg.Wait = or(cfg.Count, 1), max(16, or(cfg.Size, 56)), or(cfg.Wait, time.Second)
	p := &pinger{to: to, id: uint16(rand.Uint32()), buf: make([]byte, 1<<16)}
	if err := n.Do(func() error { return p.open(cfg.DontFragment) }); err != nil {
		return PingResult{}, fmt.Errorf("%s: ping %s: %w", n, to, err)
	}
	defer p.file.Close()
	var res PingResult
	var last error
	for seq := range cfg.Count {
		if seq > 0 && cfg.Interval > 0 {
			if err := pause(ctx, cfg.Interval); err != nil {
				last = err
				break
			}
		}
		res.Sent++
		took, err := p.once(ctx, uint16(seq), cfg)
		if err != nil {
			last = err
			continue
		}
		res.Received++
		res.Worst = max(res.Worst, took)
	}
	if last != nil {
		return res, fmt.Errorf("%s: ping %s: %d of %d answers: %w", n, to, res.Received, res.Sent, last)
	}
	return res, nil
}

// pinger is a raw ICMP socket that is connected to an address.
type pinger struct {
	to   netip.Addr
	id   uint16
	file *os.File
	buf  []byte
}

func (p *pinger) open(dontFragment bool) (err error) {
	domain, proto, level, option, value := unix.AF_INET, unix.IPPROTO_ICMP, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE
	if p.to.Is6() {
		domain, proto, level, option, value = unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, proto)
	if err != nil {
		return err
	}
	if dontFragment {
		err = unix.SetsockoptInt(fd, level, option, value)
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(netip.AddrPortFrom(p.to, 0)))
	}
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	p.file = os.NewFile(uintptr(fd), "ping")
	return nil
}

// once sends one request and waits for its answer.
func (p *pinger) once(ctx context.Context, seq uint16, cfg PingConfig) (time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, cfg.Wait, fmt.Errorf("no answer within %v", cfg.Wait))
	defer cancel()
	stop, err := deadlineFrom(ctx, p.file)
	if err != nil {
		return 0, err
	}
	defer stop()
	data := make([]byte, cfg.Size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	// The kernel fills in ICMPv6 checksums, whatever stands there (RFC 3542, section 3.1).
	request, answerType := Frame(ICMP{Type: 8, ID: p.id, Seq: seq}, Bytes(data)), byte(0)
	if p.to.Is6() {
		request, answerType = Frame(ICMPv6{Type: 128, ID: p.id, Seq: seq}, Bytes(data)), 129
	}
	begin := Now()
	if _, err := p.file.Write(request); err != nil {
		return 0, err
	}
	for {
		got, err := p.answer()
		if err != nil {
			return 0, timeoutOf(ctx, err)
		}
		// Type, code and checksum differ from the request, all the rest comes back.
		if len(got) == len(request) && got[0] == answerType && bytes.Equal(got[4:], request[4:]) {
			return Now().Sub(begin), nil
		}
	}
}

// answer is the next ICMP message from the address.
func (p *pinger) answer() ([]byte, error) {
	size, err := p.file.Read(p.buf)
	if err != nil {
		return nil, err
	}
	got := p.buf[:size]
	if p.to.Is4() && size >= 20 { // an IPv4 raw socket delivers the IP header, too
		got = got[min(size, int(got[0]&0xf)*4):]
	}
	return got, nil
}

// sockaddr is the address in the form of the system calls; zones of IPv6 addresses are not supported.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
