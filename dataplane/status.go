// SPDX-License-Identifier: Apache-2.0

package dataplane

import "bulkhead/dataplane/event"

// State is the condition of a wire.
type State uint8

// The states of a wire.
const (
	Down     State = iota // a port has no carrier, is gone, or has no program
	Degraded              // it forwards, but something that ought to work does not
	Up                    // both ports forward
)

// String gives the state's name.
func (s State) String() string { return [...]string{"DOWN", "DEGRADED", "UP"}[s] }

// Status is a picture of a gateway. Counters never go back while it lives.
type Status struct {
	Name        string
	Generation  uint32   // of the policy in force; 0: none yet
	Rules       int      // rules of the policy in force
	Hits        []uint64 // by rule: flows judged by it under this policy
	DefaultHits uint64   // flows judged by the default
	Flows       int      // in the table now
	Capacity    int      // that fit
	Wires       []WireStatus
}

// WireStatus is a picture of a wire.
type WireStatus struct {
	Name  string
	State State
	Why   string // what is wrong, when the state is not Up
	Fail  string // closed or open
	A, B  PortStatus
}

// PortStatus is a picture of a port. Received = Forwarded + the sum of Dropped.
type PortStatus struct {
	Port      Port
	Attach    string // native or generic
	Socket    string // zero-copy or copy
	Queues    int
	FrameSize int
	MTU       int
	BusyPoll  string // off, on, or why it does not work
	Carrier   bool
	Received  Counter                  // frames that came in by the port
	Forwarded Counter                  // of these, sent out by the peer port
	Dropped   [event.NumReasons]uint64 // of these, dropped, by reason
	Passed    [event.NumReasons]uint64 // of Forwarded, those that no rule judged, by reason (link control, fail open, exceptions)
	Answered  uint64                   // answers to rejected packets sent out of this port
}

// Counter counts frames and their bytes.
type Counter struct{ Frames, Bytes uint64 }
