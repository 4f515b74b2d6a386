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

// The marks in front of what is checked, and the room for them.
const (
	good   = "ok    "
	bad    = "WRONG "
	noMark = "      "
)

// check writes a line about something that has to hold.
func (r *report) check(holds bool, format string, args ...any) {
	r.print("   " + r.mark(holds) + fmt.Sprintf(format, args...))
}

// mark counts a check and gives its mark.
func (r *report) mark(holds bool) string {
	r.checks++
	if holds {
		return r.paint(green, good)
	}
	r.wrong++
	return r.paint(red, bad)
}

// row is a row of a table.
type row struct {
	cells   []string
	checked bool // it has a mark
	holds   bool
}

// checked is a row about something that has to hold.
func checked(holds bool, cells ...string) row { return row{cells, true, holds} }

// table writes rows in columns as they come, so that the widths are settled before.
type table struct {
	*report
	widths []int
}

// table writes the headings of a table.
func (r *report) table(headings []string, widths []int) *table {
	t := &table{report: r, widths: widths}
	r.print("   " + noMark + r.paint(faint, align(headings, widths)))
	return t
}

func (t *table) add(row row) {
	mark := noMark
	if row.checked {
		mark = t.mark(row.holds)
	}
	t.print("   " + mark + align(row.cells, t.widths))
}

// showTable writes a table whose rows are all there.
func (r *report) showTable(headings []string, rows []row) {
	cells := [][]string{headings}
	for _, row := range rows {
		cells = append(cells, row.cells)
	}
	t := r.table(headings, widthsOf(cells))
	for _, row := range rows {
		t.add(row)
	}
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

// toTheRight pads numbers on their left, to a common width.
func toTheRight(cells []string, width int) []string {
	padded := make([]string, len(cells))
	for i, cell := range cells {
		padded[i] = strings.Repeat(" ", max(0, width-utf8.RuneCountInString(cell))) + cell
	}
	return padded
}

// milliseconds writes a time for people.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
