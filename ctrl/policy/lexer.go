// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"bulkhead/ctrl/tomlfile"
)

// selectorError is a mistake in a selector and where it is, in bytes from its
// beginning.
type selectorError struct {
	at      int
	message string
}

// Error returns the message alone; the place is for the file.
func (e *selectorError) Error() string { return e.message }

// mistake makes the error of a place in a selector.
func mistake(at int, format string, args ...any) error {
	return &selectorError{at, fmt.Sprintf(format, args...)}
}

// token is a word, a sign, or the end (text "").
type token struct {
	text string
	at   int
	word bool
}

// The words of the grammar. No label may have one as its key.
const (
	wordAny = "any"
	wordAnd = "and"
	wordOr  = "or"
	wordNot = "not"
	wordIn  = "in"
	wordHas = "has"
)

var keywords = []string{wordAny, wordAnd, wordOr, wordNot, wordIn, wordHas}

// isKeyword reports whether a word belongs to the grammar.
func isKeyword(s string) bool { return slices.Contains(keywords, s) }

// is reports whether the token is this sign or keyword.
func (t token) is(text string) bool {
	return t.text == text && (!t.word || isKeyword(text))
}

// String tells a person what the token is.
func (t token) String() string {
	if t.text == "" {
		return "the end"
	}
	return tomlfile.Quote(t.text)
}

// nextToken returns the first token at or behind a place.
func nextToken(text string, at int) (token, error) {
	for at < len(text) && strings.IndexByte(" \t\r\n", text[at]) >= 0 {
		at++
	}
	rest := text[at:]
	if rest == "" {
		return token{at: at}, nil
	}
	if n := wordLength(rest); n > 0 {
		if n > tomlfile.MaxName {
			return token{}, mistake(at, "a word of more than %d letters", tomlfile.MaxName)
		}
		return token{text: rest[:n], at: at, word: true}, nil
	}
	for _, sign := range []string{"==", "!=", "=", "(", ")", ","} {
		if strings.HasPrefix(rest, sign) {
			return token{text: sign, at: at}, nil
		}
	}
	return token{}, strange(rest, at)
}

// wordLength returns how many bytes of s from its beginning can be a word.
func wordLength(s string) int {
	i := strings.IndexFunc(s, func(r rune) bool { return !tomlfile.IsNameByte(r) })
	if i < 0 {
		return len(s)
	}
	return i
}

// strange says what to write instead of a sign that is not in the grammar.
func strange(rest string, at int) error {
	switch rest[0] {
	case '&':
		return mistake(at, "write %s instead of &", wordAnd)
	case '|':
		return mistake(at, "write %s instead of |", wordOr)
	case '!':
		return mistake(at, "write %s instead of !", wordNot)
	case '"', '\'':
		return mistake(at, "a selector has no quotes inside")
	}
	_, n := utf8.DecodeRuneInString(rest)
	return mistake(at, "%s has no meaning in a selector", tomlfile.Quote(rest[:n]))
}
