// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestEveryVerbHasHelpWithExamples(t *testing.T) {
	root, _ := newFakeSystem().root()
	for _, c := range root.Commands() {
		t.Run(c.Name(), func(t *testing.T) {
			code, out, errs := runCommand(c.Name(), "--help")
			if code != exitDone || errs != "" {
				t.Fatalf("exit code %d, %s", code, errs)
			}
			for _, want := range []string{"Usage:\n  bulkhead " + c.Name(), "Examples:\n  bulkhead "} {
				if !strings.Contains(out, want) {
					t.Errorf("the help has no %q:\n%s", want, out)
				}
			}
			for line := range strings.SplitSeq(out, "\n") {
				if len(line) > 120 {
					t.Errorf("line of %d characters: %s", len(line), line)
				}
			}
		})
	}
}

// The help is what people and their notes refer to: it changes on purpose only.
func TestHelpIsStable(t *testing.T) {
	_, out, _ := runCommand("--help")
	golden(t, "help.txt", out)
	_, out, _ = runCommand("run", "--help")
	golden(t, "help-run.txt", out)
}

func TestWrongCallsEndWith2AndPointToTheHelp(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"stauts"}, `unknown verb "stauts": did you mean status?`},
		{[]string{"aply", "x"}, "did you mean apply?"},
		{[]string{"frobnicate"}, `unknown verb "frobnicate"`},
		{[]string{"--frobnicate"}, "unknown flag: --frobnicate"},
		{[]string{"status", "now"}, `"now"`},
		{[]string{"status", "-o", "xml"}, "table, json, yaml"},
		{[]string{"status", "--run-dir"}, "needs an argument"},
		{[]string{"apply"}, "accepts 1 arg"},
		{[]string{"apply", "a", "b"}, "accepts 1 arg"},
		{[]string{"check"}, "accepts 1 arg"},
		{[]string{"evil\x1b[2J\nbulkhead: all is well"}, `unknown verb`},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			code, out, errs := runCommand(c.args...)
			if code != exitUsage || out != "" || !strings.Contains(errs, c.want) || !strings.Contains(errs, "--help'") {
				t.Errorf("exit code %d, want 2 with %q:\n%s%s", code, c.want, out, errs)
			}
			if strings.Count(errs, "\n") != 2 || strings.Contains(errs, "\x1b") {
				t.Errorf("not two clean lines: %q", errs)
			}
		})
	}
}

func TestWithoutAVerbTheHelpIsShown(t *testing.T) {
	code, out, _ := runCommand()
	if code != exitDone || !strings.Contains(out, "Usage:") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestFullOutputIsAFailure(t *testing.T) {
	f := newFakeSystem()
	f.stdout = full{}
	if code := f.main([]string{"version"}); code != exitFailed || !strings.Contains(f.err.String(), "disk is full") {
		t.Errorf("exit code %d: %s", code, f.err.String())
	}
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("disk is full") }

func TestJoinedErrorsAreOneLineEach(t *testing.T) {
	f := newFakeSystem()
	f.complain(errors.Join(errors.New("first\nline"), errors.Join(errors.New("second"))))
	if want := "bulkhead: first\\nline\nbulkhead: second\n"; f.err.String() != want {
		t.Errorf("said %q, want %q", f.err.String(), want)
	}
}

func TestCompletionKnowsTheWords(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"status -o ", "yaml"},
		{"run --mode ", "generic"},
		{"run --fail ", "open"},
		{"sta", "status"},
		{"apply ", "toml"},
	} {
		_, out, _ := runCommand(append([]string{cobra.ShellCompRequestCmd}, strings.Split(c.args, " ")...)...)
		if !strings.Contains(out, c.want) {
			t.Errorf("%q is completed to %q, want %q", c.args, out, c.want)
		}
	}
}
