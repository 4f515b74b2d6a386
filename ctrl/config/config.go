// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// Paths of an installed gateway.
const (
	DefaultFile   = "/etc/bulkhead/bulkhead.toml"
	DefaultPolicy = "/etc/bulkhead/policy.toml"
	DefaultRunDir = "/run/bulkhead"
)

// Problems is the error of a file that is wrong: all that is wrong with it,
// by place.
type Problems = tomlfile.Problems

// Config is a gateway's configuration. Tags name the keys of the file. Once
// loaded it is only read, by any number of goroutines.
type Config struct {
	Gateway Gateway `toml:"gateway"`
	Wires   []Wire  `toml:"wire"`
	Flows   Flows   `toml:"flows"`

	// Exceptions says for every reason that may be configured whether its
	// packets are forwarded unjudged (true) or dropped.
	Exceptions map[event.Reason]bool `toml:"exceptions"`
}

// Gateway is the table [gateway].
type Gateway struct {
	Name      string        `toml:"name"`       // names its pins
	Policy    string        `toml:"policy"`     // path of the policy file
	Group     string        `toml:"group"`      // Unix group that may use the control socket; "": root's
	RunDir    string        `toml:"run_dir"`    // folder of the control socket
	OnStop    string        `toml:"on_stop"`    // "detach": the gateway leaves nothing behind
	BeatLimit time.Duration `toml:"beat_limit"` // a worker silent for longer puts its wires into their fail mode; 20 ms to 1 min
}

// Wire is one [[wire]].
type Wire struct {
	Name      string `toml:"name"`
	Group     string `toml:"group"` // wires of one group share flows; "": a group of its own
	A         Port   `toml:"a,a_vlan"`
	B         Port   `toml:"b,b_vlan"`
	FailOpen  bool   `toml:"fail"`       // "open": pass everything, counted, while the gateway is gone or hung
	Offload   string `toml:"offload"`    // Auto or Userspace
	Mode      string `toml:"mode"`       // Native, Copy or Generic
	Queues    int    `toml:"queues"`     // receive queues served on each port, to 1024; 0: all there are
	FrameSize int    `toml:"frame_size"` // bytes, 2048 or 4096; 0: by the MTU
	BusyPoll  int    `toml:"busy_poll"`  // frames that a busy poll may take, to 65535; 0: no busy polling
	Link      string `toml:"link"`       // Independent
}

// Port is one end of a wire: an interface, or the frames of one VLAN on it.
type Port struct {
	Interface string
	VLAN      uint16 // 802.1Q VID 1 to 4094; 0: all frames, whatever their tags
}

// The words of a wire's keys.
const (
	Auto        = "auto"        // offload where it is faster
	Userspace   = "userspace"   // no offload
	Native      = "native"      // XDP in the driver, zero-copy where both drivers have it
	Copy        = "copy"        // XDP in the driver, frames copied
	Generic     = "generic"     // XDP behind the driver: slow
	Independent = "independent" // a port's link state is not carried over to its peer
	Detach      = "detach"      // take everything away at the end
)

// Flows is the table [flows].
type Flows struct {
	Capacity  int      `toml:"capacity"`  // flows that fit, 1,024 to 64 Mi
	Midstream bool     `toml:"midstream"` // "policy": judge TCP that begins in the middle by the policy; else drop
	Timeouts  Timeouts `toml:"timeouts"`
}

// Timeouts is the table timeouts in [flows]: how long a flow lives without a
// packet, 1 second to 7 days.
type Timeouts struct {
	TCPSyn         time.Duration `toml:"tcp_syn"`         // not yet answered, or not yet established
	TCPEstablished time.Duration `toml:"tcp_established"` // both sides have agreed
	TCPClosing     time.Duration `toml:"tcp_closing"`     // a FIN or RST was seen
	UDP            time.Duration `toml:"udp"`             // not yet answered
	UDPReplied     time.Duration `toml:"udp_replied"`     // packets in both directions
	ICMP           time.Duration `toml:"icmp"`
	Other          time.Duration `toml:"other"` // every other protocol
}

// Default returns the configuration of a gateway whose file says nothing. It
// has no wires, and so is not complete.
func Default() *Config {
	return &Config{
		Gateway: Gateway{
			Name:      "bulkhead",
			Policy:    DefaultPolicy,
			RunDir:    DefaultRunDir,
			OnStop:    Detach,
			BeatLimit: 250 * time.Millisecond,
		},
		Flows: Flows{
			Capacity: 262144,
			Timeouts: Timeouts{
				TCPSyn:         30 * time.Second,
				TCPEstablished: 124 * time.Minute, // RFC 5382, REQ-5
				TCPClosing:     4 * time.Minute,   // RFC 5382, REQ-5
				UDP:            30 * time.Second,
				UDPReplied:     5 * time.Minute, // RFC 4787, REQ-5
				ICMP:           time.Minute,     // RFC 5508, REQ-2
				Other:          time.Minute,
			},
		},
		Exceptions: defaultExceptions(),
	}
}

// DefaultWire returns a wire with everything but its name and ports.
func DefaultWire() Wire {
	return Wire{Offload: Auto, Mode: Native, Link: Independent}
}

// configurable lists the reasons that [exceptions] may decide on: what the
// parser makes of frames that flow table and policy do not judge, and what the
// flow table cannot decide.
func configurable() []event.Reason {
	var reasons []event.Reason
	for o := packet.ICMPError + 1; o < packet.NumOutcomes; o++ {
		reasons = append(reasons, event.Reason(o))
	}
	return append(reasons, event.Unnamed, event.Midstream, event.InvalidState,
		event.FragmentOrphan, event.ICMPUnrelated, event.TableFull)
}

// reasonName is the key of a reason.
func reasonName(r event.Reason) string {
	if name := r.Name(); name != "" {
		return name
	}
	return packet.Outcome(r).String()
}

// defaultExceptions forwards link control alone.
func defaultExceptions() map[event.Reason]bool {
	forward := map[event.Reason]bool{}
	for _, r := range configurable() {
		forward[r] = r < event.Reason(packet.NumOutcomes) && packet.Outcome(r).PassesByDefault()
	}
	return forward
}
