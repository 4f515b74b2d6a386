// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
	"time"
)

// Timeouts is how long a flow may be idle, by state, before it ends. A zero
// field means the default. None may be longer than MaxTimeout.
//
// The defaults keep the minima that RFC 5382 (TCP), 4787 (UDP) and 5508 (ICMP)
// set for address translators, where there is one for an open flow; handshakes
// are shorter, as RFC 7857 allows, the rest is as in Linux's conntrack.
type Timeouts struct {
	SynSent        time.Duration // SYN, also crossed; default 30 s
	SynReceived    time.Duration // SYN and ACK, handshake not complete; default 60 s
	Established    time.Duration // default 2 h 4 min, RFC 5382, REQ-5
	Fin            time.Duration // FIN of one side; default 4 min, RFC 5382, REQ-5
	Closing        time.Duration // FIN of both; default 30 s
	TimeWait       time.Duration // default 2 min
	Reset          time.Duration // default 10 s
	Midstream      time.Duration // picked up, other side not seen; default 30 s
	UDPUnreplied   time.Duration // default 30 s
	UDPReplied     time.Duration // default 5 min, RFC 4787, REQ-5
	ICMP           time.Duration // default 60 s, RFC 5508, REQ-2
	OtherUnreplied time.Duration // default 60 s
	OtherReplied   time.Duration // default 10 min
	OneWay         time.Duration // default 30 s

	// Pressure is the age from which an unconfirmed or finished flow gives way
	// to a new one when the table is full; default 100 ms. Longer protects
	// handshakes over long distances, shorter admits more new flows in a flood:
	// about (capacity less open flows) / Pressure a second.
	Pressure time.Duration
}

// MaxTimeout is the longest timeout: last-seen times wrap after 13 days, and
// must be told from the future.
const MaxTimeout = 144 * time.Hour

// DefaultTimeouts is what a zero Timeouts means.
func DefaultTimeouts() Timeouts {
	return Timeouts{
		SynSent:        30 * time.Second,
		SynReceived:    60 * time.Second,
		Established:    124 * time.Minute,
		Fin:            4 * time.Minute,
		Closing:        30 * time.Second,
		TimeWait:       2 * time.Minute,
		Reset:          10 * time.Second,
		Midstream:      30 * time.Second,
		UDPUnreplied:   30 * time.Second,
		UDPReplied:     5 * time.Minute,
		ICMP:           60 * time.Second,
		OtherUnreplied: 60 * time.Second,
		OtherReplied:   10 * time.Minute,
		OneWay:         30 * time.Second,
		Pressure:       100 * time.Millisecond,
	}
}

// named pairs each field with its name in messages and the states that it is
// for. Pressure has none.
func (t *Timeouts) named() []namedTimeout {
	return []namedTimeout{
		{"syn_sent", &t.SynSent, []State{SynSent, SynCrossed}},
		{"syn_received", &t.SynReceived, []State{SynReceived, SynAnswered}},
		{"established", &t.Established, []State{Established}},
		{"fin", &t.Fin, []State{FinInitiator, FinResponder}},
		{"closing", &t.Closing, []State{Closing}},
		{"time_wait", &t.TimeWait, []State{TimeWait}},
		{"reset", &t.Reset, []State{ResetInitiator, ResetResponder}},
		{"midstream", &t.Midstream, []State{Midstream, MidstreamResponder}},
		{"udp_unreplied", &t.UDPUnreplied, []State{UDPUnreplied}},
		{"udp_replied", &t.UDPReplied, []State{UDPReplied}},
		{"icmp", &t.ICMP, []State{ICMPUnreplied, ICMPReplied}},
		{"other_unreplied", &t.OtherUnreplied, []State{OtherUnreplied}},
		{"other_replied", &t.OtherReplied, []State{OtherReplied}},
		{"one_way", &t.OneWay, []State{OneWay}},
		{"pressure", &t.Pressure, nil},
	}
}

type namedTimeout struct {
	name   string
	value  *time.Duration
	states []State
}

// limits is timeouts in ticks, by state.
type limits struct {
	idle     [stateSpace]uint64
	pressure uint64
}

// limits fills in the defaults and converts. A flow is too old when it has been
// idle for more ticks than this, so that it ends no earlier than the timeout
// says, and at most three ticks later.
func (t Timeouts) limits() (l limits, err error) {
	defaults := DefaultTimeouts()
	fallback := defaults.named()
	for i, f := range t.named() {
		d := *f.value
		if d == 0 {
			d = *fallback[i].value
		}
		if d < 0 || d > MaxTimeout {
			return l, fmt.Errorf("flow table: timeout %s: %v is not in 1ns to %v", f.name, d, MaxTimeout)
		}
		ticks := uint64(d)>>tickShift + 1
		for _, s := range f.states {
			l.idle[s] = ticks
		}
		if f.states == nil {
			l.pressure = ticks
		}
	}
	return l, nil
}
