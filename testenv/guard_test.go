// SPDX-License-Identifier: Apache-2.0

package testenv_test

import (
	"bytes"
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// These tests hold what the whole repository promises about itself. They read the sources, not what they do.

const module = "bulkhead"

// rule is a line of mayImport; others are folders, with everything below them.
type rule struct {
	folder string
	others []string
	why    string
}

// mayImport says, for the packages of each folder, what else of ours they may import outside of their tests, and why
// not more. The first folder that fits counts. Imports go one way, so that each part can be read, tested
// and trusted without those above it.
var mayImport = []rule{
	{"classifier", nil, "it is a leaf: it knows nothing of labels, packets or kernels"},
	{"dataplane/packet", nil, "it is a leaf: what a frame says does not depend on who asks"},
	{"dataplane/event", nil, "it is a leaf: both sides of its ring import it"},
	{"flowtable", []string{"dataplane/packet"}, "it is keyed by what a packet says, and knows no policy, no worker and no BPF"},
	{"dataplane/xsk", []string{"dataplane/event", "dataplane/packet"}, "it moves frames and does not know whose"},
	{"dataplane/xdp", []string{"dataplane/event", "dataplane/packet", "flowtable"}, "it loads a program and does not know what for"},
	{"dataplane", []string{"classifier", "flowtable", "dataplane"}, "the packet's path must work while the control plane does not"},
	{"ctrl", []string{"ctrl", "classifier", "dataplane/event", "dataplane/packet"}, "the policy's path may use leaf types, never the path of packets"},
	{"cmd", []string{"cmd", "ctrl", "dataplane", "classifier", "flowtable"}, "what is shipped holds nothing of its tests"},
	{"bench", []string{""}, ""},
	{"testenv", []string{""}, ""},
}

// neverImport says which packages of others a folder must do without, outside of its tests.
var neverImport = []struct {
	folders []string
	pkg     string // a package or the beginning of its path
	why     string
}{
	{[]string{"classifier", "flowtable", "dataplane", "ctrl", "cmd"}, "testing", "what is shipped holds nothing of its tests"},
	{[]string{"classifier", "flowtable", "dataplane"}, "github.com/google/gopacket", "its decoders allocate, and panic on hostile frames"},
	{[]string{"classifier", "flowtable", "dataplane/packet", "dataplane/event", "dataplane/xsk"}, "log", "nothing is logged for a packet"},
	{[]string{"classifier", "flowtable", "dataplane/packet", "dataplane/event", "dataplane/xsk"}, "github.com/vishvananda/netlink/nl", "raw netlink has no place on the packet's path"},
	{[]string{"classifier", "flowtable", "dataplane", "ctrl", "cmd"}, "C", "CGO_ENABLED=0 must build"},
}

// pathModules is how many modules of others the packet's path may depend on directly.
const pathModules = 5

// pkg is what `go list -json` says of a package, as far as it is needed here.
type pkg struct {
	ImportPath, Name, Doc      string
	GoFiles, CgoFiles, Imports []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	all, err := listed()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return all
}

var listed = sync.OnceValues(func() (all []pkg, err error) {
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Doc,GoFiles,CgoFiles,Imports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); err {
		case nil:
			all = append(all, p)
		case io.EOF:
			return all, nil
		default:
			return nil, err
		}
	}
})

// root is the folder of the repository.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// under tells whether a path is a folder or below it; the empty folder holds all.
func under(path, folder string) bool {
	return folder == "" || path == folder || strings.HasPrefix(path, folder+"/")
}

func TestImportsGoOneWay(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		which := slices.IndexFunc(mayImport, func(r rule) bool { return under(path, r.folder) })
		if which < 0 {
			t.Errorf("%s: no rule says what it may import: add one to mayImport", path)
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module+"/")
			if ours && !slices.ContainsFunc(mayImport[which].others, func(f string) bool { return under(other, f) }) {
				t.Errorf("%s imports %s: %s", path, other, mayImport[which].why)
			}
			for _, n := range neverImport {
				if under(imported, n.pkg) && slices.ContainsFunc(n.folders, func(f string) bool { return under(path, f) }) {
					t.Errorf("%s imports %s: %s", path, imported, n.why)
				}
			}
		}
		if len(p.CgoFiles) > 0 {
			t.Errorf("%s: %v use cgo: CGO_ENABLED=0 must build", path, p.CgoFiles)
		}
	}
}

