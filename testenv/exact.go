// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
)

// receiveOneByOne keeps GRO from joining and delaying what an interface receives, without turning it off: a veth
// without it has no NAPI, and takes nothing that is redirected to it. The kernel passes GRO by for an interface
// with a generic XDP program (netif_elide_gro), so it gets one that does nothing.
func (n *NS) receiveOneByOne(dev string) error {
	index, err := n.Index(dev)
	if err != nil {
		return err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "bh_exact", Type: ebpf.XDP, License: "Apache-2.0",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
	if err != nil {
		return fmt.Errorf("%s: pass GRO by on %s: %w", n, dev, err)
	}
	defer prog.Close() // the link holds it
	var l link.Link
	err = n.Do(func() error {
		l, err = link.AttachXDP(link.XDPOptions{Program: prog, Interface: index, Flags: link.XDPGenericMode})
		return err
	})
	if err == nil {
		_, err = n.owner.own(l.Close)
	}
	if err != nil {
		return fmt.Errorf("%s: pass GRO by on %s: %w", n, dev, err)
	}
	return nil
}
