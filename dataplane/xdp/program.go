// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"errors"
	"fmt"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Options say how an instance of the program is loaded and attached.
type Options struct {
	Interface string // name, for messages and pins
	Index     int    // interface index
	Generic   bool   // attach in generic mode
	MaxFrame  int    // longest frame that the sockets can take: SmallFrame or LargeFrame
	BeatLimit time.Duration
	Lanes     []Lane // the ports on the interface; numbered from 1 in this order
	Pins      string // directory of LockPins in which the link is pinned; "": not pinned
}

// Program is an instance of the program, attached to an interface. Its methods
// may be called by one goroutine at a time.
type Program struct {
	opts Options
	coll *ebpf.Collection
	link link.Link
	pin  string
}

// Attach loads the program and attaches it. Until sockets are bound it drops
// every frame, given that the gateway beats.
func Attach(beats *Beats, opts Options) (*Program, error) {
	if err := checkLanes(opts.Lanes); err != nil {
		return nil, fmt.Errorf("attach to %s: %w", opts.Interface, err)
	}
	coll, err := load(opts, map[string]*ebpf.Map{"beats": beats.array})
	if err != nil {
		return nil, fmt.Errorf("load the XDP program for %s: %w", opts.Interface, err)
	}
	p := &Program{opts: opts, coll: coll}
	if err := errors.Join(p.setLanes(), p.attach()); err != nil {
		p.Close()
		return nil, fmt.Errorf("attach to %s: %w", opts.Interface, err)
	}
	return p, nil
}

// load makes the program, with the constants of the interface, and those maps
// that are not given.
func load(opts Options, given map[string]*ebpf.Map) (*ebpf.Collection, error) {
	spec, err := loadBulkhead()
	if err != nil {
		return nil, err
	}
	large, ok := map[int]uint32{SmallFrame: 0, LargeFrame: 1}[opts.MaxFrame]
	if !ok {
		return nil, fmt.Errorf("frames of at most %d bytes: the program knows %d and %d", opts.MaxFrame, SmallFrame, LargeFrame)
	}
	whole := uint32(0)
	if opts.Lanes[0].VLAN == 0 {
		whole = 1
	}
	err = errors.Join(
		spec.Variables["beat_limit_ns"].Set(uint64(opts.BeatLimit)),
		spec.Variables["large_frames"].Set(large),
		spec.Variables["whole"].Set(whole))
	if err != nil {
		return nil, err
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{
		MapReplacements: given,
	})
	if errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w (CAP_BPF and CAP_NET_ADMIN are needed: run as root)", err)
	}
	return coll, err
}

// setLanes writes the ports of the interface and the interfaces of their peers.
func (p *Program) setLanes() error {
	for i, l := range p.opts.Lanes {
		number := i + 1
		err := p.coll.Maps["lanes"].Put(uint32(l.VLAN), l.word(number))
		if err == nil {
			err = p.coll.Maps["peers"].Put(uint32(number), uint32(l.PeerIf))
		}
		if err != nil {
			return fmt.Errorf("set lane %d: %w", number, err)
		}
	}
	return nil
}

// attach makes the link, and pins it where that is asked for, so that it
// outlives the process.
func (p *Program) attach() error {
	flags := link.XDPDriverMode
	if p.opts.Generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p.coll.Programs["bulkhead"], Interface: p.opts.Index, Flags: flags})
	if err != nil {
		return p.explain(err)
	}
	p.link = l
	if p.opts.Pins == "" {
		return nil
	}
	p.pin = pinPath(p.opts.Pins, p.opts.Interface)
	if err := l.Pin(p.pin); err != nil {
		p.pin = ""
		return fmt.Errorf("pin the link: %w", err)
	}
	return nil
}

// explain turns the kernel's refusal to attach into what a person can act on.
func (p *Program) explain(err error) error {
	switch {
	case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EEXIST):
		return foreign(p.opts.Index, p.opts.Interface, err)
	case errors.Is(err, unix.ERANGE):
		return fmt.Errorf("%w: the MTU of %s or of its far end is too large for XDP: lower it (veth takes up to 3498, others up to about 3400)", err, p.opts.Interface)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: the driver of %s has no native XDP: set mode = \"generic\" (slow) or use another NIC", err, p.opts.Interface)
	}
	return err
}

// Renew puts a fresh copy of the program in the place of the one that is
// attached, over the same maps; no frame is lost. Drivers that get more queues
// may not give the program to the new ones until it is set again (veth, whose
// new queues would go to the host's own network stack), and the kernel takes
// setting the same one for nothing to do.
func (p *Program) Renew() error {
	coll, err := load(p.opts, p.coll.Maps)
	if err != nil {
		return fmt.Errorf("renew the XDP program of %s: %w", p.opts.Interface, err)
	}
	if err := p.link.Update(coll.Programs["bulkhead"]); err != nil {
		coll.Close()
		return fmt.Errorf("renew the XDP program of %s: %w", p.opts.Interface, err)
	}
	p.coll.Close()
	p.coll = coll
	return nil
}

// Bind hands the frames of a queue to a socket.
func (p *Program) Bind(queue, socket int) error {
	if err := p.coll.Maps["sockets"].Put(uint32(queue), uint32(socket)); err != nil {
		return fmt.Errorf("bind queue %d of %s: %w", queue, p.opts.Interface, err)
	}
	return nil
}

// Counts gives the frames that the program did not hand to a socket, by lane
// (0: of no port) and cause.
func (p *Program) Counts() ([][NumCauses]uint64, error) {
	counts := make([][NumCauses]uint64, 1+len(p.opts.Lanes))
	perCPU := []uint64{}
	for lane := range counts {
		for cause := range NumCauses {
			key := uint32(lane)*uint32(NumCauses) + uint32(cause)
			if err := p.coll.Maps["counts"].Lookup(key, &perCPU); err != nil {
				return nil, fmt.Errorf("read the counters of %s: %w", p.opts.Interface, err)
			}
			for _, n := range perCPU {
				counts[lane][cause] += n
			}
		}
	}
	return counts, nil
}

// Attached says whether the program is still on its interface: another user
// with the right to do so may have taken it off, or the interface may be gone.
func (p *Program) Attached() (bool, error) {
	info, err := p.link.Info()
	if err != nil {
		return false, fmt.Errorf("query the link of %s: %w", p.opts.Interface, err)
	}
	return info.XDP() != nil && int(info.XDP().Ifindex) == p.opts.Index, nil
}

// Close detaches the program and frees it. It is right to call it on a program
// that was not attached whole, and before the sockets are closed.
func (p *Program) Close() error {
	var unpin, detach error
	if p.pin != "" {
		unpin = p.link.Unpin()
	}
	if p.link != nil {
		detach = p.link.Close()
	}
	p.coll.Close()
	return joinNamed(p.opts.Interface, unpin, detach)
}

// joinNamed joins errors under a name; nil when there is none.
func joinNamed(name string, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close %s: %w", name, err)
	}
	return nil
}
