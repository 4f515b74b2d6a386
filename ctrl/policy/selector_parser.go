// SPDX-License-Identifier: Apache-2.0

package policy

// selectorParser reads one selector by recursive descent, one function a line
// of the grammar.
type selectorParser struct {
	text  string
	tok   token // the one to look at
	next  int   // where the one behind it begins
	depth int
	terms int
}

// parseSelector reads a selector. The error is a *selectorError.
func parseSelector(text string) (node, error) {
	if len(text) > maxSelector {
		return node{}, mistake(0, "a selector of more than %d letters", maxSelector)
	}
	p := selectorParser{text: text}
	if err := p.advance(); err != nil {
		return node{}, err
	}
	if p.tok.text == "" {
		return node{}, mistake(0, "the selector is empty: write any, or a condition such as tier=web")
	}
	if p.tok.is(wordAny) {
		if err := p.advance(); err != nil {
			return node{}, err
		}
		return node{op: opAny}, p.end("any stands alone: it cannot be followed by %v")
	}
	n, err := p.or()
	if err != nil {
		return node{}, err
	}
	return n, p.end("want and, or, or nothing more, not %v")
}

// advance moves to the next token.
func (p *selectorParser) advance() error {
	tok, err := nextToken(p.text, p.next)
	if err != nil {
		return err
	}
	p.tok, p.next = tok, tok.at+len(tok.text)
	return nil
}

// end wants nothing more; complaint has room for what is there.
func (p *selectorParser) end(complaint string) error {
	if p.tok.text != "" {
		return mistake(p.tok.at, complaint, p.tok)
	}
	return nil
}

// or and the functions below read the lines of the grammar of their names.
func (p *selectorParser) or() (node, error) { return p.chain(wordOr, opOr, p.and) }

func (p *selectorParser) and() (node, error) { return p.chain(wordAnd, opAnd, p.not) }

// chain reads one part or several with a word between them.
func (p *selectorParser) chain(word string, op op, part func() (node, error)) (node, error) {
	first, err := part()
	if err != nil || !p.tok.is(word) {
		return first, err
	}
	n := node{op: op, kids: []node{first}}
	for p.tok.is(word) {
		if err := p.advance(); err != nil {
			return n, err
		}
		kid, err := part()
		if err != nil {
			return n, err
		}
		n.kids = append(n.kids, kid)
	}
	return n, nil
}

// not bounds the nesting: every deeper level of a selector comes through here.
func (p *selectorParser) not() (node, error) {
	if p.depth++; p.depth > maxNesting {
		return node{}, mistake(p.tok.at, "nested more than %d deep", maxNesting)
	}
	defer func() { p.depth-- }()
	switch {
	case p.tok.is(wordNot):
		if err := p.advance(); err != nil {
			return node{}, err
		}
		kid, err := p.not()
		return negate(kid), err
	case p.tok.is("("):
		if err := p.advance(); err != nil {
			return node{}, err
		}
		n, err := p.or()
		if err != nil {
			return n, err
		}
		return n, p.expect(")")
	}
	return p.term()
}

// negate returns what n does not mean.
func negate(n node) node { return node{op: opNot, kids: []node{n}} }

// expect moves over a sign or keyword.
func (p *selectorParser) expect(text string) error {
	if !p.tok.is(text) {
		return mistake(p.tok.at, "want %s, not %v", text, p.tok)
	}
	return p.advance()
}

// term reads one condition.
func (p *selectorParser) term() (node, error) {
	if p.tok.is(wordHas) {
		if err := p.count(); err != nil {
			return node{}, err
		}
		if err := p.advance(); err != nil {
			return node{}, err
		}
		key, err := p.key()
		return node{op: opHas, key: key}, err
	}
	key, err := p.key()
	if err != nil {
		return node{}, err
	}
	return p.condition(key)
}

// key reads the key of a label.
func (p *selectorParser) key() (string, error) {
	key := p.tok
	switch {
	case key.is(wordAny):
		return "", mistake(key.at, "any stands alone: it cannot be part of a longer selector")
	case !key.word || isKeyword(key.text):
		return "", mistake(key.at, "want a label, not %v", key)
	}
	return key.text, p.advance()
}

// condition reads what a label has to be, and begins behind its key.
func (p *selectorParser) condition(key string) (node, error) {
	sign := p.tok
	switch {
	case sign.is("="), sign.is("=="), sign.is("!="), sign.is(wordIn), sign.is(wordNot):
		if err := p.advance(); err != nil {
			return node{}, err
		}
	default:
		return node{}, mistake(p.tok.at, "%s alone asks nothing: write has %s for the label, name=%s for the workload", key, key, key)
	}
	if sign.is(wordNot) {
		if err := p.expect(wordIn); err != nil {
			return node{}, err
		}
	}
	n := node{op: opIn, key: key}
	var err error
	if sign.is(wordIn) || sign.is(wordNot) {
		n.values, err = p.list()
	} else {
		n.values, err = p.value(nil)
	}
	if sign.is("!=") || sign.is(wordNot) {
		n = negate(n)
	}
	return n, err
}

// list reads values in parentheses.
func (p *selectorParser) list() ([]string, error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	values, err := p.value(nil)
	for err == nil && p.tok.is(",") {
		if err = p.advance(); err == nil {
			values, err = p.value(values)
		}
	}
	if err != nil {
		return nil, err
	}
	return values, p.expect(")")
}

// value reads a value and appends it. Any word may be one.
func (p *selectorParser) value(values []string) ([]string, error) {
	if err := p.count(); err != nil {
		return nil, err
	}
	if !p.tok.word {
		return nil, mistake(p.tok.at, "want a value, not %v", p.tok)
	}
	values = append(values, p.tok.text)
	return values, p.advance()
}

// count bounds the work that a selector makes.
func (p *selectorParser) count() error {
	if p.terms++; p.terms > maxTerms {
		return mistake(p.tok.at, "more than %d conditions", maxTerms)
	}
	return nil
}
