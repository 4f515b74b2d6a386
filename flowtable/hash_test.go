// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"math/rand/v2"
	"testing"

	"bulkhead/dataplane/packet"
)

// Other programs compute the same function: these values may not change.
func TestHashGivesKnownAnswers(t *testing.T) {
	r := region{pads: testSecret.expand()}
	for _, c := range []struct {
		key  packet.Key
		want uint64
	}{
		{packet.Key{}, 0xa4326fb6e0065c5e},
		{v4Key(0x0a000001, 0x0a000002, 1000, 443), 0x7f59c5e53eca785b},
		{packet.Key{A: packet.Addr{Hi: 1<<64 - 1, Lo: 1<<64 - 1}, B: packet.Addr{Hi: 1<<64 - 1, Lo: 1<<64 - 1},
			Ports: 1<<64 - 1, Meta: 1<<64 - 1}, 0x5a0fb20628ecc245},
	} {
		if got := r.Hash(&c.key); got != c.want {
			t.Errorf("hash of %+v is %#x, want %#x", c.key, got, c.want)
		}
	}
}

// The same function, written from RFC 4418 and without haste.
func TestHashIsNHOverTwelveHalves(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	var secret Secret
	for range 1000 {
		for i := range secret {
			secret[i] = byte(rng.Uint32())
		}
		r := region{pads: secret.expand()}
		words := [6]uint64{rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64()}
		sum := uint64(0)
		for i, w := range words {
			low := (w&0xffffffff + r.pads[i]&0xffffffff) % (1 << 32)
			high := (w>>32 + r.pads[i]>>32) % (1 << 32)
			sum += low * high
		}
		k := packet.Key{A: packet.Addr{Hi: words[0], Lo: words[1]}, B: packet.Addr{Hi: words[2], Lo: words[3]},
			Ports: words[4], Meta: words[5]}
		if got, want := r.Hash(&k), mix(sum^r.pads[6]); got != want {
			t.Fatalf("hash is %#x, want %#x", got, want)
		}
	}
}

func TestHashDependsOnEveryBitAndOnTheSecret(t *testing.T) {
	r := region{pads: testSecret.expand()}
	other := region{pads: Secret{}.expand()}
	k := v4Key(0x0a000001, 0x0a000002, 1000, 443)
	h := r.Hash(&k)
	if h == other.Hash(&k) {
		t.Error("two secrets give the same hash")
	}
	words := []*uint64{&k.A.Hi, &k.A.Lo, &k.B.Hi, &k.B.Lo, &k.Ports, &k.Meta}
	for i, w := range words {
		for bit := range 64 {
			*w ^= 1 << bit
			if r.Hash(&k) == h {
				t.Errorf("bit %d of word %d does not matter", bit, i)
			}
			*w ^= 1 << bit
		}
	}
}

// A key of IPv6 whose words equal those of an IPv4 key is another key.
func TestFamiliesNeverMeet(t *testing.T) {
	h := join(t, newTable(t, Options{Capacity: 1000}), nil)
	for i := range uint32(500) {
		k := v4Key(i, i+1, 1, 2)
		if _, r := h.Insert(&k, h.Hash(&k), &Start{State: UDPUnreplied}); r != Inserted {
			t.Fatal(r)
		}
		k.Meta = k.Meta&^(0xff<<24) | 6<<24
		if _, ok := h.Lookup(&k, h.Hash(&k)); ok {
			t.Fatalf("the IPv6 twin of flow %d was found", i)
		}
	}
}

// Keys that all collide in the hash without its secret: the sum of products
// stays the same when one address grows as the other shrinks.
func collidingKeys(n int) []packet.Key {
	keys := make([]packet.Key, n)
	for i := range keys {
		keys[i] = v4Key(0x0a000000+uint32(i), 0x0b000000-uint32(i), 1000, 443)
	}
	return keys
}

func TestKeysThatCollideWithoutTheSecretAreSpreadLikeRandomOnes(t *testing.T) {
	n := fewer(200_000)
	bad := collidingKeys(n)
	unkeyed, sums := region{}, map[uint64]bool{}
	for i := range bad[:1000] {
		sums[unkeyed.Hash(&bad[i])] = true
	}
	if len(sums) != 1 {
		t.Fatalf("the keys have %d different hashes without a secret, want 1", len(sums))
	}
	low := make([]packet.Key, n) // low entropy: one host scans another
	for i := range low {
		low[i] = v4Key(0x0a000001, 0x0a000002, uint16(i), uint16(i>>16))
	}
	random := probes(t, benchKeys(n))
	for name, keys := range map[string][]packet.Key{"colliding": bad, "scan": low} {
		got := probes(t, keys)
		t.Logf("%s: %d tags read, %d for random keys", name, got, random)
		if got > random+random/10 {
			t.Errorf("%s: %d tags read, more than 1.1 times the %d for random keys", name, got, random)
		}
	}
}

// probes inserts the keys into a table that they fill, and adds up how many
// tags a lookup of each reads. No lookup reads more than 16.
func probes(t *testing.T, keys []packet.Key) (sum int) {
	t.Helper()
	h := join(t, newTable(t, Options{Capacity: len(keys)}), nil)
	for i := range keys {
		if _, r := h.Insert(&keys[i], h.Hash(&keys[i]), &Start{State: UDPUnreplied, Now: 1}); r == Full {
			t.Fatalf("no room for flow %d of %d", i, len(keys))
		}
	}
	for i := range keys {
		hash := h.Hash(&keys[i])
		first, second := h.buckets(hash)
		n, found := 0, false
		for _, b := range []*bucket{first, second} {
			for place := range b {
				if found {
					break
				}
				n++
				ref := b.at(place, hash)
				found = ref != 0 && h.holds(ref, &keys[i])
			}
		}
		if !found || n > 2*bucketWords {
			t.Fatalf("key %d: found %v after %d tags", i, found, n)
		}
		sum += n
	}
	return sum
}
