// SPDX-License-Identifier: Apache-2.0

package tomlfile

// Kind is the TOML type of a value, as far as the gateway's files use types.
type Kind uint8

// The kinds of values.
const (
	KindOther   Kind = iota // a float, date or time: no key of ours takes one
	KindString              // Text is the string
	KindInteger             // Text is the number as it is written
	KindBoolean             // Text is "true" or "false"
	KindList                // Items are its elements
	KindTable               // Table holds its keys
)

// kindNames say to a person what was found instead of what was wanted.
var kindNames = [...]string{"a float or a date", "a string", "an integer", "a boolean", "a list", "a table"}

// String returns the kind's name with its article.
func (k Kind) String() string { return kindNames[k] }

// Value is a value of the file and its place. It is read only: its strings
// share memory with each other.
type Value struct {
	Name  string  // the key that it is the value of, also for the elements of a list
	Text  string  // as its Kind says
	Items []Value // as its Kind says
	Table *Table  // as its Kind says
	Pos   Pos     // where the value begins; lists: where the key begins
	Key   Pos     // where the key begins
	Kind  Kind

	plain  bool   // a string that stands in the file byte for byte, between single quote marks
	origin origin // who made this table or list, hence who may add to it
}

// At returns the place of byte i of a string's text. Where the file has the
// string in another form, with escapes or over several lines, it is the place
// where the string begins.
func (v *Value) At(i int) Pos {
	if v.Kind != KindString || !v.plain {
		return v.Pos
	}
	return v.Pos + 1 + Pos(min(max(i, 0), len(v.Text)))
}

// Table is a TOML table: its keys in the order of the file.
type Table struct {
	Entries []Value
	Pos     Pos // where its header, key or brace is

	index map[string]int // made when there are many entries
}

// smallTable is up to how many keys are found by comparing them all.
const smallTable = 12

// Find returns the entry of a key, or nil. The pointer is valid until another
// key is added, which no caller outside this package can do.
func (t *Table) Find(key string) *Value {
	if t.index != nil {
		if i, ok := t.index[key]; ok {
			return &t.Entries[i]
		}
		return nil
	}
	for i := range t.Entries {
		if t.Entries[i].Name == key {
			return &t.Entries[i]
		}
	}
	return nil
}

// add appends an entry whose name is not yet there.
func (t *Table) add(v Value) *Value {
	t.Entries = append(t.Entries, v)
	n := len(t.Entries)
	switch {
	case t.index != nil:
		t.index[v.Name] = n - 1
	case n > smallTable:
		t.index = make(map[string]int, 2*n)
		for i := range t.Entries {
			t.index[t.Entries[i].Name] = i
		}
	}
	return &t.Entries[n-1]
}
