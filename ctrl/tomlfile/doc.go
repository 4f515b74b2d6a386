// SPDX-License-Identifier: Apache-2.0

// Package tomlfile reads the TOML files that people write for the gateway, so
// that every complaint about them has a place: file, line and column. What
// the keys mean is the business of its callers, ctrl/policy and ctrl/config.
//
//	bytes --limits--> syntax (go-toml's parser) --> tree of Values, each with
//	its place --> the caller's readers --> Problems, all of them at once
//
// A file is hostile until proved otherwise: its size, nesting and number of
// values are bounded before memory is spent on them, and whatever a message
// quotes from it is cut short and escaped.
//
// The tree is built here and not by the library's decoder because a decoded
// struct has lost the places, and because the library looks for repeated keys
// in a time that grows with the square of the file.
package tomlfile

import (
	"bytes"
	"errors"
	"slices"
	"sort"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Document is one parsed file and the problems found in it so far. It belongs
// to one goroutine.
type Document struct {
	Root *Table

	name     string
	size     int
	lines    []Pos // where each line begins
	problems Problems
	more     int // problems that were only counted
}

// Parse reads text, which is at most 4 GiB long and is not kept. name is what
// messages call it. The error is a Problems with one problem: text that is not
// TOML, or that exceeds a limit of this package. A key that is given twice is
// no such error: it is among the problems that Err returns later.
func Parse(name string, text []byte) (*Document, error) {
	d := &Document{name: name, size: len(text), lines: lineStarts(text)}
	if err := checkShape(text); err != nil {
		return nil, d.only(err.pos, err.message)
	}
	b := builder{doc: d, text: string(text)}
	b.parser.Reset(slices.Clip(text))
	if err := b.build(); err != nil {
		return nil, d.syntaxError(text, err)
	}
	return d, nil
}

// File returns what messages call the document.
func (d *Document) File() string { return d.name }

// Line returns the line of a place, counted from 1.
func (d *Document) Line(at Pos) int {
	line, _ := d.place(at)
	return line
}

// place returns the line and the column, in bytes, both counted from 1.
func (d *Document) place(at Pos) (line, column int) {
	line = sort.Search(len(d.lines), func(i int) bool { return d.lines[i] > at })
	return line, int(at-d.lines[line-1]) + 1
}

// lineStarts returns where each line begins; there is at least one.
func lineStarts(text []byte) []Pos {
	starts := make([]Pos, 1, bytes.Count(text, []byte{'\n'})+1)
	for i, c := range text {
		if c == '\n' {
			starts = append(starts, Pos(i+1))
		}
	}
	return starts
}

// syntaxError says where the library's parser stopped. The place is where its
// highlight begins: a part of text, so the capacities tell the offset.
func (d *Document) syntaxError(text []byte, err error) error {
	var at Pos
	var limit *shapeError
	var syntax *unstable.ParserError
	switch {
	case errors.As(err, &limit):
		at = limit.pos
	case errors.As(err, &syntax):
		offset := len(text) - cap(syntax.Highlight)
		at = Pos(min(max(offset, 0), len(text)))
	}
	return d.only(at, err.Error())
}
