// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Pos is a place in a document: bytes from its beginning.
type Pos uint32

// Problem is one thing that is wrong with a file, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0: the file as a whole
	Column  int    `json:"column"` // in bytes from 1; 0: the line as a whole
	Message string `json:"message"`
}

// String returns "file:line:column: message" in one line of printable text,
// whatever the file's name or contents are.
func (p Problem) String() string {
	file := printable(p.File)
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s", file, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", file, p.Line, p.Column, p.Message)
}

// Problems is all that is wrong with a file, in the order of its lines. It is
// the error that callers get; errors.As finds it.
type Problems []Problem

// Error returns one problem a line.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

const (
	// maxShown is how many problems a person is shown at once.
	maxShown = 100
	// maxKept is how many problems are kept while looking; the rest is only
	// counted, so that a file of nothing but mistakes costs no memory.
	maxKept = 10_000
	// maxMessage is the length of a message in bytes. What callers quote is
	// shorter; this is for what the library quotes.
	maxMessage = 500
	// maxQuoted is how many bytes of a file's own words a message repeats.
	maxQuoted = 64
)

// Addf notes a problem at a place of the document. Words from the file are
// passed through Quote.
func (d *Document) Addf(at Pos, format string, args ...any) {
	if len(d.problems) >= maxKept {
		d.more++
		return
	}
	line, column := d.place(at)
	message := printable(fmt.Sprintf(format, args...))
	if len(message) > maxMessage {
		message = message[:maxMessage] + "..."
	}
	d.problems = append(d.problems, Problem{File: d.name, Line: line, Column: column, Message: message})
}

// Err returns the Problems noted so far in the order of their places, the
// first hundred and then how many more there are; nil when there are none.
func (d *Document) Err() error {
	if len(d.problems) == 0 {
		return nil
	}
	all := slices.Clone(d.problems)
	slices.SortStableFunc(all, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if rest := max(0, len(all)-maxShown) + d.more; rest > 0 {
		message := fmt.Sprintf("and %d more problems", rest)
		all = append(all[:min(len(all), maxShown)], Problem{File: d.name, Message: message})
	}
	return all
}

// only returns the error of a document with one problem and no tree.
func (d *Document) only(at Pos, message string) error {
	d.Addf(min(at, Pos(d.size)), "%s", message)
	return d.Err()
}

// Quote returns words of a file in quotes, escaped to printable ASCII and cut
// short when long.
func Quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.QuoteToASCII(s[:maxQuoted]) + "..."
	}
	return strconv.QuoteToASCII(s)
}

// printable escapes what could move a terminal's cursor or split a log line.
func printable(s string) string {
	if !strings.ContainsFunc(s, hidden) && !strings.ContainsRune(s, unicode.ReplacementChar) {
		return s
	}
	return strings.Trim(strconv.QuoteToASCII(s), `"`)
}

// hidden reports whether a character would not show as itself.
func hidden(r rune) bool { return !unicode.IsPrint(r) }