func TestThePacketPathDependsOnLittle(t *testing.T) {
	modules := map[string]bool{}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module+"/")
		if !under(path, "dataplane") && !under(path, "classifier") && !under(path, "flowtable") {
			continue
		}
		for _, imported := range p.Imports {
			if host, _, _ := strings.Cut(imported, "/"); strings.Contains(host, ".") {
				// host/owner/name, or golang.org/x/name: enough to tell modules apart
				modules[strings.Join(strings.SplitN(imported, "/", 4)[:min(3, strings.Count(imported, "/")+1)], "/")] = true
			}
		}
	}
	if len(modules) > pathModules {
		t.Errorf("the packet's path imports %d modules of others, at most %d: %v", len(modules), pathModules, modules)
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue // tests only
		}
		if !strings.HasPrefix(p.Doc, "Package "+p.Name+" ") && !(p.Name == "main" && strings.HasPrefix(p.Doc, "Command ")) {
			t.Errorf("%s: the package comment is %q, want Package %s ..., or Command ...", p.ImportPath, p.Doc, p.Name)
		}
	}
}

// file is a file of the repository: where, and its text.
type file struct {
	path string // from the root
	text []byte
}

// files are all files of the repository but git's own, those that it ignores, and binaries.
func files(t *testing.T) (all []file) {
	t.Helper()
	top := root(t)
	ignored := ignoredNames(t)
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(top, path)
		switch {
		case err != nil:
			if os.IsNotExist(err) { // another test's temporary file
				return nil
			}
			return err
		case d.IsDir() && (d.Name() == ".git" || ignored(rel)):
			return fs.SkipDir
		case !d.Type().IsRegular() || ignored(rel):
			return nil
		}
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			return nil
		}
		if bytes.IndexByte(text, 0) < 0 {
			all = append(all, file{rel, text})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// ignoredNames understands what .gitignore says here: /path, /path/ and *.suffix.
func ignoredNames(t *testing.T) func(path string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), ".gitignore"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	patterns := strings.Fields(string(text))
	return func(path string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool {
			suffix, starred := strings.CutPrefix(p, "*")
			return starred && strings.HasSuffix(path, suffix) || !starred && "/"+path == strings.TrimSuffix(p, "/")
		})
	}
}

// generated tells whether a program wrote the file; such files are exempt from what they cannot have.
func (f file) generated() bool {
	return filepath.Ext(f.path) == ".go" && bytes.HasPrefix(f.text, []byte("// Code generated "))
}

// source tells whether the file is a program in one of our languages.
func (f file) source() bool {
	return slices.Contains([]string{".go", ".c", ".h", ".sh"}, filepath.Ext(f.path))
}

func TestUnsafeIsInFilesThatSaySo(t *testing.T) {
	for _, f := range files(t) {
		if filepath.Ext(f.path) != ".go" {
			continue
		}
		says := strings.HasSuffix(f.path, "_unsafe.go") || strings.HasSuffix(f.path, "_unsafe_test.go")
		parsed, err := parser.ParseFile(token.NewFileSet(), f.path, f.text, parser.ImportsOnly)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for _, i := range parsed.Imports {
			if i.Path.Value == `"unsafe"` && !says {
				t.Errorf("%s imports unsafe: only files named *_unsafe.go may", f.path)
			}
		}
	}
}

// licences are the first lines, after an interpreter's, of each kind of source.
var licences = map[string]*regexp.Regexp{
	".go": regexp.MustCompile(`^// SPDX-License-Identifier: Apache-2\.0\n\n`),
	".c":  regexp.MustCompile(`^// SPDX-License-Identifier: GPL-2\.0 OR Apache-2\.0\n`),
	".h":  regexp.MustCompile(`^(//|/\*) SPDX-License-Identifier: [^\n]+\n`), // may be somebody else's
	".sh": regexp.MustCompile(`^(#![^\n]+\n)?# SPDX-License-Identifier: Apache-2\.0\n`),
}

