// SPDX-License-Identifier: Apache-2.0

package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/ctrl/tomlfile"
)

// String writes the port as ParseWire reads it: "eth0", or "eth0@10" with a
// VLAN.
func (p Port) String() string {
	if p.VLAN == 0 {
		return p.Interface
	}
	return fmt.Sprintf("%s@%d", p.Interface, p.VLAN)
}

// ParseWire reads a wire from a command line: "eth0:eth1", where each port may
// have a VLAN, as in "eth0@10:eth1". The wire is called name and has the
// defaults otherwise.
func ParseWire(name, text string) (Wire, error) {
	w := DefaultWire()
	w.Name = name
	a, b, ok := strings.Cut(text, ":")
	if !ok {
		return w, fmt.Errorf("wire %s: want two ports with a colon between them, as in eth0:eth1", tomlfile.Quote(text))
	}
	var errA, errB error
	w.A, errA = parsePort(a)
	w.B, errB = parsePort(b)
	if err := errors.Join(errA, errB); err != nil {
		return w, fmt.Errorf("wire %s: %w", tomlfile.Quote(text), err)
	}
	return w, nil
}

// parsePort reads "eth0" or "eth0@10".
func parsePort(text string) (Port, error) {
	name, tag, tagged := strings.Cut(text, "@")
	p := Port{Interface: name}
	if why := badInterface(name); why != "" {
		return p, fmt.Errorf("interface %s: %s", tomlfile.Quote(name), why)
	}
	if !tagged {
		return p, nil
	}
	vid, err := strconv.ParseUint(tag, 10, 16)
	if err != nil || vid < 1 || vid > maxVLAN {
		return p, fmt.Errorf("VLAN %s of %s: want 1 to %d", tomlfile.Quote(tag), name, maxVLAN)
	}
	p.VLAN = uint16(vid)
	return p, nil
}

// maxInterface is IFNAMSIZ less the byte that ends the name.
const maxInterface = 15

// badInterface says why a name cannot be an interface's, "" if it can. It is
// stricter than the kernel (dev_valid_name in net/core/dev.c) in that the name
// must be printable.
func badInterface(name string) string {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > maxInterface:
		return fmt.Sprintf("the name has more than %d letters", maxInterface)
	case name == "." || name == "..", strings.ContainsAny(name, "/: "), !printable(name):
		return "no interface can have that name"
	}
	return ""
}

// wires reads the list of tables [[wire]].
func (r *reader) wires(v *tomlfile.Value) {
	tables := r.Tables(v)
	if len(tables) > maxWires {
		r.Addf(tables[maxWires].Pos, "more than %d wires", maxWires)
		return
	}
	for _, t := range tables {
		r.conf.Wires = append(r.conf.Wires, r.wire(t))
	}
	for _, c := range conflicts(r.conf.Wires) {
		r.Addf(tables[c.wire].Pos, "%s", c.message)
	}
}

// wire reads one [[wire]].
func (r *reader) wire(t *tomlfile.Table) Wire {
	w := DefaultWire()
	r.Read(t, "[[wire]]", tomlfile.Fields{
		"name":       r.plainName(&w.Name),
		"group":      r.group(&w.Group),
		"a":          r.networkInterface(&w.A),
		"a_vlan":     r.vlan(&w.A),
		"b":          r.networkInterface(&w.B),
		"b_vlan":     r.vlan(&w.B),
		"fail":       r.either(&w.FailOpen, "closed", "open"),
		"offload":    r.word(&w.Offload, map[string]string{"kernel": "to carry out decisions in the kernel"}, Auto, Userspace),
		"mode":       r.word(&w.Mode, nil, Native, Copy, Generic),
		"queues":     r.integer(&w.Queues, 0, maxQueues),
		"frame_size": r.frameSize(&w.FrameSize),
		"busy_poll":  r.integer(&w.BusyPoll, 0, maxBusyPoll),
		"link":       r.word(&w.Link, map[string]string{"propagate": "to take down one port with the other"}, Independent),
	})
	r.Require(t, "[[wire]]", "name", "a", "b")
	return w
}

