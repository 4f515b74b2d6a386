// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"bulkhead/ctrl/config"
)

// The defaults of run that are not those of a configuration file.
const (
	defaultBPFFS = "/sys/fs/bpf"
	defaultName  = "bulkhead"
)

// runFlags is what run can be told on the command line.
type runFlags struct {
	config string

	// In the place of a configuration file.
	wires  []string
	policy string
	name   string
	mode   word
	fail   word

	runDir string
	bpffs  string
	level  word
}

// A gateway with --wire is a gateway with a configuration file whose other keys
// have their defaults: both ways lead to a config.Config, and on from there
// nothing knows which it was.

// onlyWithWire are the flags whose place in a configuration file is elsewhere.
var onlyWithWire = []string{"policy", "name", "mode", "fail"}

// runCommand makes the verb run.
func (s *system) runCommand() *cobra.Command {
	f := &runFlags{
		mode:  word{config.Native, []string{config.Native, config.Copy, config.Generic}},
		fail:  word{"closed", []string{"closed", "open"}},
		level: word{"info", levels},
	}
	c := &cobra.Command{
		Use:   "run [--config FILE | --wire PORT:PORT... --policy FILE]",
		Short: "Run a gateway",
		Long: `Run a gateway in the foreground until SIGINT or SIGTERM, which remove all that it
made. It writes the line 'ready' to standard error when both ports of all wires
forward. SIGHUP reads the policy file again; a bad one changes nothing.

A PORT is an interface (eth0), or the frames of one VLAN on it (eth0@10). The
wires of the command line are called wire0, wire1 and so on.

While the gateway is gone or hung, a wire that fails closed passes nothing, and
one that fails open passes everything, unjudged.`,
		Example: `  bulkhead run --wire eth0:eth1 --policy policy.toml
  bulkhead run --wire eth0@10:eth0@20 --wire eth1:eth2 --policy policy.toml --fail open
  bulkhead run --config /etc/bulkhead/bulkhead.toml`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			p, err := f.plan(c.Flags().Changed)
			if err != nil {
				return err
			}
			return s.run(p, f.level.value)
		},
	}
	f.define(c)
	return c
}

// define gives the command its flags.
func (f *runFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.config, "config", config.DefaultFile, "configuration file")
	flags.StringArrayVar(&f.wires, "wire", nil, "two ports to join, PORT:PORT; may be given several times")
	flags.StringVar(&f.policy, "policy", "", "policy file")
	flags.StringVar(&f.name, "name", defaultName, "name of the gateway")
	flags.Var(&f.mode, "mode", "how ports are driven; generic is slow")
	flags.Var(&f.fail, "fail", "what a wire does while the gateway is gone or hung")
	flags.StringVar(&f.runDir, "run-dir", config.DefaultRunDir, "directory for the lock and the control socket")
	flags.StringVar(&f.bpffs, "bpffs", defaultBPFFS, "mounted bpffs in which programs are pinned")
	flags.Var(&f.level, "log-level", "least severe messages to log")
	complete(c, "mode", f.mode.words)
	complete(c, "fail", f.fail.words)
	complete(c, "log-level", f.level.words)
}

// plan works out what to run; given tells which flags were. Wrong flags are a
// usageError, a wrong file is not.
func (f *runFlags) plan(given func(string) bool) (*plan, error) {
	conf, err := f.conf(given)
	if err != nil {
		return nil, err
	}
	if given("run-dir") { // stronger than the file: tests and second gateways need it
		conf.Gateway.RunDir = f.runDir
	}
	return planOf(conf, f.bpffs), nil
}

// conf gives the configuration: from a file, or made of flags.
func (f *runFlags) conf(given func(string) bool) (*config.Config, error) {
	switch {
	case given("wire") && given("config"):
		return nil, usagef("--wire and --config exclude one another: a configuration file has its wires in it")
	case given("wire") && !given("policy"):
		return nil, usagef("--wire goes with --policy: name the file that says who may reach whom")
	case given("wire"):
		return f.confOfFlags()
	}
	for _, name := range onlyWithWire {
		if given(name) {
			return nil, usagef("--%s goes with --wire; a gateway with a configuration file has it there", name)
		}
	}
	conf, err := config.Load(f.config)
	if err != nil {
		return nil, problemsOf(err)
	}
	return conf, nil
}

// confOfFlags is the configuration of a gateway without a file. The policy's
// path becomes absolute, because the status shows it to people in other
// directories. The name becomes part of a path on the bpffs, which takes no
// dots.
func (f *runFlags) confOfFlags() (*config.Config, error) {
	if f.name == "" || strings.ContainsAny(f.name, "./") || f.name != printable(f.name) {
		return nil, usagef("--name %q: a name has printable characters, without dots and slashes", f.name)
	}
	conf := config.Default()
	conf.Gateway.Name = f.name
	var err error
	if conf.Gateway.Policy, err = filepath.Abs(f.policy); err != nil {
		return nil, err
	}
	for i, text := range f.wires {
		w, err := config.ParseWire(fmt.Sprintf("wire%d", i), text)
		if err != nil {
			return nil, usagef("--wire: %w", err)
		}
		w.FailOpen = f.fail.value == "open"
		w.Mode = f.mode.value
		conf.Wires = append(conf.Wires, w)
	}
	if err := config.CheckWires(conf.Wires); err != nil {
		return nil, usagef("--wire: %w", err)
	}
	return conf, nil
}
