// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/classifier"
	"bulkhead/ctrl/tomlfile"
)

// resolver turns the names in rules into what they stand for. What several
// rules share is made once.
type resolver struct {
	*document
	labels    *labelIndex
	policy    *Policy
	selectors map[string]int                  // text: index of a set, or AnySet
	sets      map[[sha256.Size]byte]int       // hash of the members: index of a set
	services  map[string][]classifier.Service // action class and names: the alternatives
	wires     map[string]uint16
	wireNames string // of wires, for messages
	assume    bool   // number the wires as they come
	addresses int    // in all sets
	listed    int    // in all of services
	exceeded  bool   // selectors ask for too much: no more are resolved
}

// resolve makes the Policy. What is wrong is noted in the file, and then the
// result is of no use.
func (doc *document) resolve(opt Options) *Policy {
	slices.SortStableFunc(doc.workloads, func(a, b workload) int { return cmp.Compare(a.name, b.name) })
	r := &resolver{
		document:  doc,
		labels:    newLabelIndex(doc.workloads),
		policy:    &Policy{Default: doc.fallback, Program: &classifier.Program{}},
		selectors: map[string]int{},
		sets:      map[[sha256.Size]byte]int{},
		services:  map[string][]classifier.Service{},
		wires:     opt.Wires,
		wireNames: strings.Join(slices.Sorted(maps.Keys(opt.Wires)), ", "),
	}
	if opt.Wires == nil {
		r.wires, r.assume = map[string]uint16{}, true
	}
	r.nameWorkloads()
	for i := range doc.rules {
		r.rule(&doc.rules[i])
	}
	return r.policy
}

// nameWorkloads fills in what Policy tells of workloads.
func (r *resolver) nameWorkloads() {
	r.policy.owners = r.owners()
	r.policy.Workloads = make([]Workload, len(r.workloads))
	for i, w := range r.workloads {
		r.policy.Workloads[i] = Workload{Name: w.name, Line: r.file.Line(w.pos), Labels: w.labels}
	}
	for _, o := range r.policy.owners {
		w := &r.policy.Workloads[o.workload]
		w.Addresses = append(w.Addresses, o.prefix)
	}
}

// rule appends one rule to the program, and what people need to know of it.
func (r *resolver) rule(from *rule) {
	info := RuleInfo{
		Name: from.name, File: r.file.File(), Line: r.file.Line(from.pos), Action: from.action,
		From: text(from.from), To: text(from.to),
		Services: texts(from.services), Wires: texts(from.wires),
	}
	r.policy.Rules = append(r.policy.Rules, info)
	r.policy.Program.Rules = append(r.policy.Program.Rules, classifier.Rule{
		Src: r.selector(from.from), Dst: r.selector(from.to),
		Services: r.serviceList(from),
		Wires:    r.wireList(from.wires),
		Verdict:  classifier.Verdict(from.action),
	})
}

// text returns the string of a value that may have been left out.
func text(v *tomlfile.Value) string {
	if v == nil {
		return ""
	}
	return v.Text
}

// texts returns the strings of values.
func texts(values []tomlfile.Value) []string {
	list := make([]string, len(values))
	for i := range values {
		list[i] = values[i].Text
	}
	return list
}

// noSet stands for a selector that has been reported.
const noSet = -2

// selector returns the index of the set that a selector means.
func (r *resolver) selector(v *tomlfile.Value) int {
	if v == nil {
		return noSet
	}
	// One that is wrong is looked at again: it is reported wherever it stands.
	if set, ok := r.selectors[v.Text]; ok && set != noSet {
		return set
	}
	set := r.evaluate(v)
	r.selectors[v.Text] = set
	return set
}

