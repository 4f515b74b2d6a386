// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Outcome is what a client sees of a port.
type Outcome uint8

// The outcomes. The zero value is that nothing came back.
const (
	Silent   Outcome = iota // nothing within the time
	Open                    // TCP: connected; UDP: a datagram came back
	Refused                 // TCP: a reset
	Rejected                // an ICMP or ICMPv6 error; Reply says which
)

// String is the outcome in lower case.
func (o Outcome) String() string {
	return [...]string{"silent", "open", "refused", "rejected"}[o]
}

// Reply is what came back to a probe.
type Reply struct {
	Outcome
	// Of a rejection: type and code of the ICMP error and who sent it. Port unreachable, which a host without a
	// server sends, is 3/3 in ICMP and 1/4 in ICMPv6; administratively prohibited is 3/13 and 1/1.
	ICMPType, ICMPCode uint8
	From               netip.Addr
}

// String is the outcome, and of a rejection the ICMP type, code and sender.
func (r Reply) String() string {
	if r.Outcome == Rejected {
		return fmt.Sprintf("rejected by icmp %d/%d from %s", r.ICMPType, r.ICMPCode, r.From)
	}
	return r.Outcome.String()
}

// Reachable tells whether a server on the namespace's far side answers: Probe, reduced to yes or no.
func (n *NS) Reachable(ctx context.Context, network string, to netip.AddrPort) (bool, error) {
	r, err := n.Probe(ctx, network, to)
	return r.Outcome == Open, err
}

// Probe tries a port from the namespace: network "tcp" connects and closes, "udp" sends a datagram and waits
// for any to come back, from a new source port each time. It waits until the context ends, or one second if it
// has no deadline, and sends a UDP datagram again every third of a second.
// What comes back, or that nothing does, is no error; an error is that the probe could not be made.
func (n *NS) Probe(ctx context.Context, network string, to netip.AddrPort) (Reply, error) {
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Second)
		defer cancel()
	}
	p := probe{to: to}
	var reply Reply
	var err error
	switch network {
	case "tcp":
		reply, err = p.tcp(ctx, n)
	case "udp":
		reply, err = p.udp(ctx, n)
	default:
		err = errors.New("only tcp and udp can be probed")
	}
	if err != nil {
		return Reply{}, fmt.Errorf("%s: probe %s %s: %w", n, network, to, err)
	}
	return reply, nil
}

// probe is one socket with an error queue (ip(7), IP_RECVERR), where ICMP errors say who sent them.
type probe struct {
	to   netip.AddrPort
	file *os.File
	rc   syscall.RawConn
}

func (p *probe) tcp(ctx context.Context, n *NS) (Reply, error) {
	if err := n.Do(func() error { return p.open(unix.SOCK_STREAM) }); err != nil {
		return p.failed(err)
	}
	defer p.file.Close()
	stop, err := deadlineFrom(ctx, p.file)
	if err != nil {
		return Reply{}, err
	}
	defer stop()
	// Ready for writing means that the connection is made or has failed. It must be asked for here each time, for the
	// runtime forgets what happened before this call.
	err = p.rc.Write(func(fd uintptr) bool {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 0)
		return err == nil && ready == 1
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return silent(ctx)
	}
	if err != nil {
		return Reply{}, err
	}
	if err := p.socketError(); err != nil {
		return p.failed(err)
	}
	return Reply{Outcome: Open}, nil
}

func (p *probe) udp(ctx context.Context, n *NS) (Reply, error) {
	if err := n.Do(func() error { return p.open(unix.SOCK_DGRAM) }); err != nil {
		return p.failed(err)
	}
	defer p.file.Close()
	buf := make([]byte, 1<<16)
	for ctx.Err() == nil {
		_, err := p.file.Write([]byte("probe"))
		if err == nil {
			err = p.readFor(ctx, time.Second/3, buf)
		}
		switch {
		case err == nil:
			return Reply{Outcome: Open}, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return p.failed(err)
		}
	}
	return silent(ctx)
}

// silent is the outcome when the time is over; a probe that was called off has none.
func silent(ctx context.Context) (Reply, error) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return Reply{}, context.Cause(ctx)
	}
	return Reply{Outcome: Silent}, nil
}

