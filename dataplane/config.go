// SPDX-License-Identifier: Apache-2.0

package dataplane

import (
	"fmt"
	"time"

	"bulkhead/classifier"
	"bulkhead/dataplane/event"
	"bulkhead/flowtable"
)

// Config is what a gateway is opened with. It does not change afterwards;
// policies do, by Publish.
type Config struct {
	Name       string                    // of the gateway; names its pins
	Wires      []Wire                    // at least one
	Flows      Flows                     // the flow table
	Exceptions [event.NumReasons]Verdict // by reason: Drop or Forward; see DefaultExceptions
	BeatLimit  time.Duration             // how old a worker's beat may be before its wire fails; 0: 250 ms
	Events     func([]event.Record)      // called by one goroutine with what the workers tell; the slice is used again; nil: nobody listens
	BPFFS      string                    // the mounted bpffs under which programs are pinned; "": not pinned
}

// Wire is two ports joined through the gateway.
type Wire struct {
	Name      string
	Group     string // wires of one group share flows; "": a group of its own
	A, B      Port
	FailOpen  bool // pass everything, counted, while the gateway is gone or hung
	Mode      Mode // how the kernel program is attached and frames are handed over
	Queues    int  // receive queues served on each port; 0: all there are
	FrameSize int  // bytes of a frame of packet memory, 2048 or 4096; 0: by the MTU
	BusyPoll  int  // frames that a busy poll may take; 0: no busy polling
}

// Port is one end of a wire: an interface, or the frames of one VLAN on it.
type Port struct {
	Interface string
	VLAN      uint16 // 802.1Q VID 1 to 4094; 0: all frames, whatever their tags
}

// String gives the port as people write it.
func (p Port) String() string {
	if p.VLAN == 0 {
		return p.Interface
	}
	return fmt.Sprintf("%s@%d", p.Interface, p.VLAN)
}

// Mode says how a wire's ports are driven.
type Mode uint8

// The modes. A driver without zero-copy uses Copy under Native.
const (
	Native  Mode = iota // native XDP, zero-copy sockets where both drivers have them
	Copy                // native XDP, copying sockets
	Generic             // generic XDP: slow, and only when asked for
)

// String gives the mode's name in configuration and status.
func (m Mode) String() string { return [...]string{"native", "copy", "generic"}[m] }

// Flows sizes the flow table and says how flows age.
type Flows struct {
	Capacity  int                // flows that fit; 0: 262,144
	Midstream bool               // judge TCP that begins in the middle by the policy, else drop it
	Timeouts  flowtable.Timeouts // zero fields take the defaults
}

// Verdict is what befalls a packet. The zero value drops it. The numbers are
// those of the verdict words of a policy's rules.
type Verdict uint8

// The verdicts.
const (
	Drop    Verdict = iota // dropped, silently
	Forward                // sent out of the wire's other port
	Reject                 // dropped, and the sender may be told
)

// String gives the verdict's name.
func (v Verdict) String() string { return [...]string{"drop", "forward", "reject"}[v] }

// Policy is what Publish brings into force: rules whose verdict words are
// Verdicts, and the verdict of what no rule matches.
type Policy struct {
	Program *classifier.Program
	Default Verdict
}

// Published tells what a publication did.
type Published struct {
	Generation uint32        // of the policy now in force
	Took       time.Duration // from the call until all was judged by it
	Kept, Cut  int           // flows that passed before: those that still do, those that no longer do
}
