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
// millisecond, the other notes which arrive. Every message says when it was sent, so that what was sent
// after a moment can be told from what was still under way.
type stream struct {
	from, to string
	network  string // tcp or udp
	port     uint16
	cut      bool   // by the second policy
	rule     string // of the second policy, that decides so

	sent    atomic.Uint64 // messages, numbered from 0
	stop    context.CancelFunc
	closers []io.Closer
	wg      sync.WaitGroup

	mu  sync.Mutex
	got []message // guarded by mu
	err error     // guarded by mu: what ended the sending, but stop
}

// message is one message as it arrived.
type message struct {
	number        uint64
	sent, arrived testenv.Instant
}

// messageSize is that of a message on the wire: its number and the time of sending, 64 bits each.
const messageSize = 16

// sendEvery is the time between two messages.
const sendEvery = 2 * time.Millisecond

// start begins to send. The stream is to be closed also after an error.
func (s *stream) start(ctx context.Context, lab *testenv.Lab) error {
	ctx, s.stop = context.WithCancel(ctx)
	if err := s.listen(lab.Host(s.to)); err != nil {
		return err
	}
	c, err := lab.Host(s.from).Dial(ctx, s.network, netip.AddrPortFrom(lab.Host(s.to).IPv4, s.port))
	if err != nil {
		return fmt.Errorf("%s: %w", s, err)
	}
	s.closers = append(s.closers, c)
	s.wg.Go(func() { s.send(ctx, c) })
	return nil
}

// String names the stream.
func (s *stream) String() string { return fmt.Sprintf("%s to %s, %s %d", s.from, s.to, s.network, s.port) }

// listen begins to receive: datagrams, or one connection.
func (s *stream) listen(at *testenv.Host) error {
	address := fmt.Sprintf(":%d", s.port)
	if s.network == "udp" {
		c, err := at.ListenPacket(s.network, address)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, c)
		s.wg.Go(func() { s.receive(func(b []byte) error { _, _, err := c.ReadFrom(b); return err }) })
		return nil
	}
	l, err := at.Listen(s.network, address)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, l)
	s.wg.Go(func() {
		if c, err := l.Accept(); err == nil {
			defer closeOnEnd(s, c)()
			s.receive(func(b []byte) error { _, err := io.ReadFull(c, b); return err })
		}
	})
	return nil
}

// send sends messages until the context ends.
func (s *stream) send(ctx context.Context, c net.Conn) {
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		var b [messageSize]byte
		binary.BigEndian.PutUint64(b[:], s.sent.Load())
		binary.BigEndian.PutUint64(b[8:], uint64(testenv.Now()))
		if _, err := c.Write(b[:]); err != nil {
			s.fail(err)
			return
		}
		s.sent.Add(1)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// receive notes messages until reading fails.
func (s *stream) receive(read func([]byte) error) {
	var b [messageSize]byte
	for read(b[:]) == nil {
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

func (s *stream) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

// waitSent waits until n more messages have been sent.
func (s *stream) waitSent(ctx context.Context, n uint64) error {
	return s.wait(ctx, "send", &s.sent)
}

var _ = errors.Join
