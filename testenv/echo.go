// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// Server is something that answers in a namespace until closed; the namespace closes it at the latest.
type Server struct {
	served atomic.Uint64
	close  func() error
	wg     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool // guarded by mu; nil once closed
	closed bool              // guarded by mu
}

// Served is the number of requests, connections or datagrams that the server has answered or begun to answer.
func (s *Server) Served() uint64 { return s.served.Load() }

// Close ends the server, its connections and goroutines. It may be called more than once.
func (s *Server) Close() error { return s.close() }

// ServeTCPEcho sends back what comes on any connection to the port, over IPv4 and IPv6; a half-close is
// answered with one.
func (n *NS) ServeTCPEcho(port uint16) (*Server, error) {
	return n.serveTCP(port, func(c net.Conn) {
		_, _ = io.Copy(c, c) // what went wrong is the client's to notice
	})
}

// serveTCP runs handle on every connection to the port.
func (n *NS) serveTCP(port uint16, handle func(net.Conn)) (*Server, error) {
	l, err := n.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	s := &Server{conns: map[net.Conn]bool{}}
	s.wg.Go(func() { s.accept(l, handle) })
	return s, s.belongTo(n, l)
}

func (s *Server) accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		if !s.track(c) {
			continue
		}
		s.served.Add(1)
		s.wg.Go(func() {
			defer s.untrack(c)
			handle(c)
		})
	}
}

// track remembers a connection, so that Close can end it; a closed server takes none.
func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = c.Close()
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) untrack(c net.Conn) {
	_ = c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// belongTo makes the namespace the owner of the server, which ends with what it listens on.
func (s *Server) belongTo(n *NS, listener io.Closer) (err error) {
	s.close, err = n.owner.own(func() error {
		err := ignore(listener.Close(), net.ErrClosed)
		s.mu.Lock()
		s.closed = true
		for c := range s.conns {
			_ = c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
		return err
	})
	return err
}

// ServeUDPEcho sends back every datagram that comes to the port, over IPv4 and IPv6.
func (n *NS) ServeUDPEcho(port uint16) (*Server, error) {
	c, err := n.ListenPacket("udp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	s := &Server{}
	s.wg.Go(func() {
		buf := make([]byte, 1<<16)
		for {
			size, from, err := c.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				s.served.Add(1)
				_, _ = c.WriteTo(buf[:size], from) // a lost answer is the client's to notice
			}
		}
	})
	return s, s.belongTo(n, c)
}

// EchoTCP connects to an echo server, sends the payload, ends its half and checks that the same bytes come back.
func (n *NS) EchoTCP(ctx context.Context, to netip.AddrPort, payload []byte) error {
	c, err := n.Dial(ctx, "tcp", to)
	if err != nil {
		return wrap("tcp echo", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	sent := make(chan error, 1)
	go func() {
		_, err := c.Write(payload)
		sent <- errors.Join(err, c.(*net.TCPConn).CloseWrite())
	}()
	got, err := io.ReadAll(c)
	if err = errors.Join(err, <-sent); err != nil {
		return fmt.Errorf("tcp echo from %s: %w", to, or(context.Cause(ctx), err))
	}
	return sameBytes("tcp echo from "+to.String(), got, payload)
}

// EchoUDP sends the payload to an echo server and waits for it to come back; a lost datagram is not sent again.
func (n *NS) EchoUDP(ctx context.Context, to netip.AddrPort, payload []byte) error {
	c, err := n.Dial(ctx, "udp", to)
	if err != nil {
		return wrap("udp echo", err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	buf := make([]byte, 1<<16)
	size := 0
	if _, err = c.Write(payload); err == nil {
		size, err = c.Read(buf)
	}
	if err != nil {
		return fmt.Errorf("udp echo from %s: %w", to, or(context.Cause(ctx), err))
	}
	return sameBytes("udp echo from "+to.String(), buf[:size], payload)
}

func sameBytes(what string, got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	return fmt.Errorf("%s: got %d bytes, want %d; they differ at %d", what, len(got), len(want), at)
}
