// SPDX-License-Identifier: Apache-2.0

package config

import (
	"path/filepath"
	"time"

	"bulkhead/ctrl/tomlfile"
)

// The functions below return readers that store what they read.

// plainName reads a name that may be part of a path.
func (r *reader) plainName(to *string) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if s, ok := r.Name(v); ok {
			if filepath.Base(s) != s || s[0] == '.' {
				r.Addf(v.Pos, "%s %s: no slash, and no dot at its beginning", v.Name, tomlfile.Quote(s))
				return
			}
			*to = s
		}
	}
}

// maxPath is the length of the longest path that is taken; a Unix socket's,
// which is below one of them, has 107 bytes at most.
const maxPath = 80

// path reads an absolute path. One with "..", or with two names for the same
// place, is not what somebody meant to write.
func (r *reader) path(to *string) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		s, ok := r.String(v)
		switch {
		case !ok:
		case !filepath.IsAbs(s) || filepath.Clean(s) != s:
			r.Addf(v.Pos, "%s: %s is not an absolute path in its shortest form", v.Name, tomlfile.Quote(s))
		case len(s) > maxPath || !printable(s):
			r.Addf(v.Pos, "%s: a path has at most %d printable ASCII letters", v.Name, maxPath)
		default:
			*to = s
		}
	}
}

// printable reports whether s is ASCII that can be shown as it is.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// group reads a name, or "" for none.
func (r *reader) group(to *string) func(*tomlfile.Value) {
	name := r.plainName(to)
	return func(v *tomlfile.Value) {
		if v.Kind == tomlfile.KindString && v.Text == "" {
			*to = ""
			return
		}
		name(v)
	}
}

// word reads one of words. What is in later would be understood, but this
// version cannot do it, and says so.
func (r *reader) word(to *string, later map[string]string, words ...string) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if what, ok := later[v.Text]; ok && v.Kind == tomlfile.KindString {
			r.Addf(v.Pos, "%s: %s is not supported: this version has no way %s", v.Name, tomlfile.Quote(v.Text), what)
			return
		}
		if s, ok := r.Word(v, words...); ok {
			*to = s
		}
	}
}

// either reads one of two words.
func (r *reader) either(to *bool, no, yes string) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if s, ok := r.Word(v, no, yes); ok {
			*to = s == yes
		}
	}
}

// integer reads an integer from lo to hi.
func (r *reader) integer(to *int, lo, hi int64) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if n, ok := r.Integer(v, lo, hi); ok {
			*to = int(n)
		}
	}
}

// duration reads a time from lo to hi.
func (r *reader) duration(to *time.Duration, lo, hi time.Duration) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if d, ok := r.Duration(v, lo, hi); ok {
			*to = d
		}
	}
}