// networkInterface reads the name of an interface. Whether there is such an
// interface is found out when the gateway starts.
func (r *reader) networkInterface(to *Port) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		s, ok := r.String(v)
		if !ok {
			return
		}
		if why := badInterface(s); why != "" {
			r.Addf(v.Pos, "%s: interface %s: %s", v.Name, tomlfile.Quote(s), why)
			return
		}
		to.Interface = s
	}
}

// vlan reads a VID; 0 is the default, all frames.
func (r *reader) vlan(to *Port) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		if n, ok := r.Integer(v, 0, maxVLAN); ok {
			to.VLAN = uint16(n)
		}
	}
}

// frameSize reads one of the sizes that packet memory is made for.
func (r *reader) frameSize(to *int) func(*tomlfile.Value) {
	return func(v *tomlfile.Value) {
		n, ok := r.Integer(v, 0, 4096)
		if !ok {
			return
		}
		if !slices.Contains([]int64{0, 2048, 4096}, n) {
			r.Addf(v.Pos, "frame_size: %d is none of 2048, 4096, or 0 for what fits the MTU", n)
			return
		}
		*to = int(n)
	}
}

// WireNumbers gives the numbers of the wires by name: their places in Wires,
// as a policy that names wires is resolved with.
func (c *Config) WireNumbers() map[string]uint16 {
	numbers := make(map[string]uint16, len(c.Wires))
	for i, w := range c.Wires {
		numbers[w.Name] = uint16(i)
	}
	return numbers
}

// conflict is something that a wire and an earlier one, or its own two ports,
// cannot both have.
type conflict struct {
	wire    int // index of the later one
	message string
}

// CheckWires refuses wires that contradict each other, for wires that come
// from a command line; Load has done it.
func CheckWires(wires []Wire) error {
	var errs []error
	for _, c := range conflicts(wires) {
		errs = append(errs, errors.New(c.message))
	}
	return errors.Join(errs...)
}

// claim is a port and the wire that it belongs to.
type claim struct {
	port Port
	wire int
}

// conflicts compares wires with those before them. Names and interfaces that
// are missing are left alone: they have been reported.
func conflicts(wires []Wire) []conflict {
	var found []conflict
	names := map[string]bool{}
	claims := map[string][]claim{} // by interface
	for i, w := range wires {
		add := func(format string, args ...any) { found = append(found, conflict{i, fmt.Sprintf(format, args...)}) }
		if names[w.Name] {
			add("another wire has the name %s", tomlfile.Quote(w.Name))
		}
		names[w.Name] = w.Name != ""
		for _, p := range []Port{w.A, w.B} {
			if p.Interface == "" {
				continue
			}
			for _, other := range claims[p.Interface] {
				if why := clash(wires, claim{p, i}, other); why != "" {
					add("%s", why)
					break
				}
			}
			claims[p.Interface] = append(claims[p.Interface], claim{p, i})
		}
	}
	return found
}

// clash says why two ports on one interface cannot be, "" if they can.
func clash(wires []Wire, p, other claim) string {
	w, o := &wires[p.wire], &wires[other.wire]
	switch {
	case p.port == other.port:
		return fmt.Sprintf("port %s is already a port of wire %s", p.port, tomlfile.Quote(o.Name))
	case p.port.VLAN == 0 || other.port.VLAN == 0:
		return fmt.Sprintf("port %s: wire %s uses %s: a port without a VLAN takes the whole interface", p.port, tomlfile.Quote(o.Name), other.port)
	case w.Mode != o.Mode || w.Queues != o.Queues || w.FrameSize != o.FrameSize || w.BusyPoll != o.BusyPoll:
		return fmt.Sprintf("port %s shares its interface with wire %s: mode, queues, frame_size and busy_poll must be the same", p.port, tomlfile.Quote(o.Name))
	}
	return ""
}
