// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// formats are what -o takes. JSON is the contract; YAML is the same names.
var formats = []string{"table", "json", "yaml"}

// format is the value of the flag -o.
type format string

// String, Set and Type make format a flag.
func (f *format) String() string { return string(*f) }
func (f *format) Type() string   { return strings.Join(formats, "|") }
func (f *format) Set(s string) error {
	return oneOf((*string)(f), s, formats)
}

// Flags that take one of several words name them all when they get another.

// oneOf sets *p to s, which must be one of several words.
func oneOf(p *string, s string, words []string) error {
	for _, w := range words {
		if s == w {
			*p = s
			return nil
		}
	}
	return fmt.Errorf("must be %s", strings.Join(words, ", "))
}

// word is the value of a flag that takes one of several words.
type word struct {
	value string
	words []string
}

// String, Set and Type make word a flag.
func (w *word) String() string     { return w.value }
func (w *word) Type() string       { return strings.Join(w.words, "|") }
func (w *word) Set(s string) error { return oneOf(&w.value, s, w.words) }

// formatFlag gives a verb the flag -o.
func formatFlag(c *cobra.Command) *format {
	f := format(formats[0])
	c.Flags().VarP(&f, "output", "o", "how to show it")
	complete(c, "output", formats)
	return &f
}

// complete has the shell offer the words of a flag.
func complete(c *cobra.Command, flag string, words []string) {
	err := c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // no such flag: a mistake in this program
	}
}

// show writes v to standard output: as JSON, as YAML, or as table draws it.
func (s *system) show(f format, v any, table func(io.Writer)) error {
	var b bytes.Buffer
	var err error
	switch f {
	case "json":
		err = writeJSON(&b, v)
	case "yaml":
		err = writeYAML(&b, v)
	default:
		table(&b)
	}
	if err == nil {
		_, err = s.stdout.Write(b.Bytes())
	}
	if err != nil {
		return fmt.Errorf("show the result: %w", err)
	}
	return nil
}

// writeJSON writes v for programs and for people who look at what those get.
func writeJSON(w io.Writer, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(escapeHidden(b.Bytes(), longJSON))
	return err
}

// longJSON writes a character over U+FFFF as JSON does, in two halves.
func longJSON(b []byte, r rune) []byte {
	hi, lo := utf16.EncodeRune(r)
	return fmt.Appendf(b, `\u%04x\u%04x`, hi, lo)
}

// writeYAML writes v by way of its JSON, which is YAML too: the names and
// their order are the same.
func writeYAML(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(escapeHidden(text, longYAML), &doc); err != nil {
		return err
	}
	blockStyle(&doc)
	if text, err = yaml.Marshal(&doc); err != nil {
		return err
	}
	_, err = w.Write(escapeHidden(text, longYAML))
	return err
}

// longYAML writes a character over U+FFFF as YAML does.
func longYAML(b []byte, r rune) []byte { return fmt.Appendf(b, `\U%08x`, r) }

// blockStyle takes the marks of JSON from a document: braces, and quotes but
// where a string needs them.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, hidden) {
		n.Style = yaml.DoubleQuotedStyle
	}
	if len(n.Content) == 0 && n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle // {} and []
	}
	for _, c := range n.Content {
		blockStyle(c)
	}
}

// table is rows of cells in columns. A heading that begins with '>' is that of
// a column of numbers, which stand to the right.
type table struct{ rows [][]string }

func newTable(headings ...string) *table { return &table{rows: [][]string{headings}} }

// add appends a row; its cells are printable already.
func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write draws the table below an empty line, or nothing when it has no row.
func (t *table) write(w io.Writer) {
	if len(t.rows) == 1 {
		return
	}
	for i, h := range t.rows[0] { // tabwriter can align all columns or none to the right
		if name, ok := strings.CutPrefix(h, ">"); ok {
			t.rows[0][i] = name
			t.toTheRight(i)
		}
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range t.rows {
		fmt.Fprintln(tw, strings.Join(row, "\t"))
	}
	tw.Flush()
}

// toTheRight pads the cells of a column on their left.
func (t *table) toTheRight(column int) {
	width := 0
	for _, row := range t.rows {
		width = max(width, utf8.RuneCountInString(row[column]))
	}
	for _, row := range t.rows {
		row[column] = fmt.Sprintf("%*s", width, row[column])
	}
}
