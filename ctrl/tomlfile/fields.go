// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"maps"
	"slices"
	"strings"
)

// Fields says what may stand in a table: the keys, and what reads each.
type Fields map[string]func(v *Value)

// Read hands each entry of t to its reader, in the order of the file. A key
// that is not in fields is a problem. where is what messages call the table,
// such as "[gateway]".
func (d *Document) Read(t *Table, where string, fields Fields) {
	for i := range t.Entries {
		v := &t.Entries[i]
		if read, ok := fields[v.Name]; ok {
			read(v)
			continue
		}
		d.unknown(v, where, slices.Sorted(maps.Keys(fields)))
	}
}

// Require notes a problem for each key that is not in t.
func (d *Document) Require(t *Table, where string, keys ...string) {
	for _, key := range keys {
		if t.Find(key) == nil {
			d.Addf(t.Pos, "%s has no %s: it is required", where, key)
		}
	}
}

func (d *Document) unknown(v *Value, where string, known []string) {
	if near := nearest(v.Name, known); near != "" {
		d.Addf(v.Key, "unknown key %s in %s: did you mean %s?", Quote(v.Name), where, near)
		return
	}
	d.Addf(v.Key, "unknown key %s in %s: it may hold %s", Quote(v.Name), where, strings.Join(known, ", "))
}

// maxTypos is how many letters may be wrong for a word to be meant.
const maxTypos = 2

// nearest returns the known word that word is most likely a misspelling of, or
// "" when none is near.
func nearest(word string, known []string) string {
	best, typos := "", maxTypos+1
	for _, k := range known {
		if len(word) > len(k)+maxTypos || len(k) <= maxTypos {
			continue
		}
		if n := distance(word, k); n < typos {
			best, typos = k, n
		}
	}
	return best
}

// distance returns how many bytes have to be changed, added or removed to make
// b of a (Levenshtein). Both are short.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
