// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"crypto/sha256"
	"encoding/binary"

	"bulkhead/dataplane/packet"
)

// Secret keys the hash of one table. It must not leave the table.
type Secret [16]byte

// pads is the secret, expanded: six words for NH, one for the finaliser.
type pads [7]uint64

// expand derives the pads from the secret: the first words of SHA-256 over a
// label, the pad's number and the secret. The kernel program is given the pads
// and never needs to do this.
func (s Secret) expand() (p pads) {
	const label = "bulkhead flowtable pad "
	for i := range p {
		sum := sha256.Sum256(append([]byte(label+string(rune(i))), s[:]...))
		p[i] = binary.LittleEndian.Uint64(sum[:])
	}
	return p
}

// Hash is the keyed hash of a flow's key. It is NH (RFC 4418, section 5.2.2)
// over the twelve halves of the key's six words: two keys that are chosen
// without knowledge of the secret have the same sum with probability 2^-32 at
// most. The sum is keyed once more and mixed (the finaliser of MurmurHash3,
// which is a bijection), because buckets take its low bits and tags its high
// ones. It needs no more than 64-bit products of 32-bit numbers and 64-bit
// products cut to 64 bits, which BPF has.
func (r *region) Hash(k *packet.Key) uint64 {
	p := &r.pads
	x := nh(k.A.Hi, p[0]) + nh(k.A.Lo, p[1]) + nh(k.B.Hi, p[2]) +
		nh(k.B.Lo, p[3]) + nh(k.Ports, p[4]) + nh(k.Meta, p[5])
	return mix(x ^ p[6])
}

// nh adds the pad to both halves of the word, each modulo 2^32, and multiplies
// the halves.
func nh(w, pad uint64) uint64 {
	return uint64(uint32(w)+uint32(pad)) * uint64(uint32(w>>32)+uint32(pad>>32))
}

func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