// readFor waits a while for a datagram.
func (p *probe) readFor(ctx context.Context, wait time.Duration, buf []byte) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop, err := deadlineFrom(ctx, p.file)
	if err != nil {
		return err
	}
	defer stop()
	_, err = p.file.Read(buf)
	return err
}

// open makes the socket, asks for ICMP errors and begins to connect. It runs inside the namespace.
func (p *probe) open(kind int) error {
	domain, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_RECVERR
	if p.to.Addr().Is6() {
		domain, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_RECVERR
	}
	fd, err := unix.Socket(domain, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err = unix.SetsockoptInt(fd, level, option, 1); err == nil {
		err = ignore(unix.Connect(fd, sockaddr(p.to)), unix.EINPROGRESS)
	}
	if err != nil {
		return errors.Join(err, unix.Close(fd))
	}
	p.file = os.NewFile(uintptr(fd), "probe")
	p.rc, err = p.file.SyscallConn()
	return err
}

// socketError takes the socket's pending error.
func (p *probe) socketError() (err error) {
	errno := 0
	cerr := p.rc.Control(func(fd uintptr) { errno, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) })
	if err = errors.Join(cerr, err); err == nil && errno != 0 {
		err = syscall.Errno(errno)
	}
	return err
}

// failed says what a socket's error was: an ICMP error if one is queued, else a reset, else no answer of the
// network at all (no route, no neighbour), which is an error of the probe, or silence.
func (p *probe) failed(err error) (Reply, error) {
	if p.file != nil {
		if reply, ok := p.icmpError(); ok && reply.From != p.local() {
			return reply, nil
		}
	}
	switch {
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ECONNRESET):
		return Reply{Outcome: Refused}, nil
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ETIMEDOUT):
		// Nobody answered the SYN, or the ARP or ND question: of that the host tells itself by ICMP.
		return Reply{Outcome: Silent}, nil
	}
	return Reply{}, err
}

// local is the address that the probe is sent from.
func (p *probe) local() (addr netip.Addr) {
	_ = p.rc.Control(func(fd uintptr) {
		switch sa, _ := unix.Getsockname(int(fd)); sa := sa.(type) {
		case *unix.SockaddrInet4:
			addr = netip.AddrFrom4(sa.Addr)
		case *unix.SockaddrInet6:
			addr = netip.AddrFrom16(sa.Addr)
		}
	})
	return addr
}

// icmpError takes an ICMP error from the socket's error queue.
func (p *probe) icmpError() (reply Reply, ok bool) {
	oob := make([]byte, 512)
	n := 0
	err := p.rc.Control(func(fd uintptr) {
		if _, n, _, _, _ = unix.Recvmsg(int(fd), make([]byte, 1), oob, unix.MSG_ERRQUEUE); n < 0 {
			n = 0
		}
	})
	if err != nil {
		return Reply{}, false
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		return Reply{}, false
	}
	for _, m := range msgs {
		v4 := m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_RECVERR
		v6 := m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_RECVERR
		if v4 || v6 {
			return icmpReply(m.Data)
		}
	}
	return Reply{}, false
}

// icmpReply reads a struct sock_extended_err (linux/errqueue.h): 32 bit errno; 8 bit origin, type, code, padding;
// 32 bit info and data; then the sockaddr of who sent the error.
func icmpReply(b []byte) (Reply, bool) {
	const originICMP, originICMP6, offender = 2, 3, 16
	if len(b) < offender+8 || b[4] != originICMP && b[4] != originICMP6 {
		return Reply{}, false
	}
	r := Reply{Outcome: Rejected, ICMPType: b[5], ICMPCode: b[6]}
	switch sa := b[offender:]; {
	case binary.NativeEndian.Uint16(sa) == unix.AF_INET:
		r.From, _ = netip.AddrFromSlice(sa[4:8])
	case binary.NativeEndian.Uint16(sa) == unix.AF_INET6 && len(sa) >= 24:
		r.From, _ = netip.AddrFromSlice(sa[8:24])
	}
	return r, true
}
