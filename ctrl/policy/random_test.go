// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"bulkhead/classifier"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The slow way: a selector is a function that is asked about each workload,
// and a policy is a list of rules that are tried one by one on names. None of
// it shares code with the package.

// thing is a workload, or an address that no workload has (no labels at all).
type thing struct {
	addr   string
	labels map[string]string // with name
}

// sel is a selector as text and as a question.
type sel struct {
	text  string
	means func(labels map[string]string) bool
}

var (
	drawKey   = rapid.SampledFrom([]string{"tier", "env", "zone", "app.io/x"})
	drawValue = rapid.SampledFrom([]string{"a", "b", "c", "in", "any"})
)

func drawTerm(t *rapid.T) sel {
	key, value, other := drawKey.Draw(t, "key"), drawValue.Draw(t, "value"), drawValue.Draw(t, "other")
	is := func(l map[string]string, v string) bool { got, there := l[key]; return there && got == v }
	switch rapid.IntRange(0, 5).Draw(t, "term") {
	case 0:
		return sel{key + "!=" + value, func(l map[string]string) bool { return !is(l, value) }}
	case 1:
		return sel{fmt.Sprintf("%s in (%s,%s)", key, value, other), func(l map[string]string) bool { return is(l, value) || is(l, other) }}
	case 2:
		return sel{fmt.Sprintf("%s not in ( %s )", key, value), func(l map[string]string) bool { return !is(l, value) }}
	case 3:
		return sel{"has " + key, func(l map[string]string) bool { _, there := l[key]; return there }}
	case 4:
		return sel{"name=w1", func(l map[string]string) bool { return l["name"] == "w1" }}
	}
	return sel{key + " = " + value, func(l map[string]string) bool { return is(l, value) }}
}

// drawSelector draws a selector in which and binds tighter than or, and not
// tighter than both: parentheses are written only where they are needed.
func drawSelector(t *rapid.T, depth int) sel {
	parts := []sel{drawConjunction(t, depth)}
	if rapid.Bool().Draw(t, "or") {
		parts = append(parts, drawConjunction(t, depth))
	}
	var texts []string
	for _, p := range parts {
		texts = append(texts, p.text)
	}
	return sel{strings.Join(texts, " or "), func(l map[string]string) bool {
		some := false
		for _, p := range parts {
			some = some || p.means(l)
		}
		return some
	}}
}

func drawConjunction(t *rapid.T, depth int) sel {
	one := drawFactor(t, depth)
	if rapid.Bool().Draw(t, "and") {
		two := drawFactor(t, depth)
		return sel{one.text + " and " + two.text, func(l map[string]string) bool { return one.means(l) && two.means(l) }}
	}
	return one
}

func drawFactor(t *rapid.T, depth int) sel {
	kind := rapid.IntRange(0, 3).Draw(t, "factor")
	switch {
	case kind == 0 && depth > 0:
		inner := drawFactor(t, depth-1)
		return sel{"not " + inner.text, func(l map[string]string) bool { return !inner.means(l) }}
	case kind == 1 && depth > 0:
		inner := drawSelector(t, depth-1)
		return sel{"(" + inner.text + ")", inner.means}
	}
	return drawTerm(t)
}

func drawThings(t *rapid.T) []thing {
	var things []thing
	for i := range rapid.IntRange(1, 70).Draw(t, "workloads") { // more than a word of bits
		w := thing{addr: fmt.Sprintf("10.0.0.%d", i), labels: map[string]string{"name": fmt.Sprintf("w%d", i)}}
		if i%3 == 0 {
			w.addr = fmt.Sprintf("2001:db8::%x", i)
		}
		for range rapid.IntRange(0, 3).Draw(t, "labels") {
			w.labels[drawKey.Draw(t, "key")] = drawValue.Draw(t, "value")
		}
		things = append(things, w)
	}
	return things
}

func (w thing) toml() string {
	var labels []string
	for k, v := range w.labels {
		if k != "name" {
			labels = append(labels, fmt.Sprintf("%q = %q", k, v))
		}
	}
	return fmt.Sprintf("[workload.%s]\naddresses = [%q]\nlabels = {%s}\n", w.labels["name"], w.addr, strings.Join(labels, ", "))
}

type ask struct{ from, to sel }

func drawRules(t *rapid.T, things []thing) []ask {
	some := func() sel {
		for range 20 {
			s := drawSelector(t, 3)
			for _, w := range things {
				if s.means(w.labels) {
					return s
				}
			}
		}
		return sel{"any", func(map[string]string) bool { return true }}
	}
	var rules []ask
	for range rapid.IntRange(1, 6).Draw(t, "rules") {
		rules = append(rules, ask{some(), some()})
	}
	return rules
}

func (a ask) toml(i int) string {
	return fmt.Sprintf("[[rule]]\nname = \"r%d\"\nfrom = %q\nto = %q\nservices = [\"any\"]\naction = \"allow\"\n", i, a.from.text, a.to.text)
}

func TestResolveAgreesWithTheSlowWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		things := drawThings(t)
		rules := drawRules(t, things)
		text := strings.Builder{}
		for i, r := range rules {
			text.WriteString(r.toml(i))
		}
		for _, w := range things {
			text.WriteString(w.toml())
		}
		p, err := Parse("f", []byte(text.String()), Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
		l, err := classifier.NewLinear(p.Program)
		if err != nil {
			t.Fatal(err)
		}
		everything := append(things, thing{addr: "10.9.9.9"}, thing{addr: "2001:db9::"})
		for range 50 {
			src := rapid.SampledFrom(everything).Draw(t, "src")
			dst := rapid.SampledFrom(everything).Draw(t, "dst")
			k := classifier.Key{Src: netip.MustParseAddr(src.addr), Dst: netip.MustParseAddr(dst.addr), Proto: 6}
			if got, want := l.Lookup(&k), slowLookup(rules, src, dst); got != want {
				t.Fatalf("%v to %v: rule %d, the slow way says %d\n%s", src, dst, got, want, text.String())
			}
		}
	})
}

// slowLookup knows that only "any" means an address without a workload.
func slowLookup(rules []ask, src, dst thing) int {
	meets := func(s sel, w thing) bool {
		if w.labels == nil {
			return s.text == "any"
		}
		return s.means(w.labels)
	}
	for i, r := range rules {
		if meets(r.from, src) && meets(r.to, dst) {
			return i
		}
	}
	return classifier.NoRule
}

func TestTheOrderOfWorkloadsDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		things := drawThings(t)
		rules := drawRules(t, things)
		compile := func() *classifier.Program {
			text := strings.Builder{}
			for i, r := range rules {
				text.WriteString(r.toml(i))
			}
			for _, w := range things {
				text.WriteString(w.toml()) // labels in the order of a map: any
			}
			p, err := Parse("f", []byte(text.String()), Options{})
			if err != nil {
				t.Fatal(err)
			}
			return p.Program
		}
		first := compile()
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rng.Shuffle(len(things), func(i, j int) { things[i], things[j] = things[j], things[i] })
		if diff := cmp.Diff(first, compile(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Fatal(diff)
		}
	})
}
