// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"
)

// A selector says which workloads it means by their labels:
//
//	selector = "any" | or
//	or       = and { "or" and }
//	and      = not { "and" not }
//	not      = "not" not | "(" or ")" | term
//	term     = key ("=" | "==") value | key "!=" value
//	         | key ["not"] "in" "(" value { "," value } ")"
//	         | "has" key
//
// "any" is every address, whether a workload has it or not; all else means
// workloads only. A workload without the key meets != and not in, as if they
// were written "not (key = value)".

// op is what a node of a selector does.
type op uint8

const (
	opAny op = iota // every address
	opIn            // the label key has one of values
	opHas           // there is a label key
	opNot           // not what kids[0] says
	opAnd           // what all kids say
	opOr            // what one of kids says
)

// node is a selector, or a part of one.
type node struct {
	op     op
	key    string
	values []string
	kids   []node
}

const (
	nameLabel = "name" // the label that every workload has

	maxSelector = 4096 // bytes
	maxTerms    = 256  // conditions
	maxNesting  = 32   // parentheses and nots inside each other
)

// String writes the selector in one form, however it was written.
func (n *node) String() string {
	switch n.op {
	case opIn:
		if len(n.values) == 1 {
			return n.key + "=" + n.values[0]
		}
		return fmt.Sprintf("%s in (%s)", n.key, strings.Join(n.values, ", "))
	case opHas:
		return "has " + n.key
	case opNot:
		return "not " + n.kids[0].inner()
	case opAnd, opOr:
		parts := make([]string, len(n.kids))
		for i := range n.kids {
			parts[i] = n.kids[i].inner()
		}
		return strings.Join(parts, map[op]string{opAnd: " and ", opOr: " or "}[n.op])
	}
	return wordAny
}

// inner is String for a part of a selector.
func (n *node) inner() string {
	if n.op == opAnd || n.op == opOr {
		return "(" + n.String() + ")"
	}
	return n.String()
}
