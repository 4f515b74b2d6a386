// SPDX-License-Identifier: Apache-2.0

package api

import (
	"fmt"
	"time"
)

// Status is the answer to GET /v1/status: a picture of the gateway.
type Status struct {
	Name       string    `json:"name"`    // of the gateway
	Version    string    `json:"version"` // of the program
	PID        int       `json:"pid"`
	Started    time.Time `json:"started"`
	Policy     Policy    `json:"policy"`
	Generation uint32    `json:"generation"` // of the policy in force; 0: none yet
	Rules      int       `json:"rules"`      // of the policy in force
	Flows      Flows     `json:"flows"`
	Wires      []Wire    `json:"wires"`
}

// Policy says which policy is in force.
type Policy struct {
	File    string    `json:"file"`    // as the one who applied it named it
	Hash    string    `json:"hash"`    // of its text
	Applied time.Time `json:"applied"` // when it came into force
}

// Flows says how full the flow table is.
type Flows struct {
	Used     int `json:"used"`
	Capacity int `json:"capacity"`
}

// Wire is a picture of a wire.
type Wire struct {
	Name  string `json:"name"`
	State string `json:"state"` // UP, DEGRADED or DOWN
	Why   string `json:"why"`   // what is wrong; "" when the state is UP
	Fail  string `json:"fail"`  // closed or open
	A     Port   `json:"a"`
	B     Port   `json:"b"`
}

// Port is a picture of one end of a wire. Received frames are either forwarded
// or dropped, and every drop has its reason.
type Port struct {
	Interface string            `json:"interface"`
	VLAN      uint16            `json:"vlan"`   // 0: all frames of the interface
	Attach    string            `json:"attach"` // native or generic
	Socket    string            `json:"socket"` // zero-copy or copy
	Queues    int               `json:"queues"`
	FrameSize int               `json:"frame_size"` // bytes of packet memory a frame
	MTU       int               `json:"mtu"`
	BusyPoll  string            `json:"busy_poll"` // off, on, or why it does not work
	Carrier   bool              `json:"carrier"`
	Received  Counter           `json:"received"`  // came in by this port
	Forwarded Counter           `json:"forwarded"` // of these, left by the other port
	Dropped   map[string]uint64 `json:"dropped"`   // of Received, by reason; without the zeros
	Passed    map[string]uint64 `json:"passed"`    // of Forwarded, those that no rule judged, by reason
	Answered  uint64            `json:"answered"`  // answers to rejected packets sent out of this port
}

// Counter counts frames and their bytes.
type Counter struct {
	Frames uint64 `json:"frames"`
	Bytes  uint64 `json:"bytes"`
}

// RuleList is the answer to GET /v1/rules: the rules in force in their order,
// and what befalls the flows that none of them matches.
type RuleList struct {
	Generation uint32  `json:"generation"`
	Rules      []Rule  `json:"rules"`
	Default    Default `json:"default"`
}

// Rule is a rule, the place where it was written, and how many flows it
// judged since its policy came into force.
type Rule struct {
	Name   string `json:"name"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Action string `json:"action"`
	Hits   uint64 `json:"hits"`
}

// Default is the action for flows that no rule matches, and their number.
type Default struct {
	Action string `json:"action"`
	Hits   uint64 `json:"hits"`
}

// Applied is the answer to POST /v1/policy: the policy is in force, and no
// packet is judged by the one before any more.
type Applied struct {
	Generation uint32  `json:"generation"` // of the new policy
	MS         float64 `json:"ms"`         // milliseconds from the request until it was in force everywhere
	Kept       int     `json:"kept"`       // flows that the change judged again and kept
	Cut        int     `json:"cut"`        // flows that the change cut
	Hash       string  `json:"hash"`       // of the policy's text
	Rules      int     `json:"rules"`      // of the new policy
}

// Problem is one thing that is wrong with a policy, and where.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1; 0: the file as a whole
	Column  int    `json:"column"` // from 1, in bytes; 0: the line as a whole
	Message string `json:"message"`
}

// String gives the problem as compilers do, file:line:column: message, without
// the parts that it has not.
func (p Problem) String() string {
	switch {
	case p.Line == 0:
		return fmt.Sprintf("%s: %s", p.File, p.Message)
	case p.Column == 0:
		return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message)
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// Failure is the body of every answer that is not 2xx, and the error that the
// client returns for it: a problem document of RFC 9457.
type Failure struct {
	Title    string    `json:"title"`  // the text of the HTTP status
	Status   int       `json:"status"` // the HTTP status
	Detail   string    `json:"detail"` // what, where and what to do
	Problems []Problem `json:"problems,omitempty"`
}

// Error gives the detail.
func (f *Failure) Error() string { return f.Detail }
