// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"bytes"
	"fmt"
)

// The limits of a file beside its size. None is near to what a policy of a
// hundred thousand rules needs; each bounds memory that a few bytes of a
// hostile file could claim.
const (
	maxDepth  = 16      // lists and tables inside each other
	maxParts  = 1 << 18 // list elements, keys and dots of keys in one expression
	maxKey    = 8       // parts of a dotted key
	maxValues = 1 << 21 // values in a file
)

// shapeError is a limit that a file exceeds, and where.
type shapeError struct {
	pos     Pos
	message string
}

// Error returns the message alone.
func (e *shapeError) Error() string { return e.message }

// shape walks over the text once before the library's parser sees it. The
// parser keeps a whole expression in memory and calls itself for what is
// nested: both are bounded here. Up to the first mistake in the text the two
// agree on what is a string, a comment or a bracket, and at a mistake the
// parser stops.
type shape struct {
	text  []byte
	at    int
	depth int
	parts int
}

// checkShape returns the first limit that text exceeds, or nil.
func checkShape(text []byte) *shapeError {
	s := shape{text: text}
	for s.at < len(s.text) {
		s.step()
		switch {
		case s.depth > maxDepth:
			return &shapeError{Pos(s.at - 1), fmt.Sprintf("nested more than %d deep", maxDepth)}
		case s.parts > maxParts:
			return &shapeError{Pos(s.at - 1), fmt.Sprintf("more than %d elements in one list", maxParts)}
		}
	}
	return nil
}

// step moves over one byte, string or comment.
func (s *shape) step() {
	switch c := s.text[s.at]; c {
	case '"', '\'':
		s.skipString(c)
		return
	case '#':
		s.skipTo('\n')
		return
	case '[', '{':
		s.depth++
	case ']', '}':
		s.depth = max(0, s.depth-1)
	case ',', '.':
		s.parts++
	case '\n':
		if s.depth == 0 {
			s.parts = 0
		}
	}
	s.at++
}

// skipString moves behind the string that begins here with one quote, or with
// three when it may have several lines.
func (s *shape) skipString(quote byte) {
	three := bytes.Repeat([]byte{quote}, 3)
	if bytes.HasPrefix(s.text[s.at:], three) {
		s.at += 3
		for s.at < len(s.text) && !bytes.HasPrefix(s.text[s.at:], three) {
			s.skipCharacter(quote)
		}
		for s.at < len(s.text) && s.text[s.at] == quote { // up to two belong to the string
			s.at++
		}
		return
	}
	s.at++
	for s.at < len(s.text) && s.text[s.at] != quote && s.text[s.at] != '\n' {
		s.skipCharacter(quote)
	}
	if s.at < len(s.text) && s.text[s.at] == quote {
		s.at++
	}
}

// skipCharacter moves over one character of a string. A backslash takes the
// next one with it, but not between single quotes.
func (s *shape) skipCharacter(quote byte) {
	if quote == '"' && s.text[s.at] == '\\' {
		s.at++
	}
	s.at = min(s.at+1, len(s.text))
}

// skipTo moves to the next byte c, or to the end.
func (s *shape) skipTo(c byte) {
	if i := bytes.IndexByte(s.text[s.at:], c); i >= 0 {
		s.at += i
		return
	}
	s.at = len(s.text)
}