func TestEverySourceNamesItsLicence(t *testing.T) {
	for _, f := range files(t) {
		if f.source() && !f.generated() && !licences[filepath.Ext(f.path)].Match(f.text) {
			t.Errorf("%s: the first line is not the SPDX line of its kind (%v)", f.path, licences[filepath.Ext(f.path)])
		}
	}
}

func TestNoSourceIsTooLong(t *testing.T) {
	const limit = 600
	for _, f := range files(t) {
		if lines := bytes.Count(f.text, []byte("\n")); f.source() && !f.generated() && lines > limit {
			t.Errorf("%s has %d lines, at most %d", f.path, lines, limit)
		}
	}
}

// rooms are the folders of the house; others are named with a dot.
var rooms = []string{"cmd", "dataplane", "classifier", "flowtable", "ctrl", "bench", "configs", "testenv"}

func TestTheHouseHasNoOtherRooms(t *testing.T) {
	ignored := ignoredNames(t)
	entries, err := os.ReadDir(root(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(rooms, e.Name()) && !ignored(e.Name()) {
			t.Errorf("the top level has the folder %s: want only %v", e.Name(), rooms)
		}
	}
}

// strangers are what no file may name: places of somebody's machine and where packages are fetched from.
// They are put together here so that this file is none of those found.
var strangers = []string{
	"/wo" + "rk/main", "/wo" + "rk/sha" + "red", "/wo" + "rk/tmp", "/ro" + "ot/", "/ho" + "me/",
	"proxy.gol" + "ang.org", "GOPR" + "OXY", "registry.np" + "mjs", "pypi" + ".org", "HELP" + "ER.md",
}

func TestNoFileSpeaksOfWhereItWasWritten(t *testing.T) {
	for _, f := range files(t) {
		for n, line := range strings.Split(string(f.text), "\n") {
			for _, s := range strangers {
				if strings.Contains(line, s) {
					t.Errorf("%s:%d speaks of %s", f.path, n+1, s)
				}
			}
		}
	}
}

// TestTheGuardSeesWhatItForbids gives the rules above something to find, for a guard that finds nothing guards nothing.
func TestTheGuardSeesWhatItForbids(t *testing.T) {
	if !under("dataplane/xsk", "dataplane") || under("dataplanes", "dataplane") || !under("log/slog", "log") {
		t.Error("under")
	}
	for name, bad := range map[string]string{
		"a.go": "// SPDX-License-Identifier: Apache-2.0\npackage a\n", "a.c": "// SPDX-License-Identifier: GPL-2.0\n",
		"a.h": "#pragma once\n", "a.sh": "#!/bin/sh\nset -e\n",
	} {
		if licences[filepath.Ext(name)].MatchString(bad) {
			t.Errorf("%s: %q is taken for a licence line", name, bad)
		}
	}
	all := files(t)
	for _, want := range []string{"go.mod", "testenv/guard_test.go", "testenv/doc.go"} {
		if !slices.ContainsFunc(all, func(f file) bool { return f.path == want }) {
			t.Errorf("%s was not looked at", want)
		}
	}
	if n := len(packages(t)); n < 2 {
		t.Errorf("go list knows %d packages", n)
	}
	if !(file{"x_bpfel.go", []byte("// Code generated by bpf2go; DO NOT EDIT.\n")}).generated() {
		t.Error("generated files are not known")
	}
}

// TestArm64Builds compiles everything for the other architecture that is supported. The first time that takes
// minutes, so it wants to be asked.
func TestArm64Builds(t *testing.T) {
	if os.Getenv("BULKHEAD_LONG") == "" {
		t.Log("only with BULKHEAD_LONG=1; .ci/run vets for arm64")
		return
	}
	cmd := exec.Command("go", "build", "-o", os.DevNull, "./...")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
