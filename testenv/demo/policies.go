// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"embed"
	"fmt"
	"strings"

	"bulkhead/ctrl/policy"
)

// The policies, in the order of the story.
const (
	firstPolicy   = "policy.toml"
	wrongPolicy   = "mistakes.toml"
	secondPolicy  = "policy-2.toml"
	housekeeping  = "multicast-listeners" // the rule that hosts meet without being asked
	defaultAction = "(default)"           // stands where no rule matches
)

//go:embed policies/*.toml
var policies embed.FS

// text is the text of a policy.
func text(name string) []byte {
	b, err := policies.ReadFile("policies/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return b
}

// wires numbers the wires as the gateway does.
var wires = map[string]uint16{"wire0": 0}

// showPolicy shows the rules in force.
func (d *demo) showPolicy(context.Context) error {
	d.section("The policy, testenv/demo/policies/%s: the first rule that matches decides, else default = %q",
		firstPolicy, d.policy.Default)
	d.showTable([]string{"RULE", "FROM", "TO", "SERVICE", "ACTION", "LINE"}, rulesOf(d.policy))
	return nil
}

// rulesOf are the rules of a policy as rows of a table.
func rulesOf(p *policy.Policy) (rows []row) {
	for _, r := range p.Rules {
		rows = append(rows, row{cells: []string{r.Name, r.From, r.To, strings.Join(r.Services, ", "),
			r.Action.String(), fmt.Sprint(r.Line)}})
	}
	return rows
}
