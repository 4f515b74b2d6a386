// SPDX-License-Identifier: Apache-2.0

package api

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
)

// budget is the memory that all requests together may hold, in bytes. It is
// spent by what has arrived, not by what was announced, so that a client who
// sends slowly keeps nothing from others.
type budget struct{ left atomic.Int64 }

// step is how much is read, and taken from the budget, at a time.
const step = 64 << 10

// receive reads the body of a request, at most limit bytes. What it returns
// has been taken from the budget, with an error too: the caller gives it back.
func (b *budget) receive(r *http.Request, w http.ResponseWriter, limit int64) ([]byte, error) {
	if e := r.Header.Get("Content-Encoding"); e != "" {
		return nil, fail(http.StatusUnsupportedMediaType, "content encoding %.40q: send the text as it is", e)
	}
	tooLarge := fail(http.StatusRequestEntityTooLarge, "the policy is larger than %d bytes", limit)
	if r.ContentLength > limit {
		return nil, tooLarge
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	var text []byte
	for { // a step at a time, so that what is spent is never far from what is there
		n, err := b.read(body, &text)
		b.left.Add(-int64(n))
		switch {
		case err == io.EOF:
			return text, nil
		case errors.As(err, new(*http.MaxBytesError)):
			return text, tooLarge
		case err != nil:
			return text, fmt.Errorf("receive the policy: %w", err)
		case b.left.Load() < step:
			return text, fail(http.StatusServiceUnavailable, "too many policies are being sent at once: try again")
		}
	}
}

// read appends what comes next, at most a step, and gives its length.
func (b *budget) read(body io.Reader, text *[]byte) (int, error) {
	t := *text
	if cap(t)-len(t) < step {
		t = append(make([]byte, 0, 2*cap(t)+step), t...)
	}
	n, err := body.Read(t[len(t) : len(t)+step])
	*text = t[:len(t)+n]
	return n, err
}

// giveBack returns n bytes to the budget.
func (b *budget) giveBack(n int) { b.left.Add(int64(n)) }
