// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// read returns what a reader says of the value behind "v = ".
func read(t *testing.T, value string, reader func(d *Document, v *Value) any) string {
	t.Helper()
	d, err := Parse("f", []byte("v = "+value))
	if err != nil {
		t.Fatal(err)
	}
	got := reader(d, d.Root.Find("v"))
	if err := d.Err(); err != nil {
		return err.Error()
	}
	return fmt.Sprint(got)
}

func TestReaders(t *testing.T) {
	integer := func(d *Document, v *Value) any { n, _ := d.Integer(v, -1, 100); return n }
	text := func(d *Document, v *Value) any { s, _ := d.String(v); return s }
	boolean := func(d *Document, v *Value) any { b, _ := d.Boolean(v); return b }
	list := func(d *Document, v *Value) any { l, _ := d.List(v); return len(l) }
	tables := func(d *Document, v *Value) any { return len(d.Tables(v)) }
	name := func(d *Document, v *Value) any { s, _ := d.Name(v); return s }
	word := func(d *Document, v *Value) any { s, _ := d.Word(v, "allow", "deny"); return s }
	duration := func(d *Document, v *Value) any { t, _ := d.Duration(v, time.Second, time.Hour); return t }

	tests := []struct {
		value  string
		reader func(*Document, *Value) any
		want   string
	}{
		{"100", integer, "100"},
		{"-1", integer, "-1"},
		{"0x10", integer, "16"},
		{"+1_0", integer, "10"},
		{"101", integer, `f:1:5: v: "101" is out of range: want -1 to 100`},
		{"-2", integer, `f:1:5: v: "-2" is out of range: want -1 to 100`},
		{"99999999999999999999", integer, `f:1:5: v: "99999999999999999999" is out of range: want -1 to 100`},
		{`"1"`, integer, `f:1:5: v: want an integer, not a string`},
		{"1.0", integer, `f:1:5: v: want an integer, not a float or a date`},
		{`"x"`, text, "x"},
		{"true", text, `f:1:5: v: want a string, not a boolean`},
		{"true", boolean, "true"},
		{"false", boolean, "false"},
		{"1", boolean, `f:1:5: v: want a boolean, not an integer`},
		{"[1, 'x']", list, "2"},
		{"[]", list, `f:1:1: v: the list is empty`},
		{"{}", list, `f:1:5: v: want a list, not a table`},
		{"[{}, {}]", tables, "2"},
		{"[{}, 1]", tables, `f:1:10: v: want a table, not an integer`},
		{"{}", tables, `f:1:5: v: want a list of tables: write [[v]]`},
		{`"web-1.a/b_c"`, name, "web-1.a/b_c"},
		{`""`, name, `f:1:5: v "": a name is 1 to 63 letters, digits and any of . _ / -`},
		{`"a b"`, name, `f:1:5: v "a b": a name is 1 to 63 letters, digits and any of . _ / -`},
		{`"\u001b[31m"`, name, `f:1:5: v "\x1b[31m": a name is 1 to 63 letters, digits and any of . _ / -`},
		{`"` + strings.Repeat("x", 63) + `"`, name, strings.Repeat("x", 63)},
		{`"` + strings.Repeat("x", 64) + `"`, name, `f:1:5: v "` + strings.Repeat("x", 64) + `": a name is 1 to 63 letters, digits and any of . _ / -`},
		{`"deny"`, word, "deny"},
		{`"Deny"`, word, `f:1:5: v: "Deny" is none of allow, deny`},
		{`"1h"`, duration, "1h0m0s"},
		{`"1s"`, duration, "1s"},
		{`"999ms"`, duration, `f:1:5: v: "999ms" is out of range: want 1s to 1h0m0s`},
		{`"30"`, duration, `f:1:5: v: "30" is not a duration: write one such as "250ms", "30s" or "2h"`},
		{"30", duration, `f:1:5: v: want a string, not an integer`},
	}
	for _, test := range tests {
		if got := read(t, test.value, test.reader); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.value, got, test.want)
		}
	}
}

func TestUnknownAndMissingKeys(t *testing.T) {
	d, err := Parse("f", []byte("[t]\nadresses = 1\ncolour = 1\n\"\\n\" = 1\nlabels = 1"))
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	note := func(v *Value) { seen = append(seen, v.Name) }
	table := d.Root.Find("t").Table
	d.Read(table, "[t]", Fields{"addresses": note, "labels": note, "no": note})
	d.Require(table, "[t]", "labels", "addresses")
	want := `f:1:2: [t] has no addresses: it is required
f:2:1: unknown key "adresses" in [t]: did you mean addresses?
f:3:1: unknown key "colour" in [t]: it may hold addresses, labels, no
f:4:1: unknown key "\n" in [t]: it may hold addresses, labels, no`
	if got := fmt.Sprint(d.Err()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if fmt.Sprint(seen) != "[labels]" {
		t.Errorf("read %v", seen)
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "", 3}, {"port", "ports", 1}, {"frmo", "from", 1}, {"same", "same", 0}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d", test.a, test.b, got, test.want)
		}
	}
}

func TestProblemsAreSortedAndCapped(t *testing.T) {
	d, err := Parse("f", []byte(strings.Repeat("\n", 20_000)))
	if err != nil {
		t.Fatal(err)
	}
	for at := 15_000; at > 0; at-- {
		d.Addf(Pos(at), "problem")
	}
	var problems Problems
	if !errors.As(d.Err(), &problems) {
		t.Fatal(d.Err())
	}
	if len(problems) != maxShown+1 {
		t.Errorf("%d problems, want %d and one line that counts the rest", len(problems), maxShown)
	}
	if got := problems[maxShown].String(); got != "f: and 14900 more problems" {
		t.Errorf("last is %q", got)
	}
	if problems[0].Line >= problems[1].Line {
		t.Errorf("not sorted: %v, %v", problems[0], problems[1])
	}
	if got, want := strings.Count(problems.Error(), "\n"), maxShown; got != want {
		t.Errorf("%d line ends, want %d", got, want)
	}
}

func TestProblemsArePrintableAndShort(t *testing.T) {
	hostile := "\x1b[31m\n\u202e\x00\"" + strings.Repeat("A", 1<<20)
	d, err := Parse(hostile[:20], []byte("a = 1"))
	if err != nil {
		t.Fatal(err)
	}
	d.Addf(0, "raw %s", hostile)
	d.Addf(0, "quoted %s", Quote(hostile))
	for line := range strings.Lines(d.Err().Error()) {
		line = strings.TrimSuffix(line, "\n")
		if len(line) > maxMessage+200 {
			t.Errorf("%d bytes long", len(line))
		}
		if i := strings.IndexFunc(line, hidden); i >= 0 {
			t.Errorf("hidden character in %q", line)
		}
	}
}

func TestReadFileRefusesWhatIsNoSmallRegularFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.toml")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := ReadFile(path, 5); err != nil || string(text) != "12345" {
		t.Errorf("ReadFile = %q, %v", text, err)
	}
	if _, err := ReadFile(path, 4); err == nil || !strings.Contains(err.Error(), path+": longer than 4 bytes") {
		t.Errorf("too long: %v", err)
	}
	if _, err := ReadFile(dir, 4); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
	if _, err := ReadFile("/dev/zero", 4); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("device: %v", err)
	}
	_, err := ReadFile(filepath.Join(dir, "none\n"), 4)
	if !errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "\n") {
		t.Errorf("no file: %q", err)
	}
}
