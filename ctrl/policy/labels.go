// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// members is a set of workloads: bit i stands for workload i.
type members []uint64

// add makes workload i a member.
func (m members) add(i int32) { m[i/64] |= 1 << (i % 64) }

// empty reports whether there is no member.
func (m members) empty() bool {
	for _, w := range m {
		if w != 0 {
			return false
		}
	}
	return true
}

// each calls f with every member, in order.
func (m members) each(f func(i int)) {
	for w, word := range m {
		for ; word != 0; word &= word - 1 {
			f(w*64 + bits.TrailingZeros64(word))
		}
	}
}

// hash tells sets of workloads of one policy apart.
func (m members) hash() [sha256.Size]byte {
	b := make([]byte, 0, 8*len(m))
	for _, w := range m {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return sha256.Sum256(b)
}

// labelIndex finds the workloads of a label.
type labelIndex struct {
	count  int
	keys   map[string]map[string][]int32 // key, value: workloads in order
	effort int                           // what eval has cost so far: words and members written
}

// newLabelIndex gives the workloads numbers in their order, and each the label
// with its name.
func newLabelIndex(workloads []workload) *labelIndex {
	x := &labelIndex{count: len(workloads), keys: map[string]map[string][]int32{}}
	for i, w := range workloads {
		x.put(nameLabel, w.name, int32(i))
		for key, value := range w.labels {
			x.put(key, value, int32(i))
		}
	}
	return x
}

// put notes that workload i has a label. Workloads come in order.
func (x *labelIndex) put(key, value string, i int32) {
	values := x.keys[key]
	if values == nil {
		values = map[string][]int32{}
		x.keys[key] = values
	}
	values[value] = append(values[value], i)
}

// eval returns the workloads that a selector means, opAny apart.
func (x *labelIndex) eval(n *node) members {
	m := make(members, (x.count+63)/64)
	x.effort += len(m)
	switch n.op {
	case opIn:
		for _, value := range n.values {
			x.include(m, x.keys[n.key][value])
		}
	case opHas:
		for _, workloads := range x.keys[n.key] {
			x.include(m, workloads)
		}
	case opNot:
		x.invert(m, x.eval(&n.kids[0]))
	case opAnd:
		copy(m, x.eval(&n.kids[0]))
		for i := range n.kids[1:] {
			for w, word := range x.eval(&n.kids[i+1]) {
				m[w] &= word
			}
		}
	case opOr:
		for i := range n.kids {
			for w, word := range x.eval(&n.kids[i]) {
				m[w] |= word
			}
		}
	}
	return m
}

// include makes all of a list members.
func (x *labelIndex) include(m members, workloads []int32) {
	x.effort += len(workloads)
	for _, i := range workloads {
		m.add(i)
	}
}

// invert makes m the workloads that are not in other.
func (x *labelIndex) invert(m, other members) {
	for w := range m {
		m[w] = ^other[w]
	}
	if rest := x.count % 64; rest != 0 {
		m[len(m)-1] &= 1<<rest - 1
	}
}
