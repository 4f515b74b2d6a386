// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
)

// Limits of a policy. They are far above what is in use, and keep what a
// hostile file can make the gateway do within a second and some hundred
// megabytes.
const (
	MaxFile  = 16 << 20 // bytes of a file
	MaxRules = 100_000  // rules in a file

	maxServices  = 1 << 20 // service alternatives of all rules together, those of equal rules counted once
	maxAddresses = 1 << 21 // addresses of all resolved selectors together
	maxEffort    = 1 << 28 // steps that resolving all selectors may take
	maxWires     = 4096    // wires that rules may name, where it is not known which there are
)

// Problems is the error of a file that is wrong: all that is wrong with it,
// by place.
type Problems = tomlfile.Problems

// Policy is a policy that has been checked and resolved. It is not changed any
// more, so that any number of goroutines may read it.
type Policy struct {
	File    string // as it was given to Load or Parse
	Hash    string // SHA-256 of the file's bytes in hexadecimal
	Default Action // of packets that no rule matches: Deny or Allow

	// Program is what the classifier answers from. The verdict of a rule is
	// its Action.
	Program *classifier.Program
	// Rules tells about each rule of Program, by the same index.
	Rules []RuleInfo
	// Workloads are sorted by name.
	Workloads []Workload
	// AssumedWires are the names of wires that rules are limited to, where
	// Options did not say which wires there are. Program then numbers them in
	// this order, which is good for checking a file and for nothing else: a
	// gateway must not enforce a policy with assumed wires.
	AssumedWires []string

	owners []owner // every address of every workload, sorted, none within another
}

// RuleInfo is what a person needs to know about a rule.
type RuleInfo struct {
	Name     string
	File     string
	Line     int // where the rule begins
	Action   Action
	From, To string   // selectors, as written
	Services []string // names, as written
	Wires    []string // names, as written; empty: every wire
}

// Workload is a thing with addresses.
type Workload struct {
	Name      string
	Line      int               // where it begins
	Addresses []netip.Prefix    // sorted
	Labels    map[string]string // without the label "name" that every workload has
}

// Options is what a policy has to fit to.
type Options struct {
	// Wires gives the numbers of the wires that there are, by name. A rule
	// that names another is refused. nil: it is not known which there are, see
	// Policy.AssumedWires.
	Wires map[string]uint16
}

// Load reads and resolves the policy in a file. The error is a Problems when
// the contents are wrong, and else says why the file could not be read.
func Load(path string, opt Options) (*Policy, error) {
	text, err := tomlfile.ReadFile(path, MaxFile)
	if err != nil {
		return nil, err
	}
	return Parse(path, text, opt)
}

// Parse does the same with the text of a file; name is what messages call it.
// The error is a Problems.
func Parse(name string, text []byte, opt Options) (*Policy, error) {
	if len(text) > MaxFile {
		return nil, Problems{{File: name, Message: "longer than 16 MiB"}}
	}
	file, err := tomlfile.Parse(name, text)
	if err != nil {
		return nil, err
	}
	doc := read(file)
	doc.checkOverlaps()
	p := doc.resolve(opt)
	if err := file.Err(); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	p.File, p.Hash = name, hex.EncodeToString(sum[:])
	return p, nil
}

// RuleName returns the name of a rule of Program by its index, and "default"
// for classifier.NoRule.
func (p *Policy) RuleName(rule int) string {
	if rule < 0 || rule >= len(p.Rules) {
		return "default"
	}
	return p.Rules[rule].Name
}
