// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"

	"bulkhead/ctrl/tomlfile"
)

// read takes a file apart. What is wrong is noted in the file, and the rest is
// read all the same.
func read(file *tomlfile.Document) *document {
	doc := &document{file: file, services: builtinServices()}
	file.Read(file.Root, "a policy", tomlfile.Fields{
		"default":  doc.readDefault,
		"workload": doc.readWorkloads,
		"service":  doc.readServices,
		"rule":     doc.readRules,
	})
	return doc
}

// readDefault reads what befalls a packet that no rule matches. To reject it
// would answer every scan, so that takes a rule.
func (doc *document) readDefault(v *tomlfile.Value) {
	if word, ok := doc.file.Word(v, "deny", "allow"); ok {
		doc.fallback = actionOf(word)
	}
}

// actionOf returns the action of a word that is known to be one.
func actionOf(word string) (a Action) {
	if err := a.UnmarshalText([]byte(word)); err != nil {
		return Deny
	}
	return a
}

// readWorkloads reads the tables [workload.NAME].
func (doc *document) readWorkloads(v *tomlfile.Value) {
	table, ok := doc.file.Table(v)
	if !ok {
		return
	}
	for i := range table.Entries {
		e := &table.Entries[i]
		if !doc.file.CheckName(e.Key, "workload", e.Name) {
			continue
		}
		if t, ok := doc.file.Table(e); ok {
			doc.workloads = append(doc.workloads, doc.readWorkload(e.Name, t))
		}
	}
}

// readWorkload reads one [workload.NAME].
func (doc *document) readWorkload(name string, t *tomlfile.Table) workload {
	w := workload{name: name, pos: t.Pos, labels: map[string]string{}}
	where := fmt.Sprintf("[workload.%s]", name)
	doc.file.Read(t, where, tomlfile.Fields{
		"addresses": func(v *tomlfile.Value) { w.addresses = doc.readAddresses(v) },
		"labels":    func(v *tomlfile.Value) { doc.readLabels(v, w.labels) },
	})
	doc.file.Require(t, where, "addresses")
	return w
}

// maxLabels is how many labels a workload may have.
const maxLabels = 64

// readLabels adds what is right in a table of labels to labels.
func (doc *document) readLabels(v *tomlfile.Value, labels map[string]string) {
	table, ok := doc.file.Table(v)
	if !ok {
		return
	}
	if len(table.Entries) > maxLabels {
		doc.file.Addf(v.Pos, "%d labels: a workload has at most %d", len(table.Entries), maxLabels)
		return
	}
	for i := range table.Entries {
		e := &table.Entries[i]
		if doc.checkLabelKey(e) {
			labels[e.Name] = doc.labelValue(e)
		}
	}
}

// checkLabelKey refuses keys that a selector could not ask for.
func (doc *document) checkLabelKey(e *tomlfile.Value) bool {
	switch {
	case !doc.file.CheckName(e.Key, "label", e.Name):
		return false
	case e.Name == nameLabel:
		doc.file.Addf(e.Key, "label name: every workload has it already, with its own name")
		return false
	case isKeyword(e.Name):
		doc.file.Addf(e.Key, "label %s: the word means something else in selectors", e.Name)
		return false
	}
	return true
}

// labelValue reads the value of a label. A dot in a bare key makes a table of
// it, which is what people stumble over.
func (doc *document) labelValue(e *tomlfile.Value) string {
	if e.Kind == tomlfile.KindTable {
		doc.file.Addf(e.Pos, "label %s: want a string, not a table; a key with dots is written in quotes", e.Name)
		return ""
	}
	value, ok := doc.file.String(e)
	if ok {
		doc.file.CheckName(e.Pos, "value of label "+e.Name, value)
	}
	return value
}

// readRules reads the list of tables [[rule]].
func (doc *document) readRules(v *tomlfile.Value) {
	tables := doc.file.Tables(v)
	if len(tables) > MaxRules {
		doc.file.Addf(tables[MaxRules].Pos, "more than %d rules", MaxRules)
		return
	}
	lines := make(map[string]int, len(tables))
	for _, t := range tables {
		r := doc.readRule(t)
		if first, ok := lines[r.name]; ok {
			doc.file.Addf(r.pos, "another rule has the name %s, in line %d", tomlfile.Quote(r.name), first)
		} else if r.name != "" {
			lines[r.name] = doc.file.Line(r.pos)
		}
		doc.rules = append(doc.rules, r)
	}
}

// readRule reads one [[rule]].
func (doc *document) readRule(t *tomlfile.Table) rule {
	r := rule{pos: t.Pos}
	doc.file.Read(t, "[[rule]]", tomlfile.Fields{
		"name":     func(v *tomlfile.Value) { r.name, _ = doc.file.Name(v) },
		"from":     func(v *tomlfile.Value) { r.from = doc.selectorValue(v) },
		"to":       func(v *tomlfile.Value) { r.to = doc.selectorValue(v) },
		"services": func(v *tomlfile.Value) { r.services = doc.names(v) },
		"wires":    func(v *tomlfile.Value) { r.wires = doc.names(v) },
		"action": func(v *tomlfile.Value) {
			word, _ := doc.file.Word(v, "allow", "deny", "reject")
			r.action = actionOf(word)
		},
	})
	doc.file.Require(t, "[[rule]]", "name", "from", "to", "services", "action")
	return r
}

// selectorValue returns v if it is a string. It is parsed when all workloads
// are known.
func (doc *document) selectorValue(v *tomlfile.Value) *tomlfile.Value {
	if _, ok := doc.file.String(v); !ok {
		return nil
	}
	return v
}

// maxNames is how many services or wires a rule may name.
const maxNames = 256

// names reads a list of names.
func (doc *document) names(v *tomlfile.Value) []tomlfile.Value {
	items, _ := doc.file.List(v)
	if len(items) > maxNames {
		doc.file.Addf(v.Pos, "%s: %d names: a rule takes at most %d", v.Name, len(items), maxNames)
		return nil
	}
	names := make([]tomlfile.Value, 0, len(items))
	for i := range items {
		if _, ok := doc.file.Name(&items[i]); ok {
			names = append(names, items[i])
		}
	}
	return names
}
