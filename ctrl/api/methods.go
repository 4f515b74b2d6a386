// SPDX-License-Identifier: Apache-2.0

package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// A request passes the functions of the second half of this file in their
// order: handler finds the method in the table, serve keeps Close waiting, call
// checks the parameters and calls the method, record logs a change, answer
// writes JSON.

// method is one thing that a client can ask for.
type method struct {
	verb, path string
	query      []string // parameters that it knows; any other is refused
	changes    bool     // it changes the gateway: who called it is logged
	call       func(*Server, *http.Request, http.ResponseWriter) (any, error)
}

// methods is all of them. What is not in this table does not exist, so that
// this is the place for what has to be said of every method.
var methods = []method{
	{verb: "GET", path: "/v1/status", call: (*Server).status},
	{verb: "GET", path: "/v1/rules", call: (*Server).rules},
	{verb: "POST", path: "/v1/policy", query: []string{"file"}, changes: true, call: (*Server).applyPolicy},
}

// status and rules ask the gateway, which answers at once.
func (s *Server) status(*http.Request, http.ResponseWriter) (any, error) {
	return s.gateway.Status(), nil
}

func (s *Server) rules(*http.Request, http.ResponseWriter) (any, error) {
	return s.gateway.Rules(), nil
}

// applyPolicy receives a policy and has the gateway apply it. Only while it
// does is the connection safe from making room for another.
func (s *Server) applyPolicy(r *http.Request, w http.ResponseWriter) (any, error) {
	file, err := fileParameter(r)
	if err != nil {
		return nil, err
	}
	text, err := s.budget.receive(r, w, maxPolicy)
	defer s.budget.giveBack(len(text))
	if err != nil {
		return nil, err
	}
	// From here on the change is made, whatever becomes of the client.
	c := connOf(r)
	c.hold()
	defer c.release()
	// However long it takes: neither time-out may end it, or cancel its context.
	rc := http.NewResponseController(w)
	if err := errors.Join(rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})); err != nil {
		return nil, err
	}
	applied, err := s.gateway.Apply(r.Context(), Change{File: file, Text: text, By: c.peer})
	if err := rc.SetWriteDeadline(time.Now().Add(writeAll)); err != nil {
		return nil, err
	}
	return applied, err
}

// fileParameter gives what the client calls its policy.
func fileParameter(r *http.Request) (string, error) {
	file := r.URL.Query().Get("file")
	switch {
	case file == "":
		return "policy", nil
	case len(file) > 4096 || !utf8.ValidString(file):
		return "", fail(http.StatusBadRequest, "parameter file: not a file name: at most 4096 bytes of UTF-8")
	}
	return file, nil
}

// handler serves the table.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	allowed := map[string][]string{}
	for _, m := range methods {
		mux.HandleFunc(m.verb+" "+m.path, func(w http.ResponseWriter, r *http.Request) { s.serve(m, w, r) })
		allowed[m.path] = append(allowed[m.path], m.verb)
	}
	for path, verbs := range allowed { // the less specific pattern: any other verb
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(verbs, ", "))
			s.answer(w, nil, fail(http.StatusMethodNotAllowed, "%.16q: %s takes %s", r.Method, path, strings.Join(verbs, ", ")))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.answer(w, nil, fail(http.StatusNotFound, "%.80q: no such method; this gateway's are under /v1/", r.URL.Path))
	})
	return mux
}

// serve calls a method, answers, and logs what has changed or was refused.
func (s *Server) serve(m method, w http.ResponseWriter, r *http.Request) {
	if !s.open.TryRLock() {
		s.answer(w, nil, fail(http.StatusServiceUnavailable, "the gateway is stopping"))
		return
	}
	defer s.open.RUnlock()
	answer, err := s.call(m, w, r)
	if m.changes {
		s.record(m, r, answer, err)
	}
	s.answer(w, answer, err)
}

// call checks the parameters and calls the method; a panic is an error. An
// unknown parameter is refused because it is a wish: who asks for a dry run,
// and gets the real one, was not served well.
func (s *Server) call(m method, w http.ResponseWriter, r *http.Request) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("control socket: panic", "method", m.verb+" "+m.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			answer, err = nil, fail(http.StatusInternalServerError, "a fault in the gateway; its log has the details")
		}
	}()
	for name, values := range r.URL.Query() {
		if !slices.Contains(m.query, name) || len(values) > 1 {
			return nil, fail(http.StatusBadRequest, "parameter %.40q: unknown, or more than once", name)
		}
	}
	return m.call(s, r, w)
}

// record logs a change: who, what, and what came of it. All strings from the
// client are values, never part of the message; the handler escapes values.
func (s *Server) record(m method, r *http.Request, answer any, err error) {
	p := connOf(r).peer
	log := s.log.With("method", m.verb+" "+m.path, "file", r.URL.Query().Get("file"),
		"uid", p.UID, "gid", p.GID, "pid", p.PID)
	if err != nil {
		log.Warn("change refused", "cause", err)
		return
	}
	log.Info("change made", "answer", answer)
}

// LogValue gives the answer as a group of attributes.
func (a Applied) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("generation", a.Generation), slog.Float64("ms", a.MS),
		slog.Int("kept", a.Kept), slog.Int("cut", a.Cut), slog.String("hash", a.Hash), slog.Int("rules", a.Rules))
}

// answer writes what a method returned: its answer, or a problem document.
func (s *Server) answer(w http.ResponseWriter, answer any, err error) {
	status, kind := http.StatusOK, "application/json"
	if err != nil {
		f := failureOf(err)
		answer, status, kind = f, f.Status, "application/problem+json"
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("control socket: answer", "cause", err)
		status, body = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // the client may be gone: its own loss
}

// fail makes the error of a request that is refused.
func fail(status int, format string, args ...any) *Failure {
	return &Failure{Title: http.StatusText(status), Status: status, Detail: fmt.Sprintf(format, args...)}
}

// failureOf gives the problem document for an error: of a policy that does not
// hold it is 422 with all its problems, of what the gateway itself could not do
// 500.
func failureOf(err error) *Failure {
	var f *Failure
	var problems Problems
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &problems):
		f = fail(http.StatusUnprocessableEntity, "%s", err)
		f.Problems = problems
		return f
	}
	return fail(http.StatusInternalServerError, "%s", err)
}
