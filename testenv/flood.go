// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// FloodConfig says what a flood sends: UDP over IPv4, in flows that differ in the source port and, beyond
// 32,768 flows, in the source address.
type FloodConfig struct {
	Src, Dst         net.HardwareAddr
	SrcAddr, DstAddr netip.Addr // IPv4; flow number F has SrcAddr + F/32768
	DstPort          uint16
	VLANs            []uint16 // 802.1Q tags, outermost first
	Flows            uint32   // 0: every packet is a new flow
	Size             int      // of the frame, in bytes without FCS; 0: 60
	Batch            uint32   // frames between two looks of the kernel at other work, 1 to 256; 0: 64
}

// floodFirstPort is the source port of the first flow; flow number F has floodFirstPort + F%32768.
const floodFirstPort = 1024

// Flood is a generator on an interface: a BPF program that the kernel runs with live frames
// (Documentation/bpf/bpf_prog_run.rst, Linux 5.18), so that the far end of the veth gets XDP frames as from a NIC's
// driver, millions a second. They arrive on the receive queue with the number of the sending CPU modulo queues.
// One goroutine at a time may use it.
type Flood struct {
	ns    *NS
	cfg   FloodConfig
	prog  *ebpf.Program
	state *ebpf.Map // 0: frames made, 1: the limit
	close func() error
}

// The entries of the state map.
const (
	floodMade uint32 = iota
	floodLimit
)

// NewFlood prepares a flood out of an interface. For a veth, the far end needs GRO or an XDP program,
// or it gets nothing.
func (n *NS) NewFlood(dev string, cfg FloodConfig) (*Flood, error) {
	cfg.Size, cfg.Batch = or(cfg.Size, 60), or(cfg.Batch, 64)
	f := &Flood{ns: n, cfg: cfg}
	err := f.load(dev)
	if err == nil {
		f.close, err = n.owner.own(f.unload)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: flood on %s: %w", n, dev, errors.Join(err, f.unload()))
	}
	return f, nil
}

func (f *Flood) load(dev string) error {
	index, err := f.ns.Index(dev)
	if err != nil {
		return err
	}
	header, network := f.header()
	if f.cfg.Size < len(header) || f.cfg.Size > 1514 {
		return fmt.Errorf("frames of %d bytes: from %d (the headers) to 1514", f.cfg.Size, len(header))
	}
	if !or(f.cfg.SrcAddr, defaultSrc4).Is4() || !or(f.cfg.DstAddr, defaultDst4).Is4() {
		return errors.New("only IPv4")
	}
	f.state, err = ebpf.NewMap(&ebpf.MapSpec{Name: "bh_flood", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 2})
	if err != nil {
		return err
	}
	f.prog, err = ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "bh_flood", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: floodProgram(f.state.FD(), index, header, network, f.cfg.Flows),
	})
	return err
}

// header is the headers of flow 0, and where the IP header begins in them.
func (f *Flood) header() (header []byte, network int) {
	layers := []Layer{Ether{Src: f.cfg.Src, Dst: f.cfg.Dst}}
	for _, id := range f.cfg.VLANs {
		layers = append(layers, Tag(id))
	}
	size := 14 + 4*len(f.cfg.VLANs)
	body := max(0, f.cfg.Size-size-20-8)
	layers = append(layers, IPv4{Src: f.cfg.SrcAddr, Dst: f.cfg.DstAddr, DF: true},
		UDP{Src: floodFirstPort, Dst: f.cfg.DstPort, NoChecksum: true}, Bytes(make([]byte, body)))
	return Frame(layers...)[:size+20+8], size
}

// Offsets in the headers, from the beginning of the IP header.
const (
	offIPSum   = 10
	offIPSrc   = 12
	offSrcPort = 20
)

// floodProgram writes all headers anew each time, because the kernel recycles pages with what the receiver has made
// of them; checksums are right, because a gateway may look at them.
//
//	n = made++; if n >= limit: drop          f = flows ? n % flows : n
//	headers = those of flow 0; source address += f / 32768; source port = 1024 + f % 32768; IP checksum
//	redirect to the interface
func floodProgram(stateFD, ifindex int, header []byte, network int, flows uint32) asm.Instructions {
	var p asm.Instructions
	p = append(p,
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word), // xdp_md.data
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word), // xdp_md.data_end
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, int32(len(header))),
		asm.JGT.Reg(asm.R3, asm.R2, "drop"),
	)
	p = append(p, lookup(stateFD, floodLimit, "drop")...)
	p = append(p, asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord))
	p = append(p, lookup(stateFD, floodMade, "drop")...)
	p = append(p,
		asm.Mov.Imm(asm.R7, 1),
		fetchAdd(asm.R7), // R7: the frame's number
		asm.JGE.Reg(asm.R7, asm.R8, "drop"),
	)
	if flows != 0 {
		p = append(p, asm.LoadImm(asm.R1, int64(flows), asm.DWord), asm.Mod.Reg(asm.R7, asm.R1))
	}
	p = append(p, store(header)...)
	p = append(p, flowFields(header, network)...)
	return append(p,
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
}

