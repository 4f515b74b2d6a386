// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// belongings are those that were not there before.
func belongings(t *testing.T, before []string) []string {
	t.Helper()
	now, err := Belongings()
	must(t, err)
	return slices.DeleteFunc(now, func(s string) bool { return slices.Contains(before, s) })
}

// has tells whether one of the list has all the words.
func has(list []string, words ...string) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
	})
}

func TestBelongingsShowWhatIsLeft(t *testing.T) {
	RequireForTest(t)
	before := belongings(t, nil)
	dir, err := TempDir("left")
	must(t, err)
	bpffs, unmount, err := MountBPFFS(dir)
	must(t, err)
	n, err := NewNamed("left")
	must(t, err)
	_, err = n.Listen("tcp", ":7")
	must(t, err)
	p, err := n.Start(childCommand("ready"))
	must(t, err)
	if _, err := p.WaitLine(soon(t), func(line string) bool { return line == "ready" }); err != nil {
		t.Fatal(err)
	}
	var left []string
	must(t, n.Do(func() error { left = belongings(t, before); return nil }))
	for _, words := range [][]string{
		{dir}, {"mount", bpffs}, {n.Path()}, {"open net:["}, {"open socket:["}, {"process", filepath.Base(os.Args[0])[:10]},
		{"thread in net:["}, // the one that asks
	} {
		if !has(left, words...) {
			t.Errorf("%q is missing in %q", words, left)
		}
	}
	must(t, n.Close())
	must(t, unmount())
	must(t, os.RemoveAll(dir))
	eventually(t, "all is gone", func() bool { return len(belongings(t, before)) == 0 })
}

func TestTempDirEndsWithTheProcess(t *testing.T) {
	dir, err := TempDir("left")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 || !ourName.MatchString(filepath.Base(dir)) {
		t.Errorf("%s has mode %v", dir, info.Mode())
	}
	must(t, CloseAll())
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there: %v", dir, err)
	}
}

func TestSweepRemovesFoldersOfTheDead(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dead, alive, other := "bh-999999999-1-demo-1", uniqueName("demo")+"-1", "bh-demo"
	for _, name := range []string{dead, alive, other} {
		must(t, os.MkdirAll(filepath.Join(os.TempDir(), name, "deep"), 0o700))
	}
	must(t, sweepFolders())
	entries, err := os.ReadDir(os.TempDir())
	must(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{alive, other}
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
