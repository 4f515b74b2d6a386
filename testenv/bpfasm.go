// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"encoding/binary"

	"github.com/cilium/ebpf/asm"
)

// The small BPF programs of this package are written in assembly, so that no compiler is needed.

// Actions of XDP programs (enum xdp_action).
const (
	xdpDrop = 1
	xdpPass = 2
)

// lookup puts the address of an array map's entry into R0, or jumps to a label. It uses R1 to R5.
func lookup(fd int, entry uint32, missing string) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, int64(entry), asm.Word),
		asm.LoadMapPtr(asm.R1, fd),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, missing),
	}
}

// store writes constant bytes to where R6 points. It uses R1.
func store(b []byte) asm.Instructions {
	var p asm.Instructions
	at := int16(0)
	for ; len(b) >= 8; b, at = b[8:], at+8 {
		p = append(p, asm.LoadImm(asm.R1, int64(binary.NativeEndian.Uint64(b)), asm.DWord),
			asm.StoreMem(asm.R6, at, asm.R1, asm.DWord))
	}
	for _, v := range b {
		p = append(p, asm.StoreImm(asm.R6, at, int64(v), asm.Byte))
		at++
	}
	return p
}

// expect16 jumps to "other" unless the frame has these two bytes at an offset. It uses R1.
func expect16(offset int, want uint16) asm.Instructions {
	native := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, want))
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R6, int16(offset), asm.Half),
		asm.JNE.Imm(asm.R1, int32(native), "other"),
	}
}

// addTo0 adds a register to the counter that R0 points at; it is this CPU's own, so a plain addition will do.
func addTo0(r asm.Register) asm.Instructions {
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Reg(asm.R1, r),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
	}
}

// fetchAdd adds a register to the 64-bit number that R0 points at, atomically, and leaves the old value in the register.
func fetchAdd(r asm.Register) asm.Instruction {
	ins := asm.FetchAdd.Mem(asm.R0, r, asm.DWord, 0)
	// Instruction.Marshal of cilium/ebpf v0.22 takes the immediate, where BPF_FETCH is, from Constant before it fills
	// Constant in; without this line the instruction is a plain addition.
	ins.Constant = int64(asm.FetchAdd >> 8)
	return ins
}
