// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/ctrl/api"
	"bulkhead/ctrl/config"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1 // refused or failed
	exitUsage  = 2 // called wrongly; nothing was done
)

// usageError is a wrong call that only the verb itself can see; what cobra sees
// (unknown flags, too many arguments) never gets that far.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// silent is an error that has been shown already.
type silent struct{ error }

// main runs the command with its arguments and gives the exit code.
func (s *system) main(args []string) int {
	if args == nil { // cobra would take those of the process
		args = []string{}
	}
	root, begun := s.root()
	root.SetArgs(args)
	root.SetIn(s.stdin)
	root.SetOut(s.stdout)
	root.SetErr(s.stderr)
	cmd, err := root.ExecuteC()
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, new(silent)):
		return exitFailed
	case errors.As(err, new(usageError)), !*begun:
		s.complain(err)
		fmt.Fprintf(s.stderr, "'%s --help' tells how to call it.\n", cmd.CommandPath())
		return exitUsage
	}
	s.complain(err)
	return exitFailed
}

// root builds the tree of commands. begun becomes true when a verb begins:
// errors before are mistakes in the call.
func (s *system) root() (root *cobra.Command, begun *bool) {
	root = &cobra.Command{
		Use:   "bulkhead",
		Short: "A packet enforcement gateway in the cable between two segments",
		Long: `bulkhead sits in the cable between two segments: two ports, no address, nothing
to reroute. It looks at every packet and lets through what the policy allows.`,
		Example:       "  bulkhead run --wire eth0:eth1 --policy policy.toml\n  bulkhead status",
		Args:          unknownVerb,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,

		SuggestionsMinimumDistance: 2,
	}
	root.AddCommand(s.runCommand(), s.checkCommand(), s.applyCommand(), s.statusCommand(), s.rulesCommand(), s.versionCommand())
	begun = new(bool) // cobra has no error type of its own for wrong calls
	for _, c := range root.Commands() {
		verb := c.RunE
		c.RunE = func(c *cobra.Command, args []string) error {
			*begun = true
			return verb(c, args)
		}
	}
	return root, begun
}

// complain writes an error to standard error: one line, or one for each error
// of several, and one for each problem of a policy that the gateway refused.
func (s *system) complain(err error) {
	var f *api.Failure
	var problems api.Problems
	switch {
	case errors.As(err, &f) && len(f.Problems) > 0:
		s.complainOf(f.Problems)
		return
	case errors.As(err, &problems):
		s.complainOf(problems)
		return
	}
	for _, line := range errorLines(err) {
		fmt.Fprintf(s.stderr, "bulkhead: %s\n", printable(line))
	}
}

// complainOf writes problems to standard error as compilers do: the place comes
// first, without the name of this program, so that editors find it.
func (s *system) complainOf(problems []api.Problem) {
	for _, p := range problems {
		fmt.Fprintln(s.stderr, printable(p.String()))
	}
}

// errorLines gives the errors that errors.Join joined, one a line. No other
// error has lines: what came from outside cannot make new ones.
func errorLines(err error) (lines []string) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	for _, e := range joined.Unwrap() {
		lines = append(lines, errorLines(e)...)
	}
	return lines
}

// unknownVerb refuses arguments of the root: they are verbs that do not exist.
func unknownVerb(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var did string
	if like := c.SuggestionsFor(args[0]); len(like) > 0 {
		did = ": did you mean " + strings.Join(like, " or ") + "?"
	}
	return usagef("unknown verb %q%s", args[0], did)
}

// runDirFlag gives a verb the flag --run-dir.
func runDirFlag(c *cobra.Command) *string {
	return c.Flags().String("run-dir", config.DefaultRunDir, "directory of the gateway's lock and control socket")
}
