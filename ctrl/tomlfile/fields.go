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
		read, ok := fields[v.Name]
		switch {
		case ok:
			read(v)
		case len(d.problems) >= maxKept:
			d.more++ // without the search for what was meant
		default:
			d.unknown(v, where, slices.Sorted(maps.Keys(fields)))
		}
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

// unknown reports a key that is not in known, with what may have been meant.
func (d *Document) unknown(v *Value, where string, known []string) {
	if near := nearest(v.Name, known); near != "" {
		d.Addf(v.Key, "unknown key %s in %s: did you mean %s?", Quote(v.Name), where, near)
		return
	}
	d.Addf(v.Key, "unknown key %s in %s: it may hold %s", Quote(v.Name), where, strings.Join(known, ", "))
}

// nearest returns the known word that word is most likely a misspelling of, or
// "" when none is near: one typing error in a short word, two in a longer one.
func nearest(word string, known []string) string {
	const short = 6
	best, fewest := "", 3
	for _, k := range known {
		allowed := 2
		if len(k) < short {
			allowed = 1
		}
		if len(word) > len(k)+allowed {
			continue // also keeps what distance does small
		}
		if n := distance(word, k); n <= allowed && n < fewest {
			best, fewest = k, n
		}
	}
	return best
}

// distance returns how many bytes have to be changed, added, removed or
// swapped with their neighbour to make b of a (Damerau and Levenshtein).
func distance(a, b string) int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := d[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			d[i][j] = min(change, d[i-1][j]+1, d[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)][len(b)]
}
