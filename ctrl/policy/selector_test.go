// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestSelectorsAreReadByTheGrammar(t *testing.T) {
	tests := map[string]string{
		"any":                             "any",
		"  any\n":                         "any",
		"tier=web":                        "tier=web",
		"tier == web":                     "tier=web",
		"tier!=web":                       "not tier=web",
		"tier in (web)":                   "tier=web",
		"tier in (web, app,db)":           "tier in (web, app, db)",
		"tier not in (web, app)":          "not tier in (web, app)",
		"not tier in (web, app)":          "not tier in (web, app)",
		"has tier":                        "has tier",
		"not has tier":                    "not has tier",
		"not not has tier":                "not not has tier",
		"a=1 and b=2 or c=3":              "(a=1 and b=2) or c=3",
		"a=1 or b=2 and c=3":              "a=1 or (b=2 and c=3)",
		"(a=1 or b=2) and c=3":            "(a=1 or b=2) and c=3",
		"not a=1 and b=2":                 "not a=1 and b=2",
		"not (a=1 and b=2)":               "not (a=1 and b=2)",
		"((a=1))":                         "a=1",
		"a=1 and b=2 and c=3":             "a=1 and b=2 and c=3",
		"name=any":                        "name=any",
		"tier=in":                         "tier=in",
		"tier in (and, or, not, has, in)": "tier in (and, or, not, has, in)",
		"app.kubernetes.io/name=x":        "app.kubernetes.io/name=x",
		"notes=1":                         "notes=1",
		"android=1 or order=2":            "android=1 or order=2",
		"a=-":                             "a=-",
	}
	for text, want := range tests {
		n, err := parseSelector(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got := n.String(); got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestSelectorMistakesHaveTheirColumn(t *testing.T) {
	tests := map[string]string{
		"":                                "0: the selector is empty: write any, or a condition such as tier=web",
		"  \t ":                           "0: the selector is empty: write any, or a condition such as tier=web",
		"any and a=1":                     `4: any stands alone: it cannot be followed by "and"`,
		"any any":                         `4: any stands alone: it cannot be followed by "any"`,
		"a=1 or any":                      "7: any stands alone: it cannot be part of a longer selector",
		"not any":                         "4: any stands alone: it cannot be part of a longer selector",
		"a=1 any":                         `4: want and, or, or nothing more, not "any"`,
		"a=1 b=2":                         `4: want and, or, or nothing more, not "b"`,
		"a=1)":                            `3: want and, or, or nothing more, not ")"`,
		"web1":                            "4: web1 alone asks nothing: write has web1 for the label, name=web1 for the workload",
		"a and b=1":                       "2: a alone asks nothing: write has a for the label, name=a for the workload",
		"=web":                            `0: want a label, not "="`,
		"and=1":                           `0: want a label, not "and"`,
		"has in":                          `4: want a label, not "in"`,
		"has":                             "3: want a label, not the end",
		"a=":                              "2: want a value, not the end",
		"a=(b)":                           `2: want a value, not "("`,
		"a in b":                          `5: want (, not "b"`,
		"a in ()":                         `6: want a value, not ")"`,
		"a in (b,)":                       `8: want a value, not ")"`,
		"a in (b":                         "7: want ), not the end",
		"a not b":                         `6: want in, not "b"`,
		"(a=1":                            "4: want ), not the end",
		"a=1 and":                         "7: want a label, not the end",
		"a=1 && b=2":                      "4: write and instead of &",
		"a=1 | b=2":                       "4: write or instead of |",
		"!a=1":                            "0: write not instead of !",
		`a="b"`:                           "2: a selector has no quotes inside",
		"a=1 \u202e":                      `4: "\u202e" has no meaning in a selector`,
		"a=\x1b[31m":                      `2: "\x1b" has no meaning in a selector`,
		"a<1":                             `1: "<" has no meaning in a selector`,
		"a=\xff":                          `2: "\xff" has no meaning in a selector`,
		"tier=WEB AND b=1":                `9: want and, or, or nothing more, not "AND"`,
		long("x", 64) + "=":               "0: a word of more than 63 letters",
		long("(", 33):                     "32: nested more than 32 deep",
		long("not ", 33):                  "128: nested more than 32 deep",
		"a in (" + long("b,", 256) + "b)": fmt.Sprintf("%d: more than 256 conditions", 6+512),
		"has a" + long(" or has a", 256):  fmt.Sprintf("%d: more than 256 conditions", 5+256*9-5),
		long(" ", 4097):                   "0: a selector of more than 4096 letters",
	}
	for text, want := range tests {
		_, err := parseSelector(text)
		var bad *selectorError
		if !errors.As(err, &bad) {
			t.Errorf("%.80q: error %v, want %s", text, err, want)
			continue
		}
		if got := fmt.Sprintf("%d: %v", bad.at, err); got != want {
			t.Errorf("%.80q:\ngot  %s\nwant %s", text, got, want)
		}
	}
}

func long(s string, n int) string { return strings.Repeat(s, n) }

func TestSelectorsAtTheirLimitsAreRead(t *testing.T) {
	for _, text := range []string{
		long("x", 63) + "=" + long("y", 63),
		long("(", 31) + "a=1" + long(")", 31),
		"a in (" + long("b,", 255) + "b)",
		"a=1" + long(" ", 4093),
	} {
		if _, err := parseSelector(text); err != nil {
			t.Errorf("%.80q: %v", text, err)
		}
	}
}

// FuzzSelector holds that whatever is read can be written and read again with
// the same result, and that mistakes are inside the text.
func FuzzSelector(f *testing.F) {
	for _, s := range []string{"any", "a=1 and (b!=2 or not has c)", "a not in (b, c)", "((", "a=1 any", "not not a==b", "\x00", "a\u00e9=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := parseSelector(text)
		if err != nil {
			var bad *selectorError
			if !errors.As(err, &bad) || bad.at < 0 || bad.at > len(text) {
				t.Fatalf("%q: mistake at %+v", text, bad)
			}
			return
		}
		again, err := parseSelector(n.String())
		if err != nil && len(n.String()) <= maxSelector && !strings.Contains(err.Error(), "nested") {
			t.Fatalf("%q is written %q, which is not read: %v", text, n.String(), err)
		}
		if err == nil && again.String() != n.String() {
			t.Fatalf("%q is written %q, and that %q", text, n.String(), again.String())
		}
	})
}
