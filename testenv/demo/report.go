// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// report writes what happens as it happens, and counts what is not as it should be. One goroutine uses it.
type report struct {
	w        io.Writer
	colour   bool
	sections int
	checks   int   // rows that were compared with what they should be
	wrong    int   // of these, those that are not
	err      error // the first that writing gave
}

// newReport writes in colour on a terminal that wants it (https://no-color.org).
func newReport(w io.Writer) *report {
	f, ok := w.(*os.File)
	dull := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	return &report{w: w, colour: ok && !dull && term.IsTerminal(int(f.Fd()))}
}

// Colours, as ECMA-48 has them.
const (
	bold  = "1"
	faint = "2"
	red   = "1;31"
	green = "32"
)

// paint gives text a colour, if there are colours.
func (r *report) paint(colour, text string) string {
	if !r.colour || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// print writes a line.
func (r *report) print(line string) {
	if r.err == nil {
		_, r.err = fmt.Fprintln(r.w, strings.TrimRight(line, " "))
	}
}

// section begins a chapter.
func (r *report) section(format string, args ...any) {
	r.sections++
	r.print("")
	r.print(r.paint(bold, fmt.Sprintf("%d. ", r.sections)+fmt.Sprintf(format, args...)))
}

// say writes a line.
func (r *report) say(format string, args ...any) { r.print("   " + fmt.Sprintf(format, args...)) }

// The marks in front of a row.
const (
	good = "ok"
	bad  = "WRONG"
)

// check writes a line about something that has to hold.
func (r *report) check(holds bool, format string, args ...any) {
	r.print("   " + r.mark(holds) + " " + fmt.Sprintf(format, args...))
}

// mark counts a check and gives its mark, both of the same width.
func (r *report) mark(holds bool) string {
	r.checks++
	if holds {
		return r.paint(green, fmt.Sprintf("%-*s", len(bad), good))
	}
	r.wrong++
	return r.paint(red, bad)
}

// row is a row of a table. In a table of checks it holds or is wrong.
type row struct {
	cells []string
	holds bool
}

// table writes rows in columns as they come, so that the widths are settled before.
type table struct {
	*report
	widths []int
	checks bool // each row has a mark
}

// table writes the headings of a table.
func (r *report) table(headings []string, widths []int, checks bool) *table {
	t := &table{report: r, widths: widths, checks: checks}
	indent := "   "
	if checks {
		indent += strings.Repeat(" ", len(bad)+1)
	}
	r.print(indent + r.paint(faint, align(headings, widths)))
	return t
}

// showTable writes a table whose rows are all there.
func (r *report) showTable(headings []string, checks bool, rows []row) {
	cells := [][]string{headings}
	for _, row := range rows {
		cells = append(cells, row.cells)
	}
	t := r.table(headings, widthsOf(cells), checks)
	for _, row := range rows {
		t.add(row)
	}
}

func (t *table) add(row row) {
	line := "   "
	if t.checks {
		line += t.mark(row.holds) + " "
	}
	t.print(line + align(row.cells, t.widths))
}

// widthsOf are the widths that the columns need, in characters.
func widthsOf(rows [][]string) (widths []int) {
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// align pads cells to their columns.
func align(cells []string, widths []int) string {
	padded := make([]string, len(cells))
	for i, cell := range cells {
		padded[i] = cell + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)))
	}
	return strings.Join(padded, "  ")
}

// milliseconds writes a time for people.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