// evaluate parses a selector and finds its workloads. One that finds none is
// refused: a rule that matches nothing protects nothing, or allows nothing,
// and nobody would notice.
func (r *resolver) evaluate(v *tomlfile.Value) int {
	n, err := parseSelector(v.Text)
	if err != nil {
		var bad *selectorError
		errors.As(err, &bad)
		r.file.Addf(v.At(bad.at), "%s: %v", v.Name, err)
		return noSet
	}
	if n.op == opAny {
		return classifier.AnySet
	}
	if r.exceeded {
		return noSet
	}
	if r.exceeded = r.labels.effort > maxEffort; r.exceeded {
		r.file.Addf(v.Pos, "%s: the selectors up to here take too long to resolve: use fewer or simpler ones", v.Name)
		return noSet
	}
	m := r.labels.eval(&n)
	if m.empty() {
		r.file.Addf(v.Pos, "%s: %s matches no workload", v.Name, tomlfile.Quote(v.Text))
		return noSet
	}
	return r.set(v, &n, m)
}

// set returns the index of the set of these workloads. Selectors that mean
// the same workloads share a set, which has the name of the first.
func (r *resolver) set(v *tomlfile.Value, from *node, m members) int {
	key := m.hash()
	if set, ok := r.sets[key]; ok {
		return set
	}
	// Counted before they are copied: few short selectors can mean very much.
	n := 0
	m.each(func(i int) { n += len(r.policy.Workloads[i].Addresses) })
	r.addresses += n
	if r.exceeded = r.addresses > maxAddresses; r.exceeded {
		r.file.Addf(v.Pos, "%s: the selectors up to here mean more than %d addresses", v.Name, maxAddresses)
		return noSet
	}
	prefixes := make([]netip.Prefix, 0, n)
	m.each(func(i int) { prefixes = append(prefixes, r.policy.Workloads[i].Addresses...) })
	slices.SortFunc(prefixes, comparePrefix)
	program := r.policy.Program // sets have the order in which rules name them
	program.Sets = append(program.Sets, classifier.Set{Name: from.String(), Prefixes: prefixes})
	r.sets[key] = len(program.Sets) - 1
	return len(program.Sets) - 1
}

// serviceList returns the alternatives that a rule's services stand for. Rules
// with the same services share a list, unless one allows them and the other
// does not (see service.deny).
func (r *resolver) serviceList(from *rule) []classifier.Service {
	key := strings.Join(texts(from.services), ",")
	if from.action != Allow {
		key += ",-"
	}
	list, ok := r.services[key]
	if ok || r.listed > maxServices {
		return list
	}
	list = r.listServices(from)
	if r.listed += len(list); r.listed > maxServices {
		r.file.Addf(from.pos, "the services of the rules up to here are more than %d: use fewer or shorter ones", maxServices)
		return nil
	}
	if list != nil {
		r.services[key] = list
	}
	return list
}

// listServices puts the services of a rule together; nil when one is missing.
func (r *resolver) listServices(from *rule) []classifier.Service {
	var list []classifier.Service
	complete := true
	for i := range from.services {
		v := &from.services[i]
		s, ok := r.document.services[v.Text]
		if !ok {
			r.file.Addf(v.Pos, "no service has the name %s", tomlfile.Quote(v.Text))
			complete = false
		}
		list = append(list, s.allow...)
		if from.action != Allow {
			list = append(list, s.deny...)
		}
	}
	if !complete {
		return nil
	}
	return list
}

// wireList returns the numbers of the wires that a rule is limited to.
func (r *resolver) wireList(names []tomlfile.Value) []uint16 {
	var wires []uint16
	for i := range names {
		v := &names[i]
		number, ok := r.wires[v.Text]
		if !ok && r.assume {
			number, ok = r.assumeWire(v), true
		}
		if !ok {
			r.file.Addf(v.Pos, "no wire has the name %s: there are %s", tomlfile.Quote(v.Text), r.wireNames)
			continue
		}
		if !slices.Contains(wires, number) {
			wires = append(wires, number)
		}
	}
	slices.Sort(wires)
	return wires
}

// assumeWire gives a wire a number when it is not known which there are.
func (r *resolver) assumeWire(v *tomlfile.Value) uint16 {
	number := len(r.wires)
	if number == maxWires {
		r.file.Addf(v.Pos, "the rules up to here name more than %d wires", maxWires)
		return 0
	}
	r.wires[v.Text] = uint16(number)
	r.policy.AssumedWires = append(r.policy.AssumedWires, v.Text)
	return uint16(number)
}
