// SPDX-License-Identifier: Apache-2.0

package xsk_test

import (
	"context"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"bulkhead/dataplane/xsk"
)

// A whole bump in the wire: queue 0 of eth1 and eth2, joined until Ctrl-C.
func Example() {
	u, err := xsk.Open(xsk.Config{}, xsk.Queue{Interface: "eth1"}, xsk.Queue{Interface: "eth2"})
	if err != nil {
		log.Fatal(err)
	}
	defer u.Close()
	for _, s := range u.Sockets() {
		_, l, err := redirect(s)
		if err != nil {
			log.Print(err)
			return
		}
		defer l.Close()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := forward(ctx, u); err != nil {
		log.Print(err)
	}
}

// forward moves packets between the two sockets of u until ctx is done.
func forward(ctx context.Context, u *xsk.Umem) error {
	ports := u.Sockets()
	poller, err := xsk.NewPoller(ports...)
	if err != nil {
		return err
	}
	defer poller.Close()
	batch := make([]xsk.Desc, 64)
	for ctx.Err() == nil {
		got := 0
		for i, in := range ports {
			out := ports[1-i]
			in.Refill()
			in.Wake()
			n := in.Receive(batch)
			sent := out.Send(batch[:n])
			for _, d := range batch[sent:n] {
				u.Give(d.Addr) // no room: the packet is lost, the frame is not
			}
			out.Kick()
			out.Complete()
			got += n
		}
		if got == 0 {
			if _, err := poller.Wait(100 * time.Millisecond); err != nil {
				return err
			}
		}
	}
	return nil
}

// redirect sends all packets of the socket's queue to it; others go to the stack.
func redirect(s *xsk.Socket) (*ebpf.Map, link.Link, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 64})
	if err != nil {
		return nil, nil, err
	}
	if err := m.Put(s.Queue().ID, uint32(s.FD())); err != nil {
		return nil, nil, err
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, 16, asm.Word), // xdp_md.rx_queue_index
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.Mov.Imm(asm.R3, 2), // XDP_PASS where the map has no socket
		asm.FnRedirectMap.Call(),
		asm.Return(),
	}})
	if err != nil {
		return nil, nil, err
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: s.Queue().Index, Flags: link.XDPDriverMode})
	return m, l, err
}
