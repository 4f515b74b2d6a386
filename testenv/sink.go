// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// Sink is an XDP program at an interface that counts and drops a flood's frames, and lets all others pass.
// Being XDP, it also makes a veth take what is redirected to it.
// Safe for concurrent use.
type Sink struct {
	dev   string
	count *ebpf.Map // per CPU
	prog  *ebpf.Program
	link  link.Link
	close func() error
}

// SinkCount is what a sink has counted since it was made.
type SinkCount struct {
	Packets uint64 // of the flood
	Bytes   uint64 // of these, without FCS
	Others  uint64 // passed on
}

// The entries of the count map.
const (
	sinkPackets uint32 = iota
	sinkBytes
	sinkOthers
)

// NewSink attaches a sink, in native mode, for UDP over IPv4 (without options) to a port, in frames with so many tags.
func (n *NS) NewSink(dev string, port uint16, tags int) (*Sink, error) {
	s := &Sink{dev: n.String() + "/" + dev}
	err := s.attach(n, dev, sinkMatch(port, tags))
	if err == nil {
		s.close, err = n.owner.own(s.detach)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: sink: %w", s.dev, errors.Join(err, s.detach()))
	}
	return s, nil
}

func (s *Sink) attach(n *NS, dev string, match asm.Instructions) error {
	index, err := n.Index(dev)
	if err != nil {
		return err
	}
	s.count, err = ebpf.NewMap(&ebpf.MapSpec{Name: "bh_sink", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 3})
	if err != nil {
		return err
	}
	s.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{Name: "bh_sink", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: sinkProgram(s.count.FD(), match)})
	if err != nil {
		return err
	}
	return n.Do(func() error {
		s.link, err = link.AttachXDP(link.XDPOptions{Program: s.prog, Interface: index, Flags: link.XDPDriverMode})
		return err
	})
}

// sinkMatch goes on with a frame of the flood, whose beginning R6 is and whose end R7, and jumps to "other" with others.
func sinkMatch(port uint16, tags int) asm.Instructions {
	network := 14 + 4*tags
	p := asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Add.Imm(asm.R1, int32(network+28)),
		asm.JGT.Reg(asm.R1, asm.R7, "other"),
	}
	for i := range tags {
		p = append(p, expect16(12+4*i, 0x8100)...)
	}
	p = append(p, expect16(network-2, 0x0800)...)
	p = append(p, expect16(network+offSrcPort+2, port)...)
	return append(p,
		asm.LoadMem(asm.R1, asm.R6, int16(network), asm.Byte),
		asm.JNE.Imm(asm.R1, 0x45, "other"),
		asm.LoadMem(asm.R1, asm.R6, int16(network+9), asm.Byte),
		asm.JNE.Imm(asm.R1, protoUDP, "other"),
	)
}

// sinkProgram counts what match lets through and drops it; the rest it counts and passes.
func sinkProgram(countFD int, match asm.Instructions) asm.Instructions {
	p := asm.Instructions{
		asm.Mov.Reg(asm.R8, asm.R1),
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word), // xdp_md.data
		asm.LoadMem(asm.R7, asm.R1, 4, asm.Word), // xdp_md.data_end
	}
	p = append(p, match...)
	p = append(p, asm.Mov.Reg(asm.R1, asm.R8), asm.FnXdpGetBuffLen.Call(), asm.Mov.Reg(asm.R8, asm.R0))
	p = append(p, lookup(countFD, sinkBytes, "drop")...)
	p = append(p, addTo0(asm.R8)...)
	p = append(p, lookup(countFD, sinkPackets, "drop")...)
	p = append(p, asm.Mov.Imm(asm.R8, 1))
	p = append(p, addTo0(asm.R8)...)
	p = append(p, asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"), asm.Return())

	other := lookup(countFD, sinkOthers, "pass")
	other[0] = other[0].WithSymbol("other")
	p = append(p, other...)
	p = append(p, asm.Mov.Imm(asm.R8, 1))
	p = append(p, addTo0(asm.R8)...)
	return append(p, asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"), asm.Return())
}

// Count is what the sink has counted.
func (s *Sink) Count() (SinkCount, error) {
	var sums [3]uint64
	for entry := range sums {
		var perCPU []uint64
		if err := s.count.Lookup(uint32(entry), &perCPU); err != nil {
			return SinkCount{}, fmt.Errorf("%s: sink: read counters: %w", s.dev, err)
		}
		for _, v := range perCPU {
			sums[entry] += v
		}
	}
	return SinkCount{Packets: sums[sinkPackets], Bytes: sums[sinkBytes], Others: sums[sinkOthers]}, nil
}

// Close detaches the program. It may be called more than once.
func (s *Sink) Close() error { return s.close() }

func (s *Sink) detach() error {
	var errs []error
	if s.link != nil {
		errs = append(errs, s.link.Close())
	}
	if s.prog != nil {
		errs = append(errs, s.prog.Close())
	}
	if s.count != nil {
		errs = append(errs, s.count.Close())
	}
	return errors.Join(errs...)
}
