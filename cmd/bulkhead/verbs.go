// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"bulkhead/ctrl/api"
)

// How long the verbs wait for the gateway.
const (
	askWithin   = 30 * time.Second
	applyWithin = 10 * time.Minute // a large policy on a slow machine
)

// The verbs that talk to a running gateway, nouns first: each asks by the
// control socket, and shows what came back. A verb knows the contract of
// package api and nothing else of the gateway.

// statusCommand makes the verb status.
func (s *system) statusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the gateway, its wires, ports and counters",
		Example: `  bulkhead status
  bulkhead status -o json | jq '.wires[].a.dropped'`,
		Args: cobra.NoArgs,
	}
	f, dir := formatFlag(c), runDirFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), askWithin)
		defer cancel()
		status, err := api.NewClient(*dir).Status(ctx)
		if err != nil {
			return err
		}
		return s.show(*f, status, func(w io.Writer) { drawStatus(w, status, s.now()) })
	}
	return c
}

// rulesCommand makes the verb rules.
func (s *system) rulesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "rules",
		Short: "Show the rules in force and how many flows each has judged",
		Example: `  bulkhead rules
  bulkhead rules -o json | jq '.rules[] | select(.hits == 0) | .name'`,
		Args: cobra.NoArgs,
	}
	f, dir := formatFlag(c), runDirFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		ctx, cancel := context.WithTimeout(c.Context(), askWithin)
		defer cancel()
		rules, err := api.NewClient(*dir).Rules(ctx)
		if err != nil {
			return err
		}
		return s.show(*f, rules, func(w io.Writer) { drawRules(w, rules) })
	}
	return c
}

// applyCommand makes the verb apply. The file is read here, with the rights of
// who calls: the gateway is sent its text and opens nothing.
func (s *system) applyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "apply FILE",
		Short: "Bring a policy into force",
		Long: `Bring a policy into force in the running gateway, whole or not at all, without
losing a packet. When it returns, every packet is judged by the new policy. A
policy with mistakes is refused and the one in force stays.

The gateway's own policy file stays as it is: the gateway goes back to it when it
starts again, or gets SIGHUP.`,
		Example: `  bulkhead apply policy.toml
  bulkhead check policy.toml && bulkhead apply policy.toml -o json`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: tomlFiles,
	}
	f, dir := formatFlag(c), runDirFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		text, err := readText(args[0])
		if err != nil {
			return err
		}
		file, err := filepath.Abs(args[0]) // our directory is not the gateway's
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(c.Context(), applyWithin)
		defer cancel()
		applied, err := api.NewClient(*dir).Apply(ctx, file, text)
		if err != nil {
			return s.refused(*f, err)
		}
		return s.show(*f, applied, func(w io.Writer) { drawApplied(w, applied) })
	}
	return c
}

// refused shows why the gateway refused a policy: to people on standard error,
// to programs as the document that the gateway sent.
func (s *system) refused(f format, err error) error {
	var why *api.Failure
	if f == "table" || !errors.As(err, &why) {
		return err
	}
	if err := s.show(f, why, nil); err != nil {
		return err
	}
	return silent{err}
}

// versionCommand makes the verb version.
func (s *system) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show the version of this program",
		Example: "  bulkhead version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(s.stdout, "bulkhead", longBuild())
			return err
		},
	}
}

// tomlFiles has the shell offer files that can be a policy or a configuration.
func tomlFiles(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return []string{"toml"}, cobra.ShellCompDirectiveFilterFileExt
}
