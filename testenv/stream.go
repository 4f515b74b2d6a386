// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// digestTrailer is the HTTP trailer with the SHA-256 of a stream, in hexadecimal.
const digestTrailer = "Stream-Sha256"

// Download is a stream that arrived whole and right.
type Download struct {
	Bytes  int64
	SHA256 string // hexadecimal
	Took   time.Duration
}

// ServeStream is an HTTP server whose /stream?bytes=N&seed=S answers N pseudo-random bytes that follow from S,
// with their SHA-256 as a trailer. A client closes its connection after each.
func (n *NS) ServeStream(port uint16) (*Server, error) {
	l, err := n.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, err
	}
	s := &Server{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stream", func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		serveStream(w, r)
	})
	hs := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	s.wg.Go(func() { _ = hs.Serve(l) }) // returns when closed
	return s, s.belongTo(n, hs)
}

func serveStream(w http.ResponseWriter, r *http.Request) {
	size, err1 := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
	seed, err2 := strconv.ParseUint(r.FormValue("seed"), 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Trailer", digestTrailer)
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(w, sum), streamOf(seed), size); err != nil {
		return // the client is gone
	}
	w.Header().Set(digestTrailer, hex.EncodeToString(sum.Sum(nil)))
}

// streamOf is the endless stream that follows from a seed.
func streamOf(seed uint64) io.Reader {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// Download fetches a stream of size bytes from a server of ServeStream and checks it twice: byte by byte against the
// stream that follows from the seed, and its SHA-256 against the server's.
func (n *NS) Download(ctx context.Context, from netip.AddrPort, size int64, seed uint64) (Download, error) {
	begin := time.Now()
	got, err := n.download(ctx, from, size, seed)
	if err != nil {
		return Download{}, fmt.Errorf("%s: download from %s: %w", n, from, err)
	}
	got.Took = time.Since(begin)
	return got, nil
}

func (n *NS) download(ctx context.Context, from netip.AddrPort, size int64, seed uint64) (Download, error) {
	query := url.Values{"bytes": {strconv.FormatInt(size, 10)}, "seed": {strconv.FormatUint(seed, 10)}}
	where := url.URL{Scheme: "http", Host: from.String(), Path: "/stream", RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), nil)
	if err != nil {
		return Download{}, err
	}
	resp, err := n.HTTPClient().Do(req)
	if err != nil {
		return Download{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return Download{}, fmt.Errorf("status %s", resp.Status)
	}
	sum := sha256.New()
	want := &expect{stream: streamOf(seed)}
	got, err := io.Copy(io.MultiWriter(want, sum), resp.Body)
	if err == nil && got != size {
		err = fmt.Errorf("ended after %d of %d bytes", got, size)
	}
	if err != nil {
		return Download{}, err
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if theirs := resp.Trailer.Get(digestTrailer); theirs != digest {
		return Download{}, fmt.Errorf("sha256 %s, the server says %q", digest, theirs)
	}
	return Download{Bytes: got, SHA256: digest}, nil
}

// expect is a writer that accepts only the bytes of a stream.
type expect struct {
	stream io.Reader
	at     int64
	buf    []byte
}

func (e *expect) Write(p []byte) (int, error) {
	e.buf = append(e.buf[:0], p...)
	want := e.buf
	if _, err := io.ReadFull(e.stream, want); err != nil {
		return 0, err
	}
	if !bytes.Equal(p, want) {
		at := 0
		for p[at] == want[at] {
			at++
		}
		return 0, fmt.Errorf("byte %d is wrong", e.at+int64(at))
	}
	e.at += int64(len(p))
	return len(p), nil
}
