// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// Expectation is what must happen to the packets that a class sends from now on.
type Expectation uint8

// The expectations. MayPass is for the time in which the policy changes: either is right.
const (
	MayPass Expectation = iota
	MustPass
	MustDrop
)

// Oracle knows what was sent, hears what arrives, and counts what should not have happened. Every packet carries
// the run, its class, its number in the class and the time of sending; the rest of its payload is a
// pattern that follows from these, so that damage shows. Safe for concurrent use.
//
//	o := NewOracle(100 * time.Millisecond)
//	allowed, denied := o.Class("always-allow", MustPass), o.Class("always-deny", MustDrop)
//	a send loop: conn.Send(frame(allowed.Stamp(64)))     the receiver: o.See(frame, at)
//	o.Settle(ctx)
//	for _, r := range o.Report() { if !r.OK() ... }
type Oracle struct {
	run    uint64
	maxAge time.Duration

	mu      sync.Mutex
	classes []*Class // guarded by mu, and so is what they hold
	foreign uint64
}

// Class is a kind of test packet with an expectation of its own, such as always-allow, always-deny, only under
// policy A, or of an established flow.
type Class struct {
	o    *Oracle
	name string
	id   uint16

	want     Expectation
	sent     []sentPacket // by number
	last     Instant      // arrival of the last one
	highest  int          // number seen, -1: none
	report   ClassReport  // what is counted as it happens
	awaiting int          // sent under MustPass and not seen
}

type sentPacket struct {
	at   Instant
	want Expectation
	seen bool
}

// ClassReport is the sum over a class.
type ClassReport struct {
	Class      string
	Sent       uint64
	Received   uint64 // packets that arrived, each counted once
	Lost       uint64 // sent under MustPass, not arrived
	Leaked     uint64 // sent under MustDrop, arrived
	Duplicated uint64 // arrivals beyond the first
	Reordered  uint64 // first arrivals after one with a higher number
	TooOld     uint64 // arrivals older than the oracle's limit
	Corrupt    uint64 // of this class, but not as sent
	MaxAge     time.Duration
	MaxGap     time.Duration // longest time between two arrivals
}

// OK tells whether nothing happened that should not: what MayPass did, and gaps, are for the caller to judge.
func (r ClassReport) OK() bool {
	return r.Lost+r.Leaked+r.Duplicated+r.Reordered+r.TooOld+r.Corrupt == 0
}

// String is one line with every count that is not zero.
func (r ClassReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: sent %d received %d", r.Class, r.Sent, r.Received)
	for _, c := range []struct {
		name  string
		count uint64
	}{{"lost", r.Lost}, {"leaked", r.Leaked}, {"duplicated", r.Duplicated}, {"reordered", r.Reordered},
		{"too-old", r.TooOld}, {"corrupt", r.Corrupt}} {
		if c.count > 0 {
			fmt.Fprintf(&b, " %s %d", c.name, c.count)
		}
	}
	fmt.Fprintf(&b, " max-age %v max-gap %v", r.MaxAge, r.MaxGap)
	return b.String()
}

// NewOracle makes an oracle to which a packet older than maxAge on arrival is too old.
func NewOracle(maxAge time.Duration) *Oracle {
	return &Oracle{run: rand.Uint64(), maxAge: maxAge}
}

// Class adds a class of packets.
func (o *Oracle) Class(name string, want Expectation) *Class {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := &Class{o: o, name: name, id: uint16(len(o.classes)), want: want, highest: -1}
	o.classes = append(o.classes, c)
	return c
}

// Expect changes what must happen to the packets stamped from now on. Packets on their way are judged by the
// expectation under which they were sent; so before a policy changes: Expect(MayPass), wait until
// what is on its way has arrived, change, and then Expect what the new policy says.
func (c *Class) Expect(want Expectation) {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	c.want = want
}

// The stamp: magic, run, number, time of sending, class, length of the payload. Big endian.
const (
	stampMagic = "bulkhead" // 8 bytes
	stampSize  = 8 + 8 + 8 + 8 + 2 + 2
)

// Stamp makes the payload of the class's next packet, of size bytes (at least 36 are made), and counts it as sent.
func (c *Class) Stamp(size int) []byte {
	c.o.mu.Lock()
	defer c.o.mu.Unlock()
	number, at := len(c.sent), Now()
	c.sent = append(c.sent, sentPacket{at: at, want: c.want})
	if c.want == MustPass {
		c.awaiting++
	}
	return c.payload(number, at, max(size, stampSize))
}

func (c *Class) payload(number int, at Instant, size int) []byte {
	b := make([]byte, 0, size)
	b = append(b, stampMagic...)
	b = binary.BigEndian.AppendUint64(b, c.o.run)
	b = binary.BigEndian.AppendUint64(b, uint64(number))
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = be16(be16(b, c.id), uint16(size))
	for i := len(b); i < size; i++ {
		b = append(b, byte(number+i))
	}
	return b
}

// See judges a frame, or a payload, that arrived. It tells whether it was a packet of this oracle; packets of
// other runs are counted as foreign.
func (o *Oracle) See(frame []byte, at Instant) bool {
	start := bytes.Index(frame, []byte(stampMagic))
	if start < 0 || len(frame) < start+stampSize {
		return false
	}
	b := frame[start:]
	o.mu.Lock()
	defer o.mu.Unlock()
	number, id := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint16(b[32:])
	if binary.BigEndian.Uint64(b[8:]) != o.run || int(id) >= len(o.classes) {
		o.foreign++
		return false
	}
	c := o.classes[id]
	size := int(binary.BigEndian.Uint16(b[34:]))
	if number >= uint64(len(c.sent)) || size < stampSize || size > len(b) ||
		!bytes.Equal(b[:size], c.payload(int(number), c.sent[number].at, size)) {
		c.report.Corrupt++
		return true
	}
	c.arrived(int(number), at)
	return true
}

// arrived counts a packet that is as it was sent.
func (c *Class) arrived(number int, at Instant) {
	p := &c.sent[number]
	age := at.Sub(p.at)
	if c.last != 0 {
		c.report.MaxGap = max(c.report.MaxGap, at.Sub(c.last))
	}
	c.last = at
	c.report.MaxAge = max(c.report.MaxAge, age)
	if age > c.o.maxAge {
		c.report.TooOld++
	}
	if p.seen {
		c.report.Duplicated++
		return
	}
	p.seen = true
	c.report.Received++
	switch p.want {
	case MustDrop:
		c.report.Leaked++
	case MustPass:
		c.awaiting--
	}
	if number < c.highest {
		c.report.Reordered++
	}
	c.highest = max(c.highest, number)
}

// Report sums up, in the order in which the classes were added. What is still on its way counts as lost: Settle first.
func (o *Oracle) Report() []ClassReport {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []ClassReport
	for _, c := range o.classes {
		r := c.report
		r.Class, r.Sent, r.Lost = c.name, uint64(len(c.sent)), uint64(c.awaiting)
		all = append(all, r)
	}
	return all
}

// Foreign is the number of packets seen that another oracle sent.
func (o *Oracle) Foreign() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.foreign
}

// Verdict is nil if every class is OK, else an error with a line for each that is not.
func (o *Oracle) Verdict() error {
	var bad []string
	for _, r := range o.Report() {
		if !r.OK() {
			bad = append(bad, r.String())
		}
	}
	if bad == nil {
		return nil
	}
	return fmt.Errorf("oracle: %s", strings.Join(bad, "\n"))
}

// awaited is how many packets must still arrive.
func (o *Oracle) awaited() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.classes {
		n += c.awaiting
	}
	return n
}
