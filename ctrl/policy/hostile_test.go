// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"bulkhead/classifier"
)

// tryParse holds what must be true of any text: there is a policy that the
// classifier accepts, or there are problems with their place.
func tryParse(t *testing.T, text []byte) {
	t.Helper()
	p, err := Parse("f", text, Options{})
	if err != nil {
		var problems Problems
		if !errors.As(err, &problems) || len(problems) == 0 || p != nil {
			t.Fatalf("%q: policy %v, error %v", text, p, err)
		}
		for _, problem := range problems {
			if problem.File != "f" || problem.Message == "" || problem.Line < 0 || problem.Line > strings.Count(string(text), "\n")+1 {
				t.Fatalf("%q: %+v", text, problem)
			}
		}
		return
	}
	if _, err := classifier.NewLinear(p.Program); err != nil {
		t.Fatalf("%q: the classifier refuses the program: %v", text, err)
	}
	if len(p.Rules) != len(p.Program.Rules) {
		t.Fatalf("%q: %d rules told of, %d in the program", text, len(p.Rules), len(p.Program.Rules))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	paths, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(tryParse)
}

func TestEveryCutAndEveryFlippedByteIsSurvived(t *testing.T) {
	text := []byte(example)
	for i := range text {
		tryParse(t, text[:i])
		for _, flip := range []byte{0x01, 0x20, 0x80, 0xff} {
			damaged := []byte(example)
			damaged[i] ^= flip
			tryParse(t, damaged)
		}
	}
}

// TestHostileFilesAreRefusedWithinTheirMemory parses what tries to make a
// small file large. What they may allocate in all is a generous multiple of
// the largest file; none may keep it.
func TestHostileFilesAreRefusedWithinTheirMemory(t *testing.T) {
	rule := func(from string) string {
		return fmt.Sprintf("from = %q\nto = \"any\"\nservices = [\"any\"]\naction = \"deny\"\n", from)
	}
	workloads := strings.Builder{}
	for i := range 5000 {
		fmt.Fprintf(&workloads, "[workload.w%d]\naddresses = [\"10.%d.%d.0/24\"]\n", i, i>>8, i&255)
	}
	tests := map[string]struct{ text, want string }{
		"larger than the limit": {long("#", MaxFile+1), "longer than 16 MiB"},
		"brackets":              {"a = " + long("[", 4<<20), "nested more than 16 deep"},
		"braces":                {"a = " + long("{a=", 1<<20), "nested more than 16 deep"},
		"a million labels":      {"[workload.a]\nlabels = {" + manyKeys(1_000_000) + "}", "more than 262144 elements in one list"},
		"many labels":           {"[workload.a]\nlabels = {" + manyKeys(65) + "}", "65 labels: a workload has at most 64"},
		"too many rules":        {long("[[rule]]\n", MaxRules+1), "more than 100000 rules"},
		"a million problems":    {long("[[rule]]\n", MaxRules), "more problems"},
		"dots":                  {long("a.", 1<<20) + "b = 1", "elements in one list"},
		"one long line":         {long("x", 4<<20), "expected '=' after key"},
		"one long string":       {`default = "` + long("x", 4<<20) + `"`, "is none of deny, allow"},
		"control characters":    {"default = \"\\u0007\\u001b\"", `"\a\x1b" is none of`},
		"many ports":            {"[service.x]\ntcp = [" + long("1,", 1025) + "]", "1025 entries: a service has at most 1024"},
		"many types":            {"[service.x]\nicmp = [" + long("8,", 100_000) + "]", "100000 entries: a service has at most 1024"},
		"many protocols":        {"[service.x]\nprotocol = [" + long("50,", 1025) + "]", "1025 entries"},
		"services of services":  {manyServices(), "the services of the rules up to here are more than 1048576"},
		"many typing errors":    {long("[[rule]]\nfrmo = 1\nsrvices = 1\n", MaxRules), "more problems"},
		"many services":         {"[[rule]]\nservices = [" + long("\"any\",", 257) + "]", "257 names: a rule takes at most 256"},
		"costly selectors":      {workloads.String() + costlyRules(t, rule), "the selectors up to here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, err := Parse("f", []byte(test.text), Options{})
			runtime.ReadMemStats(&after)
			if err == nil || p != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %.300v does not say %q", err, test.want)
			}
			if spent := (after.TotalAlloc - before.TotalAlloc) >> 20; spent > 4096 {
				t.Errorf("%d MiB allocated", spent)
			}
		})
	}
}

func manyKeys(n int) string {
	keys := strings.Builder{}
	for i := range n {
		fmt.Fprintf(&keys, "k%d=\"v\",", i)
	}
	return keys.String()
}

// manyServices are few services of many types, and rules that name them in
// always another order.
func manyServices() string {
	text := strings.Builder{}
	for i := range 64 {
		fmt.Fprintf(&text, "[service.s%d]\nicmp = [%s]\n", i, long("8,", 1024))
	}
	for i := range 200 {
		fmt.Fprintf(&text, "[[rule]]\nname = \"r%d\"\nfrom = \"any\"\nto = \"any\"\naction = \"allow\"\nservices = [", i)
		for j := range 64 {
			fmt.Fprintf(&text, "\"s%d\",", (i*(2*j+1)+j)%64)
		}
		text.WriteString("]\n")
	}
	return text.String()
}

// costlyRules have a selector each that means all workloads but one.
func costlyRules(t *testing.T, rule func(string) string) string {
	t.Helper()
	rules := strings.Builder{}
	for i := range 1000 {
		fmt.Fprintf(&rules, "[[rule]]\nname = \"r%d\"\n%s", i, rule(fmt.Sprintf("name!=w%d", i)))
	}
	return rules.String()
}

func TestManyWiresAreRefused(t *testing.T) {
	rules := strings.Builder{}
	for i := range 17 {
		fmt.Fprintf(&rules, "[[rule]]\nname=\"r%d\"\nfrom=\"any\"\nto=\"any\"\nservices=[\"any\"]\naction=\"deny\"\nwires=[", i)
		for j := range 256 {
			fmt.Fprintf(&rules, "\"w%d\",", i*256+j)
		}
		rules.WriteString("]\n")
	}
	_, err := Parse("f", []byte(rules.String()), Options{})
	if err == nil || !strings.Contains(err.Error(), "name more than 4096 wires") {
		t.Errorf("error %.200v", err)
	}
}

// BenchmarkParse is a policy of 10,000 workloads with five labels each and
// 5,000 rules.
func BenchmarkParse(b *testing.B) {
	text := strings.Builder{}
	for i := range 10_000 {
		fmt.Fprintf(&text, "[workload.w%d]\naddresses = [\"10.%d.%d.%d\"]\nlabels = { tier = \"t%d\", app = \"a%d\", env = \"e%d\", zone = \"z%d\", owner = \"o%d\" }\n",
			i, i>>16, i>>8&255, i&255, i%7, i%900, i%3, i%11, i%50)
	}
	text.WriteString("[service.https]\ntcp = [443]\n")
	for i := range 5000 {
		fmt.Fprintf(&text, "[[rule]]\nname = \"r%d\"\nfrom = \"app=a%d and env=e%d\"\nto = \"app=a%d and tier!=t%d\"\nservices = [\"https\"]\naction = \"allow\"\n",
			i, i%900, i%3, (i*7)%900, i%7)
	}
	bytes := []byte(text.String())
	b.SetBytes(int64(len(bytes)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("f", bytes, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
