// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"slices"
)

// Action is what a rule says about the packets that it matches. Its number is
// the classifier.Verdict of the rule.
type Action uint8

// The actions. Deny is the zero value: what was forgotten denies.
const (
	Deny   Action = iota // drop
	Allow                // forward
	Reject               // drop, and tell the sender
)

var actionNames = []string{"deny", "allow", "reject"}

// String returns the word that stands for the action in a policy.
func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action %d", uint8(a))
}

// MarshalText writes the action as its word.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the word. The error names the words that there are.
func (a *Action) UnmarshalText(text []byte) error {
	i := slices.Index(actionNames, string(text))
	if i < 0 {
		return fmt.Errorf("action %q is none of %v", text, actionNames)
	}
	*a = Action(i)
	return nil
}
