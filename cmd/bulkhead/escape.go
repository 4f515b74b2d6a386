// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Names, labels and messages come from files, clients and interfaces. Whatever
// is in them, what a person or a log gets is one line of printable text: no
// escape sequence, no new line, nothing that turns the direction of writing.

// maxCell is how much of a string a table shows, in characters.
const maxCell = 160

// printable gives s with every character escaped that is not printable, as in
// Go's string literals. Quotes and backslashes stay as they are.
func printable(s string) string {
	if !strings.ContainsFunc(s, hidden) {
		return s
	}
	var b []byte
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, s[0])
		case hidden(r):
			quoted := strconv.QuoteRune(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		default:
			b = append(b, s[:n]...)
		}
		s = s[n:]
	}
	return string(b)
}

// hidden tells whether a terminal would do something else with r than show it.
func hidden(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// cell gives s for a table: printable, not too long, and a dash when empty.
func cell(s string) string {
	if s == "" {
		return "-"
	}
	cut := 0 // by characters, and before escaping: a megabyte is not looked at
	for range maxCell {
		_, n := utf8.DecodeRuneInString(s[cut:])
		cut += n
	}
	if cut < len(s) {
		return printable(s[:cut]) + "…"
	}
	return printable(s)
}

// escapeHidden gives a JSON or YAML text with the characters escaped that
// their encoders leave as they are although they are not printable. They stand
// in quoted strings only. long is how the format writes those over U+FFFF.
func escapeHidden(text []byte, long func([]byte, rune) []byte) []byte {
	if !bytes.ContainsFunc(text, unseen) {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		switch {
		case !unseen(r):
			b = utf8.AppendRune(b, r)
		case r > 0xffff:
			b = long(b, r)
		default:
			b = fmt.Appendf(b, `\u%04x`, r)
		}
	}
	return b
}

// unseen is hidden, but for the line ends between values.
func unseen(r rune) bool { return r != '\n' && r != utf8.RuneError && hidden(r) }

// number gives n with a comma between thousands.
func number[N int | uint16 | uint32 | uint64](n N) string {
	s := strconv.FormatUint(uint64(n), 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size gives a number of bytes in three digits and a decimal unit.
func size(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10) + " B"
	}
	v, unit := float64(n), -1 // 999.5 is where three digits round up to four
	for v >= 999.5 && unit < 5 {
		v, unit = v/1000, unit+1
	}
	digits := 0
	switch {
	case v < 9.995:
		digits = 2
	case v < 99.95:
		digits = 1
	}
	return strconv.FormatFloat(v, 'f', digits, 64) + " " + "kMGTPE"[unit:unit+1] + "B"
}
