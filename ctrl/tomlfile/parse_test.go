// SPDX-License-Identifier: Apache-2.0

package tomlfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
)

func TestSyntaxErrorsHaveTheirPlace(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"no value":           {"a = 1\nb = \n", "f.toml:2:5: unexpected character U+000A at start of value"},
		"unquoted":           {"a = 20s", "f.toml:1:7: strings must be quoted"},
		"end inside a list":  {"a = [1,\n2", "f.toml:2:1: array is incomplete"},
		"end inside quotes":  {`a = "x`, "f.toml:1:6: unterminated basic string"},
		"no closing bracket": {"[a\n", "f.toml:1:3: expected ']' to close table name"},
		"not UTF-8":          {"a = \"\xff\"", "f.toml:1:6: invalid UTF-8 character in basic string"},
		"NUL":                {"a = 1\n\x00", "f.toml:2:1: invalid character at start of key: U+0000"},
		"carriage return":    {"a = 1\rb = 2", "f.toml:1:6: expected newline but got U+000D"},
		"nothing but a key":  {"a", "f.toml:1:1: expected '=' after key"},
		"nested lists":       {"a = " + strings.Repeat("[", 17), "f.toml:1:21: nested more than 16 deep"},
		"a million brackets": {"a = " + strings.Repeat("[", 1_000_000), "f.toml:1:21: nested more than 16 deep"},
		"a long list":        {"\na = [" + strings.Repeat("1,", maxParts+1) + "]", fmt.Sprintf("f.toml:2:%d: more than 262144 elements in one list", 6+2*maxParts+1)},
		"a long key":         {"a.b.c.d.e.f.g.h.i = 1", "f.toml:1:17: a key of more than 8 parts"},
		"a long header":      {"\n[a.b.c.d.e.f.g.h.i]", "f.toml:2:18: a key of more than 8 parts"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("f.toml", []byte(test.text))
			var problems Problems
			if !errors.As(err, &problems) || len(problems) != 1 {
				t.Fatalf("error %v: want one problem", err)
			}
			if got := err.Error(); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestAFileOfTooManyValuesIsRefused(t *testing.T) {
	line := "a = [" + strings.Repeat("1,", maxParts-1) + "]\n"
	text := strings.Builder{}
	for i := range maxValues/maxParts + 1 {
		fmt.Fprintf(&text, "[t%d]\n%s", i, line)
	}
	_, err := Parse("f", []byte(text.String()))
	if err == nil || !strings.Contains(err.Error(), "f:16:1: more than 2097152 values in the file") {
		t.Errorf("error %v", err)
	}
}

func TestRepeatedKeysNameTheFirst(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"key":                {"a = 1\na = 2", `f:2:1: "a" is already there, in line 1`},
		"key in a table":     {"[t]\na = 1\nb = 1\n\"a\" = 2", `f:4:1: "a" is already there, in line 2`},
		"key in braces":      {"t = {a = 1, a = 2}", `f:1:13: "a" is already there, in line 1`},
		"header":             {"[t]\n[u]\n[t]\na = 1", `f:3:2: "t" is already there, in line 1`},
		"header of a value":  {"t = 1\n[t]", `f:2:2: "t" is already there, in line 1`},
		"header of braces":   {"t = {}\n[t.u]", `f:2:2: "t" is already there, in line 1`},
		"header of a list":   {"[[t]]\n[t]", `f:2:2: "t" is already there, in line 1`},
		"element of a table": {"[t]\n[[t]]", `f:2:3: "t" is already there, in line 1`},
		"element of a list":  {"t = [{}]\n[[t]]", `f:2:3: "t" is already there, in line 1`},
		"dotted table":       {"t.a = 1\n[t]", `f:2:2: "t" is already there, in line 1`},
		"dotted in header's": {"[t.u]\n[t]\nu.a = 1", `f:3:1: "u" is already there, in line 1`},
		"dotted into braces": {"t = {}\nt.a = 1", `f:2:1: "t" is already there, in line 1`},
		"all at once":        {"a = 1\na = 2\n[b]\n[b]\na = 1\na = 1", "f:2:1: \"a\" is already there, in line 1\nf:4:2: \"b\" is already there, in line 3\nf:6:1: \"a\" is already there, in line 5"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := Parse("f", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(d.Err()); got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

// plain turns a tree into what the library decodes a file to.
func plain(v *Value) any {
	switch v.Kind {
	case KindString:
		return v.Text
	case KindInteger:
		n, _ := strconv.ParseInt(v.Text, 0, 64)
		return n
	case KindBoolean:
		return v.Text == "true"
	case KindList:
		list := []any{}
		for i := range v.Items {
			list = append(list, plain(&v.Items[i]))
		}
		return list
	case KindTable:
		return plainTable(v.Table)
	}
	return nil
}

func plainTable(t *Table) map[string]any {
	m := map[string]any{}
	for i := range t.Entries {
		m[t.Entries[i].Name] = plain(&t.Entries[i])
	}
	return m
}

// checkAgainstLibrary compares with go-toml's own decoder, which answers the
// same question by other code: is it TOML, and what does it hold?
func checkAgainstLibrary(t *testing.T, text []byte) {
	d, err := Parse("f", text)
	if err == nil {
		err = d.Err()
	}
	if err != nil && strings.Contains(err.Error(), " more than ") {
		return // a limit of ours
	}
	var want map[string]any
	wantErr := toml.Unmarshal(text, &want)
	if err != nil {
		if wantErr == nil {
			t.Fatalf("%q: refused with %v, the library accepts it", text, err)
		}
		return
	}
	if hasOther(&Value{Kind: KindTable, Table: d.Root}) {
		return // the library reads what is in floats and dates, we do not
	}
	if wantErr != nil {
		if strings.Contains(wantErr.Error(), "integer") {
			return // it does not fit: Integer says so
		}
		t.Fatalf("%q: accepted, the library says %v", text, wantErr)
	}
	if diff := cmp.Diff(want, plainTable(d.Root)); len(want) > 0 && diff != "" {
		t.Fatalf("%q: %s", text, diff)
	}
}

func hasOther(v *Value) bool {
	other := v.Kind == KindOther
	for i := range v.Items {
		other = other || hasOther(&v.Items[i])
	}
	for i := 0; v.Table != nil && i < len(v.Table.Entries); i++ {
		other = other || hasOther(&v.Table.Entries[i])
	}
	return other
}

var samples = []string{
	"", "# only a comment", "a = 1", "a.b = 1\na.c = 'x'\n[a.d]\ne = true",
	"[a.b]\n[a]\nc = \"\\u00e9\"", "[[a]]\nb = 1\n[[a]]\n[a.c]\nd = [1, [2, 'x'], {e = 1}]",
	"a = \"\"\"\nline \\\n  two\"\"\"\nb = '''x'''''", "\"q.k\" = 1\n'l' = 2\n\"\" = 3",
	"[workload.web]\naddresses = [\"10.0.0.1\", # one\n \"10.0.0.2\",\n]\nlabels = {tier = \"web\"}",
	"a = 0x1F\nb = 1_000\nc = -0\nd = 1.5\ne = 1979-05-27", "[a]\nb.c = 1\n[a.b.d]\n", "[a.b]\n[a.b]", "a = {b.c = 1, b.d = 2}",
	"a = {b = {c = 1}, b.d = 2}", "[[a.b]]\n[a]\n[[a.b]]\nx = 1", "a = [\n]\n[[a]]", "\xef\xbb\xbfa = 1", "a = \"x\\\"y\" # \"",
}

func TestParseAgreesWithTheLibrary(t *testing.T) {
	for _, s := range samples {
		checkAgainstLibrary(t, []byte(s))
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples {
		f.Add([]byte(s))
	}
	f.Fuzz(checkAgainstLibrary)
}

func TestPlacesOfValues(t *testing.T) {
	text := "a = \"plain\"\nb = \"with\\tescape\"\n[t]\n c = [1,\n 2]\n d = {e = true}\n"
	d, err := Parse("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	table := d.Root.Find("t").Table
	list := table.Find("c")
	places := map[string]Pos{
		"1:5":  d.Root.Find("a").Pos,
		"1:8":  d.Root.Find("a").At(2), // behind the quote mark, then two bytes
		"1:11": d.Root.Find("a").At(99),
		"2:5":  d.Root.Find("b").At(7), // not a place inside: it has an escape
		"3:2":  table.Pos,
		"4:2":  list.Pos,
		"4:7":  list.Items[0].Pos,
		"5:2":  list.Items[1].Pos,
		"6:6":  table.Find("d").Pos,
		"6:11": table.Find("d").Table.Find("e").Pos,
	}
	for want, at := range places {
		line, column := d.place(at)
		if got := fmt.Sprintf("%d:%d", line, column); got != want || d.Line(at) != line {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestTablesOfManyKeysFindThemAll(t *testing.T) {
	text := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&text, "k%d = %d\n", i, i)
	}
	d, err := Parse("f", []byte(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		if v := d.Root.Find(fmt.Sprintf("k%d", i)); v == nil || v.Text != strconv.Itoa(i) {
			t.Fatalf("k%d: %+v", i, v)
		}
	}
	if d.Root.Find("k1000") != nil {
		t.Error("found what is not there")
	}
}
