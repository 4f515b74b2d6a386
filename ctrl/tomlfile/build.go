// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"fmt"

	"github.com/pelletier/go-toml/v2/unstable"
)

// origin says how a table or list came to be. TOML 1.0 allows to add to some
// and not to others.
type origin uint8

const (
	inline   origin = iota // a value: complete where it stands
	implicit               // a table named on the way by a longer header: may get a header of its own
	header                 // a table with a header
	dotted                 // a table made by a dotted key: more dotted keys may add to it
	elements               // a list whose elements are [[headers]]
)

// builder turns the expressions of a file into the tree, one after another.
type builder struct {
	doc     *Document
	text    string // the whole file; strings of the tree are parts of it
	parser  unstable.Parser
	current *Table // what key = value lines add to
	values  int
}

// build reads all expressions. The error is the parser's, or a *shapeError.
func (b *builder) build() error {
	b.doc.Root = &Table{}
	b.current = b.doc.Root
	for b.parser.NextExpression() {
		node := b.parser.Expression()
		if err := b.expression(node); err != nil {
			return err
		}
	}
	return b.parser.Error()
}

// expression adds one line, or header, to the tree.
func (b *builder) expression(node *unstable.Node) error {
	path, err := b.path(node.Key())
	if err != nil {
		return err
	}
	switch node.Kind {
	case unstable.KeyValue:
		b.keyValue(b.current, path, node.Value())
	case unstable.Table:
		b.table(path)
	case unstable.ArrayTable:
		b.element(path)
	}
	if b.values > maxValues {
		return &shapeError{path[0].at, fmt.Sprintf("more than %d values in the file", maxValues)}
	}
	return nil
}

// part is one part of a dotted key.
type part struct {
	name string
	at   Pos
}

// path reads the parts of a dotted key.
func (b *builder) path(keys unstable.Iterator) ([]part, error) {
	path := make([]part, 0, 2)
	for keys.Next() {
		node := keys.Node()
		p := part{at: Pos(node.Raw.Offset)}
		p.name, _ = b.words(node)
		if path = append(path, p); len(path) > maxKey {
			return nil, &shapeError{p.at, fmt.Sprintf("a key of more than %d parts", maxKey)}
		}
	}
	return path, nil
}

// words returns the text of a key or string, and whether it stands in the file
// as it is between one pair of quotes: then it is a part of the file's text.
func (b *builder) words(node *unstable.Node) (text string, plain bool) {
	from, n := int(node.Raw.Offset), len(node.Data)
	switch int(node.Raw.Length) - n {
	case 0:
		return b.text[from : from+n], false
	case 2:
		return b.text[from+1 : from+1+n], true
	}
	return string(node.Data), false
}

// table makes the table of a [header] the current one.
func (b *builder) table(path []part) {
	parent, last := b.parent(path)
	v := parent.Find(last.name)
	switch {
	case v == nil:
		v = b.add(parent, last, Value{Kind: KindTable, origin: header})
	case v.Kind == KindTable && v.origin == implicit:
		v.origin, v.Pos, v.Key = header, last.at, last.at
		v.Table.Pos = last.at
	default:
		b.repeated(last, v)
		v = &Value{Table: &Table{Pos: last.at}} // takes what follows, and is forgotten
	}
	b.current = v.Table
}

// element makes a new element of the list of a [[header]] the current table.
func (b *builder) element(path []part) {
	parent, last := b.parent(path)
	b.current = &Table{Pos: last.at}
	list := parent.Find(last.name)
	switch {
	case list == nil:
		list = b.add(parent, last, Value{Kind: KindList, origin: elements})
	case list.Kind != KindList || list.origin != elements:
		b.repeated(last, list)
		return
	}
	b.values++
	list.Items = append(list.Items, Value{
		Name: last.name, Kind: KindTable, Table: b.current, Pos: last.at, Key: last.at, origin: header,
	})
}

// parent walks to the table that holds the last part of a header, making what
// is not there.
func (b *builder) parent(path []part) (*Table, part) {
	t := b.doc.Root
	for _, p := range path[:len(path)-1] {
		v := t.Find(p.name)
		switch {
		case v == nil:
			v = b.add(t, p, Value{Kind: KindTable, origin: implicit})
		case v.Kind == KindList && v.origin == elements:
			v = &v.Items[len(v.Items)-1]
		case v.Kind != KindTable || v.origin == inline:
			b.repeated(p, v)
			v = &Value{Table: &Table{}}
		}
		t = v.Table
	}
	return t, path[len(path)-1]
}

// keyValue adds key = value to t, where the key may be dotted.
func (b *builder) keyValue(t *Table, path []part, node *unstable.Node) {
	for _, p := range path[:len(path)-1] {
		v := t.Find(p.name)
		switch {
		case v == nil:
			v = b.add(t, p, Value{Kind: KindTable, origin: dotted})
		case v.Kind != KindTable || v.origin != dotted:
			b.repeated(p, v)
			return
		}
		t = v.Table
	}
	last := path[len(path)-1]
	if v := t.Find(last.name); v != nil {
		b.repeated(last, v)
		return
	}
	b.values++
	t.add(b.value(node, last))
}

// add appends an empty table or list to t.
func (b *builder) add(t *Table, p part, v Value) *Value {
	b.values++
	v.Name, v.Pos, v.Key = p.name, p.at, p.at
	if v.Kind == KindTable {
		v.Table = &Table{Pos: p.at}
	}
	return t.add(v)
}

// repeated reports a name that cannot be used again.
func (b *builder) repeated(p part, first *Value) {
	b.doc.Addf(p.at, "%s is already there, in line %d", Quote(p.name), b.doc.Line(first.Key))
}

// value turns the parser's node into a Value; key is what it is the value of.
func (b *builder) value(node *unstable.Node, key part) Value {
	v := Value{Name: key.name, Key: key.at, Pos: key.at}
	if node.Raw.Length > 0 { // the parser gives lists no place
		v.Pos = Pos(node.Raw.Offset)
	}
	switch node.Kind {
	case unstable.String:
		v.Kind = KindString
		v.Text, v.plain = b.words(node)
	case unstable.Integer:
		v.Kind, v.Text = KindInteger, string(node.Data)
	case unstable.Bool:
		v.Kind, v.Text = KindBoolean, string(node.Data)
	case unstable.Array:
		v.Kind, v.Items = KindList, b.items(node, key)
	case unstable.InlineTable:
		v.Kind, v.Table = KindTable, b.inlineTable(node, v.Pos)
	}
	return v
}

// items reads the elements of a list.
func (b *builder) items(node *unstable.Node, key part) []Value {
	n := 0
	for it := node.Children(); it.Next(); {
		n++
	}
	b.values += n
	items := make([]Value, 0, n)
	for it := node.Children(); it.Next(); {
		items = append(items, b.value(it.Node(), key))
	}
	return items
}

// inlineTable reads a table in braces.
func (b *builder) inlineTable(node *unstable.Node, at Pos) *Table {
	t := &Table{Pos: at}
	for it := node.Children(); it.Next(); {
		path, err := b.path(it.Node().Key())
		if err != nil {
			b.doc.Addf(at, "%v", err)
			continue
		}
		b.keyValue(t, path, it.Node().Value())
	}
	return t
}
