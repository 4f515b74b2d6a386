// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"bulkhead/testenv"
)

// stream is a conversation that goes on while the policy changes: one host sends a numbered message every other
// millisecond, the other notes which arrive. Every message says when it was sent, so that what was sent after a
// moment can be told from what was still under way. open, then start, then close, also after an error.
type stream struct {
	from, to string
	network  string // tcp or udp
	port     uint16
	cut      bool   // by the second policy
	rule     string // of the second policy, that decides so

	out, in net.Conn // the two ends
	sent    atomic.Uint64
	moment  testenv.Instant // see mark
	before  uint64          // messages sent before the moment
	stop    context.CancelFunc
	senders sync.WaitGroup
	readers sync.WaitGroup

	mu  sync.Mutex
	got []message // guarded by mu
	err error     // guarded by mu: of sending
}

// message is one message as it arrived.
type message struct {
	number        uint64 // from 0
	sent, arrived testenv.Instant
}

// messageSize is that of a message on the wire: number and time of sending, 64 bits each.
const messageSize = 16

// sendEvery is the time between two messages.
const sendEvery = 2 * time.Millisecond

// String names the stream.
func (s *stream) String() string {
	return fmt.Sprintf("stream from %s to %s, %s %d", s.from, s.to, s.network, s.port)
}

// open makes the two ends.
func (s *stream) open(ctx context.Context, lab *testenv.Lab) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	connect := s.connectTCP
	if s.network == "udp" {
		connect = s.connectUDP
	}
	if err := connect(ctx, lab.Host(s.from), lab.Host(s.to)); err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	return nil
}

func (s *stream) connectUDP(ctx context.Context, from, to *testenv.Host) error {
	in, err := to.ListenPacket("udp", fmt.Sprintf(":%d", s.port))
	if err != nil {
		return err
	}
	s.in = in.(*net.UDPConn)
	s.out, err = from.Dial(ctx, "udp", netip.AddrPortFrom(to.IPv4, s.port))
	return err
}

func (s *stream) connectTCP(ctx context.Context, from, to *testenv.Host) error {
	l, err := to.Listen("tcp", fmt.Sprintf(":%d", s.port))
	if err != nil {
		return err
	}
	defer l.Close()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })() // ends Accept
	if s.out, err = from.Dial(ctx, "tcp", netip.AddrPortFrom(to.IPv4, s.port)); err != nil {
		return err
	}
	// Room for what is sent after the cut: every small segment takes a kilobyte or so.
	if err := s.out.(*net.TCPConn).SetWriteBuffer(2 * enough << 10); err != nil {
		return err
	}
	s.in, err = l.Accept()
	return err
}

// start begins to send and to receive, until finish or close.
func (s *stream) start(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	// A stream that is cut may be stuck in a write.
	context.AfterFunc(ctx, func() { _ = s.out.SetWriteDeadline(time.Unix(1, 0)) })
	s.senders.Go(func() { s.send(ctx) })
	s.readers.Go(s.receive)
}

// finish ends the sending. What is under way may still arrive.
func (s *stream) finish() {
	s.stop()
	s.senders.Wait()
}

// close ends both and closes the ends.
func (s *stream) close() {
	if s.stop != nil {
		s.finish()
	}
	for _, end := range []net.Conn{s.out, s.in} {
		if end != nil {
			_ = end.Close()
		}
	}
	s.readers.Wait()
}

func (s *stream) send(ctx context.Context) {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		var b [messageSize]byte
		binary.BigEndian.PutUint64(b[:], s.sent.Load())
		binary.BigEndian.PutUint64(b[8:], uint64(testenv.Now()))
		if _, err := s.out.Write(b[:]); err != nil {
			if ctx.Err() == nil {
				s.fail(err)
			}
			return
		}
		s.sent.Add(1)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// receive notes messages until its end is closed.
func (s *stream) receive() {
	var b [messageSize]byte
	for {
		if _, err := io.ReadFull(s.in, b[:]); err != nil {
			return
		}
		m := message{
			number:  binary.BigEndian.Uint64(b[:]),
			sent:    testenv.Instant(binary.BigEndian.Uint64(b[8:])),
			arrived: testenv.Now(),
		}
		s.mu.Lock()
		s.got = append(s.got, m)
		s.mu.Unlock()
	}
}

// arrived is how many messages have arrived.
func (s *stream) arrived() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(len(s.got))
}

// await waits until so many messages were counted, by arrived or sent.Load.
func (s *stream) await(ctx context.Context, count func() uint64, n uint64) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for count() < n {
		s.mu.Lock()
		err := s.err
		s.mu.Unlock()
		if err == nil && !pause(ctx, sendEvery) {
			err = errors.New("messages do not come through")
		}
		if err != nil {
			return fmt.Errorf("%s: %d sent, %d arrived, waiting for %d: %w", s, s.sent.Load(), s.arrived(), n, err)
		}
	}
	return nil
}

// mark keeps a moment that has just passed, to tell what was sent after it.
func (s *stream) mark(moment testenv.Instant) { s.moment, s.before = moment, s.sent.Load() }

// account says what became of the messages of a stream.
type account struct {
	ordered bool          // none arrived twice, or before an earlier one
	missing uint64        // sent, and did not arrive
	late    int           // sent after the moment, and arrived
	pause   time.Duration // longest between two arrivals
}

// account takes stock, when all has arrived that will.
func (s *stream) account() account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return accountOf(s.got, s.sent.Load(), s.moment)
}

func accountOf(got []message, sent uint64, moment testenv.Instant) account {
	a := account{ordered: true, missing: sent - uint64(len(got))}
	for i, m := range got {
		if m.sent > moment {
			a.late++
		}
		if i > 0 {
			a.ordered = a.ordered && m.number > got[i-1].number
			a.pause = max(a.pause, m.arrived.Sub(got[i-1].arrived))
		}
	}
	return a
}
