// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Offsets in struct __sk_buff (linux/bpf.h).
const (
	skbVLANPresent = 20
	skbVLANTCI     = 24
	skbVLANProto   = 28
)

// Results of a classifier in direct-action mode (linux/pkt_cls.h).
const (
	tcOK   = 0
	tcShot = 2
)

// SetVLAN puts the namespace's end of a cable into a VLAN: what it sends gets an 802.1Q tag with this number, and
// what it receives loses it; everything with another tag or none is dropped. A RawConn is outside of this:
// it sends and sees the tags. It is two tc programs and no 8021q interface, because not every kernel has those.
func (n *NS) SetVLAN(dev string, id uint16) error {
	return n.onLink(fmt.Sprintf("set vlan %d of", id), dev, func(l netlink.Link) error {
		qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: l.Attrs().Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
		}}
		if err := n.links.QdiscAdd(qdisc); err != nil {
			return wrap("add clsact", err)
		}
		return errors.Join(
			n.addClassifier(l, netlink.HANDLE_MIN_EGRESS, pushTag(id)),
			n.addClassifier(l, netlink.HANDLE_MIN_INGRESS, popTag(id)))
	})
}

// addClassifier loads a program and attaches it; the kernel keeps it as long as the interface.
func (n *NS) addClassifier(l netlink.Link, parent uint32, program asm.Instructions) error {
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "bh_vlan", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: program,
	})
	if err != nil {
		return err
	}
	defer prog.Close()
	return n.links.FilterAdd(&netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: l.Attrs().Index, Parent: parent, Handle: 1, Priority: 1, Protocol: unix.ETH_P_ALL},
		Fd:          prog.FD(), Name: "bh_vlan", DirectAction: true,
	})
}

// etherVLAN is the EtherType 0x8100 as a big-endian field reads on this machine.
var etherVLAN = int32(binary.NativeEndian.Uint16([]byte{0x81, 0x00}))

func pushTag(id uint16) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R2, etherVLAN), // R1 is the skb
		asm.Mov.Imm(asm.R3, int32(id)),
		asm.FnSkbVlanPush.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R0, tcOK),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcShot).WithSymbol("drop"),
		asm.Return(),
	}
}

// popTag finds the tag beside the frame, where the kernel has put it on the way in.
func popTag(id uint16) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R2, asm.R1, skbVLANPresent, asm.Word),
		asm.JEq.Imm(asm.R2, 0, "drop"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANProto, asm.Word),
		asm.JNE.Imm(asm.R2, etherVLAN, "drop"),
		asm.LoadMem(asm.R2, asm.R1, skbVLANTCI, asm.Word),
		asm.And.Imm(asm.R2, 0xfff),
		asm.JNE.Imm(asm.R2, int32(id), "drop"),
		asm.FnSkbVlanPop.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R0, tcOK),
		asm.Return(),
		asm.Mov.Imm(asm.R0, tcShot).WithSymbol("drop"),
		asm.Return(),
	}
}
