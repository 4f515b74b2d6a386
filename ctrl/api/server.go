// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// What a client may cost. A waiting client holds a connection and little else,
// so the times are generous for people and short for thousands.
const (
	maxConns     = 64
	maxHeader    = 8 << 10         // bytes of a request's line and headers
	maxPolicy    = 16 << 20        // bytes of a policy's text
	maxReceiving = 2 * maxPolicy   // bytes of all policies that are held before they are in force
	readHeader   = 5 * time.Second // from the first byte to the end of the headers
	readAll      = 10 * time.Second
	writeAll     = 10 * time.Second
	idle         = 30 * time.Second // between two requests of a connection
	farewell     = time.Second      // for answers that are under way when the server closes
)

// Server answers on the control socket. It is made by NewServer.
type Server struct {
	gateway Gateway
	log     *slog.Logger
	http    http.Server
	budget  budget

	// Held for reading by each request, for writing by Close for ever: after
	// Close no request runs, and none begins.
	open  sync.RWMutex
	close sync.Once
}

// NewServer makes a server that shows and changes g, and logs every change.
func NewServer(g Gateway, log *slog.Logger) *Server {
	s := &Server{gateway: g, log: log}
	s.budget.left.Store(maxReceiving)
	s.http = http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: readHeader,
		ReadTimeout:       readAll,
		WriteTimeout:      writeAll,
		IdleTimeout:       idle,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
	}
	return s
}

// connKey is the context key of a request's connection.
type connKey struct{}

// connOf gives the connection that a request came by.
func connOf(r *http.Request) *conn { return r.Context().Value(connKey{}).(*conn) }

// Serve answers on l, which is a listener of RunDir.Listen, until Close. It
// closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(&conns{Listener: l, max: maxConns})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close stops listening, cuts the connections and returns when no request
// runs any more. A policy that is being applied is finished first. It may be
// called more than once, and before Serve, which then returns at once.
func (s *Server) Close() {
	s.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), farewell)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			s.http.Close()
		}
		s.open.Lock() // waits for the last request
	})
}
