// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// RawConn sends and receives whole frames on one interface (packet(7)): injected as written, received as they
// were on the wire. One goroutine may send while another receives.
type RawConn struct {
	name  string // for messages
	file  *os.File
	rc    syscall.RawConn
	close func() error
	ended atomic.Bool
	buf   []byte // of the receiving side
	oob   []byte
}

// Captured is one received frame.
type Captured struct {
	Frame []byte
	At    Instant // when the kernel took it from the interface
}

// maxFrame is the longest that GRO builds, with room for a tag; longer ones are an error, not cut.
const maxFrame = 1<<16 + 64

// OpenRaw opens a raw socket on an interface of the namespace. It does not see what the namespace itself sends.
// Frames that arrive after OpenRaw has returned are kept until received, up to 16 MiB (see Drops).
// A tag that the kernel has taken off is put back; a frame whose checksum the sender left to hardware is an error;
// a frame that ends less than two bytes after a tag's type is not seen: the kernel drops it before.
// GRO, if it may, joins TCP segments and delays them before they get here (LabConfig.ExactCapture).
func (n *NS) OpenRaw(dev string) (*RawConn, error) {
	c := &RawConn{name: n.String() + "/" + dev, buf: make([]byte, maxFrame), oob: make([]byte, 256)}
	if err := n.Do(func() error { return c.open(dev, n) }); err != nil {
		return nil, fmt.Errorf("%s: open raw socket: %w", c.name, err)
	}
	var err error
	if c.close, err = n.owner.own(c.shut); err != nil {
		return nil, fmt.Errorf("%s: open raw socket: %w", c.name, err)
	}
	return c, nil
}

func (c *RawConn) open(dev string, n *NS) error {
	index, err := n.Index(dev)
	if err != nil {
		return err
	}
	// Protocol 0: nothing is received before bind, so nothing of other interfaces.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.file = os.NewFile(uintptr(fd), c.name)
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = errors.Join(
		wrap("ignore outgoing (Linux 4.20)", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1)),
		wrap("bypass queueing and classifiers", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1)),
		wrap("ask for tags", unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1)),
		wrap("ask for time stamps", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)),
		wrap("enlarge buffer", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)),
		wrap("bind", unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})))
	if err == nil {
		c.rc, err = c.file.SyscallConn()
	}
	if err != nil {
		return errors.Join(err, c.file.Close())
	}
	return nil
}

// Close closes the socket; a pending Recv ends with os.ErrClosed. It may be called more than once.
func (c *RawConn) Close() error { return c.close() }

func (c *RawConn) shut() error {
	c.ended.Store(true)
	return c.file.Close()
}

// closedErr is os.ErrClosed once the socket is closed: package os does not say so everywhere.
func (c *RawConn) closedErr() error {
	if c.ended.Load() {
		return os.ErrClosed
	}
	return nil
}

// Send puts one frame on the wire, from Ethernet header to the end without FCS; it may be up to the MTU
// plus the Ethernet header and one tag long.
func (c *RawConn) Send(frame []byte) error {
	if _, err := c.file.Write(frame); err != nil {
		return fmt.Errorf("%s: send frame of %d bytes: %w", c.name, len(frame), err)
	}
	return nil
}

// Recv returns the next frame that match accepts (nil: any), or an error when the context ends; that error
// says what came instead.
func (c *RawConn) Recv(ctx context.Context, match func(frame []byte) bool) (Captured, error) {
	stop, err := deadlineFrom(ctx, c.file)
	if err != nil {
		return Captured{}, fmt.Errorf("%s: receive: %w", c.name, or(c.closedErr(), err))
	}
	defer stop()
	var others passedBy
	for {
		got, err := c.read()
		if err != nil {
			return Captured{}, fmt.Errorf("%s: receive: %w%s", c.name, timeoutOf(ctx, err), &others)
		}
		if match == nil || match(got.Frame) {
			return got, nil
		}
		others.add(got.Frame)
	}
}

// RecvFrame waits for these very bytes, at most for the time given.
func (c *RawConn) RecvFrame(frame []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_, err := c.Recv(ctx, func(got []byte) bool { return bytes.Equal(got, frame) })
	if err != nil {
		return fmt.Errorf("%w; wanted\n%x", err, frame)
	}
	return nil
}