// flowFields writes what differs between flows; R7 is the flow's number, R6 the frame. It uses R1 to R3.
func flowFields(header []byte, network int) asm.Instructions {
	ip := header[network : network+20]
	src := binary.BigEndian.Uint32(ip[offIPSrc:])
	// The checksum without source address and checksum: these 16-bit words are added in the program.
	rest := append([]byte(nil), ip...)
	clear(rest[offIPSum : offIPSrc+4])
	sum := uint32(^checksum(0, rest))
	at := func(offset int) int16 { return int16(network + offset) }
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R7), // source port
		asm.And.Imm(asm.R1, 0x7fff),
		asm.Add.Imm(asm.R1, floodFirstPort),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.StoreMem(asm.R6, at(offSrcPort), asm.R1, asm.Half),

		asm.RSh.Imm(asm.R7, 15), // source address, in host order, 32 bits
		asm.LoadImm(asm.R1, int64(src), asm.DWord),
		asm.Add.Reg(asm.R1, asm.R7),
		asm.LSh.Imm(asm.R1, 32),
		asm.RSh.Imm(asm.R1, 32),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.HostTo(asm.BE, asm.R2, asm.Word),
		asm.StoreMem(asm.R6, at(offIPSrc), asm.R2, asm.Word),

		asm.Mov.Reg(asm.R2, asm.R1), // checksum: rest + high and low half of the address, folded twice
		asm.RSh.Imm(asm.R2, 16),
		asm.And.Imm(asm.R1, 0xffff),
		asm.Add.Reg(asm.R2, asm.R1),
		asm.Add.Imm(asm.R2, int32(sum)),
		asm.Mov.Reg(asm.R1, asm.R2), asm.RSh.Imm(asm.R1, 16), asm.And.Imm(asm.R2, 0xffff), asm.Add.Reg(asm.R2, asm.R1),
		asm.Mov.Reg(asm.R1, asm.R2), asm.RSh.Imm(asm.R1, 16), asm.And.Imm(asm.R2, 0xffff), asm.Add.Reg(asm.R2, asm.R1),
		asm.Xor.Imm(asm.R2, 0xffff),
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.StoreMem(asm.R6, at(offIPSum), asm.R2, asm.Half),
	}
}

// floodChunk is how many frames one system call makes: the context is looked at in between, and a call's end
// takes some 50 ms.
const floodChunk = 1 << 20

// Run sends count frames, on the CPU that it happens to run on, and returns how many were handed to the
// interface: fewer only if the context ends. What the far end's ring, of 256 frames, has no room for is lost and
// not counted here.
func (f *Flood) Run(ctx context.Context, count uint64) (sent uint64, err error) {
	for sent < count && err == nil && ctx.Err() == nil {
		next := min(count, sent+floodChunk)
		// The limit is in the program, too, because a call that a signal has interrupted is made again from the start.
		if err = errors.Join(f.state.Put(floodMade, sent), f.state.Put(floodLimit, next)); err == nil {
			err = f.call(uint32(next - sent))
		}
		if err == nil {
			sent, err = f.made(next)
		}
	}
	if err == nil && sent < count {
		err = context.Cause(ctx)
	}
	if err != nil {
		return sent, fmt.Errorf("%s: flood: %w", f.ns, err)
	}
	return sent, nil
}

// call makes up to count frames.
func (f *Flood) call(count uint32) error {
	return f.ns.Do(func() error {
		_, err := f.prog.Run(&ebpf.RunOptions{
			Data: make([]byte, f.cfg.Size), Repeat: count, BatchSize: min(f.cfg.Batch, count),
			Flags: unix.BPF_F_TEST_XDP_LIVE_FRAMES,
		})
		return err
	})
}

// made is how many frames have been made, at most limit.
func (f *Flood) made(limit uint64) (n uint64, err error) {
	err = f.state.Lookup(floodMade, &n)
	return min(n, limit), err
}

// Close unloads the program. It may be called more than once.
func (f *Flood) Close() error { return f.close() }

func (f *Flood) unload() error {
	var errs []error
	if f.prog != nil {
		errs = append(errs, f.prog.Close())
	}
	if f.state != nil {
		errs = append(errs, f.state.Close())
	}
	return errors.Join(errs...)
}
