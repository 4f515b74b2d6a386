// SPDX-License-Identifier: Apache-2.0

package config

import (
	"time"

	"bulkhead/ctrl/tomlfile"
	"bulkhead/dataplane/event"
	"bulkhead/dataplane/packet"
)

// maxFile is the length of the longest configuration file in bytes.
const maxFile = 1 << 20

// Bounds of values.
const (
	minBeat, maxBeat         = 20 * time.Millisecond, time.Minute
	minTimeout, maxTimeout   = time.Second, 144 * time.Hour
	minCapacity, maxCapacity = 1 << 10, 1 << 26
	maxWires                 = 1024
	maxQueues                = 1024
	maxBusyPoll              = 65535 // SO_BUSY_POLL_BUDGET
	maxVLAN                  = 4094
)

// Load reads a configuration file. The error is a Problems when its contents
// are wrong, and else says why it could not be read; a file that is not there
// is an error like any other (errors.Is finds fs.ErrNotExist).
func Load(path string) (*Config, error) {
	text, err := tomlfile.ReadFile(path, maxFile)
	if err != nil {
		return nil, err
	}
	return Parse(path, text)
}

// Parse does the same with the text of a file; name is what messages call it.
// The error is a Problems.
func Parse(name string, text []byte) (*Config, error) {
	if len(text) > maxFile {
		return nil, Problems{{File: name, Message: "longer than 1 MiB"}}
	}
	file, err := tomlfile.Parse(name, text)
	if err != nil {
		return nil, err
	}
	r := reader{Document: file, conf: Default()}
	file.Read(file.Root, "a configuration", tomlfile.Fields{
		"gateway":    r.gateway,
		"wire":       r.wires,
		"flows":      r.flows,
		"exceptions": r.exceptions,
	})
	if file.Root.Find("wire") == nil {
		file.Addf(0, "no wire is configured: add a [[wire]] with name, a and b")
	}
	r.checkMidstream()
	if err := file.Err(); err != nil {
		return nil, err
	}
	return r.conf, nil
}

// reader fills a Config from a file.
type reader struct {
	*tomlfile.Document
	conf      *Config
	midstream *tomlfile.Value // the key in [exceptions], if it is there
}

// gateway reads [gateway].
func (r *reader) gateway(v *tomlfile.Value) {
	t, ok := r.Table(v)
	if !ok {
		return
	}
	g := &r.conf.Gateway
	r.Read(t, "[gateway]", tomlfile.Fields{
		"name":       r.plainName(&g.Name),
		"policy":     r.path(&g.Policy),
		"group":      r.group(&g.Group),
		"run_dir":    r.path(&g.RunDir),
		"on_stop":    r.word(&g.OnStop, map[string]string{"keep": "to keep the programs attached"}, Detach),
		"beat_limit": r.duration(&g.BeatLimit, minBeat, maxBeat),
	})
}

// flows reads [flows].
func (r *reader) flows(v *tomlfile.Value) {
	t, ok := r.Table(v)
	if !ok {
		return
	}
	f := &r.conf.Flows
	r.Read(t, "[flows]", tomlfile.Fields{
		"capacity":  r.integer(&f.Capacity, minCapacity, maxCapacity),
		"midstream": r.either(&f.Midstream, "drop", "policy"),
		"timeouts":  r.timeouts,
	})
}

// timeouts reads [flows.timeouts].
func (r *reader) timeouts(v *tomlfile.Value) {
	t, ok := r.Table(v)
	if !ok {
		return
	}
	timeouts := &r.conf.Flows.Timeouts
	timeout := func(d *time.Duration) func(*tomlfile.Value) { return r.duration(d, minTimeout, maxTimeout) }
	r.Read(t, "[flows.timeouts]", tomlfile.Fields{
		"tcp_syn":         timeout(&timeouts.TCPSyn),
		"tcp_established": timeout(&timeouts.TCPEstablished),
		"tcp_closing":     timeout(&timeouts.TCPClosing),
		"udp":             timeout(&timeouts.UDP),
		"udp_replied":     timeout(&timeouts.UDPReplied),
		"icmp":            timeout(&timeouts.ICMP),
		"other":           timeout(&timeouts.Other),
	})
}

// exceptions reads one key a reason.
func (r *reader) exceptions(v *tomlfile.Value) {
	t, ok := r.Table(v)
	if !ok {
		return
	}
	fields := tomlfile.Fields{}
	for _, reason := range configurable() {
		fields[reasonName(reason)] = func(v *tomlfile.Value) { r.exception(reason, v) }
	}
	r.Read(t, "[exceptions]", fields)
	r.midstream = t.Find(reasonName(event.Midstream))
}

// exception reads one key of [exceptions].
func (r *reader) exception(reason event.Reason, v *tomlfile.Value) {
	word, ok := r.Word(v, "drop", "forward")
	if !ok {
		return
	}
	if word == "forward" && reason == event.Reason(packet.Truncated) {
		r.Addf(v.Pos, "%s: a frame without a whole header cannot be forwarded", v.Name)
		return
	}
	r.conf.Exceptions[reason] = word == "forward"
}

// checkMidstream refuses an exception that would never be asked for.
func (r *reader) checkMidstream() {
	if r.midstream != nil && r.conf.Flows.Midstream && r.conf.Exceptions[event.Midstream] {
		r.Addf(r.midstream.Pos, `midstream: "forward" has no effect: midstream = "policy" in [flows] has the policy judge`)
	}
}
