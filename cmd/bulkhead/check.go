// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/ctrl/api"
	"bulkhead/ctrl/config"
	"bulkhead/ctrl/tomlfile"
)

// report is what check found out about a file; JSON's names are a contract.
type report struct {
	File     string        `json:"file"`
	Kind     string        `json:"kind"` // policy or configuration
	Good     bool          `json:"good"`
	Problems []api.Problem `json:"problems"`
	Wires    []string      `json:"wires,omitempty"`  // of a configuration
	Policy   *summary      `json:"policy,omitempty"` // the policy, or that of a configuration, when it is good
}

// summary says in numbers what a policy holds.
type summary struct {
	File      string `json:"file"`
	Rules     int    `json:"rules"`
	Workloads int    `json:"workloads"`
	Services  int    `json:"services"`
	Default   string `json:"default"`
	Hash      string `json:"hash"`
}

// checkCommand makes the verb check. Problems go to standard error as those of
// a compiler do, so that editors find the places; with -o json or yaml the
// report with all of them goes to standard output.
func (s *system) checkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Check a policy or a configuration file",
		Long: `Check a policy, or a configuration file and the policy that it names, without
touching anything. All mistakes are shown at once, each with its place.`,
		Example: `  bulkhead check policy.toml
  bulkhead check /etc/bulkhead/bulkhead.toml -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: tomlFiles,
	}
	f := formatFlag(c)
	c.RunE = func(_ *cobra.Command, args []string) error {
		r, err := check(args[0])
		if err != nil {
			return err
		}
		if *f == "table" && !r.Good {
			s.complainOf(r.Problems)
		} else if err := s.show(*f, r, func(w io.Writer) { drawReport(w, r) }); err != nil {
			return err
		}
		if !r.Good {
			return silent{errors.New("the file has problems")}
		}
		return nil
	}
	return c
}

// check reads a file and reports. The error is about a file that cannot be
// read, not about one that is wrong.
func check(file string) (*report, error) {
	text, err := readText(file)
	if err != nil {
		return nil, err
	}
	r := &report{File: file, Kind: "policy", Problems: []api.Problem{}}
	if isConfig(file, text) {
		r.Kind = "configuration"
		err = r.checkConfig(file)
	} else {
		r.Policy, err = summarize(file, text, nil)
	}
	var problems api.Problems
	switch { // also a policy that cannot be read is a problem of its configuration
	case errors.As(err, &problems):
		r.Problems = problems
	case err != nil:
		r.Problems = []api.Problem{{File: file, Message: err.Error()}}
	default:
		r.Good = true
	}
	return r, nil
}

// isConfig tells a configuration from a policy by its tables. A file that is
// not TOML is neither; it is read as a policy, which says what is wrong.
func isConfig(file string, text []byte) bool {
	doc, err := tomlfile.Parse(file, text)
	if err != nil {
		return false
	}
	for _, table := range []string{"gateway", "wire", "flows", "exceptions"} {
		if doc.Root.Find(table) != nil {
			return true
		}
	}
	return false
}

// checkConfig checks a configuration and the policy that it names, whose rules
// may be limited to its wires.
func (r *report) checkConfig(file string) error {
	conf, err := config.Load(file)
	if err != nil {
		return problemsOf(err)
	}
	p := planOf(conf, "")
	for _, w := range p.engine.Wires {
		r.Wires = append(r.Wires, w.Name)
	}
	text, err := readText(p.policy)
	if err != nil {
		return err
	}
	r.Policy, err = summarize(p.policy, text, p.wires())
	return err
}

// drawReport says in one line that a file is good.
func drawReport(w io.Writer, r *report) {
	fmt.Fprintf(w, "%s: a good %s: ", printable(r.File), r.Kind)
	if len(r.Wires) > 0 {
		fmt.Fprintf(w, "%s (%s), policy %s: ", count(len(r.Wires), "wire"), cell(strings.Join(r.Wires, ", ")), printable(r.Policy.File))
	}
	p := r.Policy
	fmt.Fprintf(w, "%s, %s, %s, default %s, hash %.12s\n", count(p.Rules, "rule"),
		count(p.Workloads, "workload"), count(p.Services, "service"), p.Default, p.Hash)
}
