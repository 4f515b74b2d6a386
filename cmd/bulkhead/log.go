// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"log/slog"
	"sync"
)

// levels are what --log-level takes.
var levels = []string{"debug", "info", "warn", "error"}

// maxLogged is how much of a string a log record keeps, in bytes.
const maxLogged = 4096

// newLog makes the daemon's log: for a person on a terminal, else one line of
// JSON a record. Either is printable, whatever is in it.
func newLog(w io.Writer, terminal bool, level string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: shorten}
	if terminal {
		return slog.New(slog.NewTextHandler(w, o))
	}
	return slog.New(slog.NewJSONHandler(jsonLines{w}, o))
}

// shorten cuts long strings and errors.
func shorten(_ []string, a slog.Attr) slog.Attr {
	if err, ok := a.Value.Any().(error); ok {
		a.Value = slog.StringValue(err.Error())
	}
	if a.Value.Kind() == slog.KindString && len(a.Value.String()) > maxLogged {
		a.Value = slog.StringValue(a.Value.String()[:maxLogged] + "...")
	}
	return a
}

// jsonLines escapes what JSON allows and a terminal does not.
type jsonLines struct{ w io.Writer }

// Write writes one record.
func (j jsonLines) Write(p []byte) (int, error) {
	if _, err := j.w.Write(escapeHidden(p, longJSON)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// lines is a writer for several goroutines: a write is never torn by another.
type lines struct {
	mu sync.Mutex
	w  io.Writer
}

// Write writes p whole.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
