// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math/rand/v2"

	"bulkhead/dataplane/packet"
)

// v4Key is the key of a TCP flow between IPv4 addresses; a sorts before b only
// if it is smaller, which the table does not care about.
func v4Key(a, b uint32, portA, portB uint16) packet.Key {
	const mapped = 0xffff << 32
	return packet.Key{
		A:     packet.Addr{Lo: mapped | uint64(a)},
		B:     packet.Addr{Lo: mapped | uint64(b)},
		Ports: uint64(portA) | uint64(portB)<<16,
		Meta:  7 | protoTCP<<16 | 4<<24,
	}
}

var testSecret = Secret{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// tb is what testing and rapid have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
}

func newTable(tb tb, o Options) *Table {
	tb.Helper()
	if o.Secret == nil {
		o.Secret = &testSecret
	}
	t, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// join gives a handle that is not idle.
func join(tb tb, t *Table, ended func(*Record)) *Handle {
	tb.Helper()
	h, err := t.Join(ended)
	if err != nil {
		tb.Fatal(err)
	}
	h.Pass()
	return h
}

// fewer is n, or a tenth of it under the race detector, which is slow and has
// nothing to see in tests of one goroutine.
func fewer(n int) int {
	if raceEnabled {
		return n / 10
	}
	return n
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, seed)) }