// Collect returns all frames that match accepts (nil: any) until the context ends, in the order of arrival.
func (c *RawConn) Collect(ctx context.Context, match func(frame []byte) bool) ([]Captured, error) {
	var all []Captured
	for {
		got, err := c.Recv(ctx, match)
		if ctx.Err() != nil && err != nil {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, got)
	}
}

// Drops is the number of frames that the socket had no room for since the last call.
func (c *RawConn) Drops() (drops uint32, err error) {
	cerr := c.rc.Control(func(fd uintptr) {
		var st *unix.TpacketStats
		if st, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
			drops = st.Drops
		}
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, fmt.Errorf("%s: read drops: %w", c.name, or(c.closedErr(), err))
	}
	return drops, nil
}

// read waits for one frame and gives it back as it was on the wire.
func (c *RawConn) read() (got Captured, err error) {
	var n, oobn, flags int
	rerr := c.rc.Read(func(fd uintptr) bool {
		n, oobn, flags, _, err = unix.Recvmsg(int(fd), c.buf, c.oob, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	})
	switch {
	case errors.Join(rerr, err) != nil:
		return Captured{}, or(c.closedErr(), errors.Join(rerr, err))
	case flags&unix.MSG_TRUNC != 0:
		return Captured{}, fmt.Errorf("a frame is longer than %d bytes", maxFrame)
	}
	return onTheWire(c.buf[:n], c.oob[:oobn])
}

// onTheWire undoes what the kernel does to a frame before a socket sees it, from the control messages.
func onTheWire(data, oob []byte) (Captured, error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return Captured{}, err
	}
	got := Captured{Frame: bytes.Clone(data)}
	for _, m := range msgs {
		switch {
		case m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA:
			if got.Frame, err = retag(got.Frame, m.Data); err != nil {
				return Captured{}, err
			}
		case m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SCM_TIMESTAMPNS:
			got.At = instantOf(m.Data)
		}
	}
	return got, nil
}

// retag puts a tag that the kernel took off back behind the MACs. aux is a struct tpacket_auxdata:
// 32 bit status, length, captured length; 16 bit MAC offset, network offset, TCI, TPID.
func retag(frame, aux []byte) ([]byte, error) {
	if len(aux) < 20 || len(frame) < 12 {
		return frame, nil
	}
	status := binary.NativeEndian.Uint32(aux)
	if status&unix.TP_STATUS_CSUMNOTREADY != 0 {
		return nil, errors.New("a frame without its checksum: the sender's tx checksum offload is on")
	}
	if status&unix.TP_STATUS_VLAN_VALID == 0 {
		return frame, nil
	}
	tci, tpid := binary.NativeEndian.Uint16(aux[16:]), uint16(0x8100)
	if status&unix.TP_STATUS_VLAN_TPID_VALID != 0 {
		tpid = binary.NativeEndian.Uint16(aux[18:])
	}
	tag := be16(be16(nil, tpid), tci)
	return append(append(bytes.Clone(frame[:12]), tag...), frame[12:]...), nil
}

// passedBy remembers frames that were not the ones looked for, for an error message.
type passedBy struct {
	count int
	heads [][]byte
}

func (p *passedBy) add(frame []byte) {
	p.count++
	if len(p.heads) < 8 {
		p.heads = append(p.heads, bytes.Clone(frame[:min(len(frame), 80)]))
	}
}

func (p *passedBy) String() string {
	if p.count == 0 {
		return "; no other frame came"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "; %d others came, the first ones begin", p.count)
	for _, h := range p.heads {
		fmt.Fprintf(&b, "\n%x", h)
	}
	return b.String()
}

// deadlineFrom makes a context end the reads and writes of f, until stopped. One at a time for each f.
func deadlineFrom(ctx context.Context, f interface{ SetDeadline(time.Time) error }) (stop func(), err error) {
	if err := f.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = f.SetDeadline(time.Unix(1, 0)) // closed meanwhile: its reads have ended as well
	})
	return func() {
		if !cancel() {
			<-ended // else it could end the next read
		}
	}, nil
}

// timeoutOf puts the context's reason in the place of the deadline that it set.
func timeoutOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
		return context.Cause(ctx)
	}
	return err
}
