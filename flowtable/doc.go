// SPDX-License-Identifier: Apache-2.0

// Package flowtable is the table of flows that the workers of a gateway share:
// one entry for both directions of a conversation, with the decision that the
// policy made, the state of the conversation, and what it has carried.
//
// # Memory
//
// The table is three slices of 64-bit words of a fixed size, taken at the
// start (layout.go has every offset): a header, buckets of eight tags in one
// cache line, and a dense pool of entries of two cache lines. A key has two
// candidate buckets; a tag holds 32 bits of the key's hash and the entry's
// number. So a lookup reads at most 16 tags, and a hit one or two buckets and
// one entry, whoever chose the keys: the hash is keyed.
//
// # Who may do what
//
// A Table is safe for concurrent use. Each goroutine that uses entries has a
// Handle of its own. There are no locks: every shared word is read and written
// by sync/atomic (which is sequentially consistent), and these pairs make it
// right:
//
//   - A control word says which life an entry leads (a sequence number that
//     counts its uses) and in which phase it is. A reader loads it, then the
//     key, then the control word again: the same number means that the key it
//     saw was whole. A writer changes the number before it writes a key.
//   - An entry is filled before its tag is stored, and its tag is visible
//     before anyone makes it live. Of several entries that workers insert for
//     one key at the same time, one becomes live (settle.go).
//   - Ending a flow takes two steps. First it is marked dead and its tag is
//     taken out, then the table's epoch is raised. Each handle publishes, once
//     a batch, the epoch that it has seen (Pass). When all handles that are
//     not idle have seen it, nobody holds a Ref to the entry any more: its
//     counters are final, the record of its end is handed out, and only then
//     the entry is used again. So a Ref is good until the Pass that follows,
//     and no packet is ever counted for another flow than its own.
//
// # The way of a packet
//
// LookupBatch finds the flows of a batch. For each packet: on a miss Begin,
// classify, Insert; on a hit View, and Judge if the generation is not the
// present one; if the verdict lets it pass, Advance; then Account. After the
// batch Pass, then Sweep. Before waiting, Idle.
package flowtable
