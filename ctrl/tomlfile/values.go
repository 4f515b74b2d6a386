// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// The readers below return the value and true, or note a problem at the place
// of v and return false.

// label is what messages call the value: its key, in quotes if need be.
func (v *Value) label() string {
	if IsName(v.Name) {
		return v.Name
	}
	return Quote(v.Name)
}

// is notes a problem unless v is of the kind that is wanted.
func (d *Document) is(v *Value, kind Kind) bool {
	if v.Kind == kind {
		return true
	}
	d.Addf(v.Pos, "%s: want %s, not %s", v.label(), kind, v.Kind)
	return false
}

// String reads a string.
func (d *Document) String(v *Value) (string, bool) {
	if !d.is(v, KindString) {
		return "", false
	}
	return v.Text, true
}

// Boolean reads true or false.
func (d *Document) Boolean(v *Value) (value, ok bool) {
	if !d.is(v, KindBoolean) {
		return false, false
	}
	return v.Text == "true", true
}

// Integer reads an integer from lo to hi, both included.
func (d *Document) Integer(v *Value, lo, hi int64) (int64, bool) {
	if !d.is(v, KindInteger) {
		return 0, false
	}
	n, err := strconv.ParseInt(v.Text, 0, 64)
	if err != nil || n < lo || n > hi {
		d.Addf(v.Pos, "%s: %s is out of range: want %d to %d", v.label(), Quote(v.Text), lo, hi)
		return 0, false
	}
	return n, true
}

// List reads a list that is not empty. Its elements may be of any kind.
func (d *Document) List(v *Value) ([]Value, bool) {
	if !d.is(v, KindList) {
		return nil, false
	}
	if len(v.Items) == 0 {
		d.Addf(v.Pos, "%s: the list is empty", v.label())
		return nil, false
	}
	return v.Items, true
}

// Table reads a table.
func (d *Document) Table(v *Value) (*Table, bool) {
	if !d.is(v, KindTable) {
		return nil, false
	}
	return v.Table, true
}

// Tables reads a list of tables, such as [[rule]] makes. What is no table in
// it is a problem and left out.
func (d *Document) Tables(v *Value) []*Table {
	if v.Kind == KindTable {
		d.Addf(v.Pos, "%s: want a list of tables: write [[%s]]", v.label(), v.label())
		return nil
	}
	items, _ := d.List(v)
	tables := make([]*Table, 0, len(items))
	for i := range items {
		if t, ok := d.Table(&items[i]); ok {
			tables = append(tables, t)
		}
	}
	return tables
}

// Word reads a string that is one of a few.
func (d *Document) Word(v *Value, words ...string) (string, bool) {
	s, ok := d.String(v)
	if ok && !slices.Contains(words, s) {
		d.Addf(v.Pos, "%s: %s is none of %s", v.label(), Quote(s), strings.Join(words, ", "))
		return "", false
	}
	return s, ok
}

// MaxName is the length of the longest name in bytes.
const MaxName = 63

// IsName reports whether s can be the name of a thing: 1 to 63 letters, digits
// and "._/-", so that it needs no escaping anywhere.
func IsName(s string) bool {
	return len(s) > 0 && len(s) <= MaxName && !strings.ContainsFunc(s, func(r rune) bool { return !IsNameByte(r) })
}

// IsNameByte reports whether r may be in a name.
func IsNameByte(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._/-", r)
}

// CheckName notes a problem unless s can be a name. what is the thing that is
// named.
func (d *Document) CheckName(at Pos, what, s string) bool {
	if IsName(s) {
		return true
	}
	d.Addf(at, "%s %s: a name is 1 to %d letters, digits and any of . _ / -", what, Quote(s), MaxName)
	return false
}

// Name reads a string that is a name.
func (d *Document) Name(v *Value) (string, bool) {
	s, ok := d.String(v)
	return s, ok && d.CheckName(v.Pos, v.label(), s)
}

// Duration reads a time such as "250ms", "30s" or "2h", from lo to hi, both
// included.
func (d *Document) Duration(v *Value, lo, hi time.Duration) (time.Duration, bool) {
	s, ok := d.String(v)
	if !ok {
		return 0, false
	}
	t, err := time.ParseDuration(s)
	if err != nil {
		d.Addf(v.Pos, "%s: %s is not a duration: write one such as \"250ms\", \"30s\" or \"2h\"", v.label(), Quote(s))
		return 0, false
	}
	if t < lo || t > hi {
		d.Addf(v.Pos, "%s: %s is out of range: want %v to %v", v.label(), Quote(s), lo, hi)
		return 0, false
	}
	return t, true
}
