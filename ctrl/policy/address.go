// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"bulkhead/ctrl/tomlfile"
)

// readAddresses reads a list of addresses and prefixes. What is wrong in it is
// left out.
func (doc *document) readAddresses(v *tomlfile.Value) []address {
	items, _ := doc.file.List(v)
	addresses := make([]address, 0, len(items))
	for i := range items {
		text, ok := doc.file.String(&items[i])
		if !ok {
			continue
		}
		prefix, err := parseAddress(text)
		if err != nil {
			doc.file.Addf(items[i].Pos, "address %s: %v", tomlfile.Quote(text), err)
			continue
		}
		addresses = append(addresses, address{prefix, items[i].Pos})
	}
	return addresses
}

// parseAddress reads an address or prefix of either family. What has more
// than one way to be understood is refused with the ways to write it.
func parseAddress(text string) (netip.Prefix, error) {
	addr, bits, isPrefix := strings.Cut(text, "/")
	a, err := netip.ParseAddr(addr)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf("not an IP address or prefix: write one such as 10.0.0.1, 10.0.0.0/24 or 2001:db8::/64")
	case a.Zone() != "":
		return netip.Prefix{}, fmt.Errorf("a zone has no meaning on a wire: leave out %s", tomlfile.Quote("%"+a.Zone()))
	case a.Is4In6():
		return netip.Prefix{}, fmt.Errorf("an IPv4 address in IPv6 form: write %v", a.Unmap())
	case a.IsLoopback():
		return netip.Prefix{}, fmt.Errorf("a loopback address never comes by a wire")
	case !isPrefix:
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("prefix length %s: want 0 to %d", tomlfile.Quote(bits), a.BitLen())
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("bits set behind the prefix: write %v for the network, or %v for the one address", p.Masked(), a)
	}
	return p, nil
}

// owner is an address and the workload that has it.
type owner struct {
	address
	workload int // index, in the order of the document or of Policy.Workloads
}

// owners lists all addresses in order, each prefix before what is inside it.
func (doc *document) owners() []owner {
	var all []owner
	for i, w := range doc.workloads {
		for _, a := range w.addresses {
			all = append(all, owner{a, i})
		}
	}
	slices.SortStableFunc(all, func(a, b owner) int { return comparePrefix(a.prefix, b.prefix) })
	return all
}

// comparePrefix orders by family, address and length.
func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// checkOverlaps refuses an address that belongs to two workloads, or to one
// twice: whichever of them was meant, a rule would be read wrongly. Prefixes
// are nested or apart, so that the ones around the current one form a stack.
func (doc *document) checkOverlaps() {
	var around []owner
	for _, o := range doc.owners() {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(o.prefix) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			doc.overlap(around[len(around)-1], o)
		}
		around = append(around, o)
	}
}

// overlap reports the one of two that stands later in the file.
func (doc *document) overlap(first, second owner) {
	if first.pos > second.pos {
		first, second = second, first
	}
	what := "overlaps " + show(first.prefix)
	if first.prefix == second.prefix {
		what = "is already an address"
	}
	doc.file.Addf(second.pos, "address %s %s of workload %s in line %d",
		show(second.prefix), what, doc.workloads[first.workload].name, doc.file.Line(first.pos))
}

// show writes an address as people do.
func show(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// Workload returns the name of the workload that has an address; false when
// no workload has it.
func (p *Policy) Workload(addr netip.Addr) (name string, ok bool) {
	i := sort.Search(len(p.owners), func(i int) bool { return p.owners[i].prefix.Addr().Compare(addr) > 0 })
	if i == 0 || !p.owners[i-1].prefix.Contains(addr) {
		return "", false
	}
	return p.Workloads[p.owners[i-1].workload].Name, true
}
