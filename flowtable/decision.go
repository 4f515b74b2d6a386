// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"sync/atomic"

	"bulkhead/dataplane/packet"
)

// NoRule stands for the rule of a decision that no rule made. MaxRule is the
// greatest number of a rule.
const (
	NoRule  = 1<<ruleBits - 1
	MaxRule = NoRule - 1
)

// Decision is what was decided about a flow. All of it is read and written at
// once. The table looks at the verdict only to know whether it is 0, drop; the
// meaning of the rest is the caller's.
type Decision struct {
	Rule       uint32 // 24 bits; NoRule or up to MaxRule
	Generation uint16 // low bits of the generation that it was made under
	Verdict    uint8  // 0: drop
	Reason     uint8
	Mode       uint8
}

func (d Decision) pack() uint64 {
	return uint64(d.Generation) | uint64(d.Rule&NoRule)<<ruleShift | uint64(d.Verdict)<<verdictShift |
		uint64(d.Reason)<<reasonShift | uint64(d.Mode)<<modeShift
}

func unpack(w uint64) Decision {
	return Decision{
		Rule:       uint32(w>>ruleShift) & NoRule,
		Generation: uint16(w),
		Verdict:    uint8(w >> verdictShift),
		Reason:     uint8(w >> reasonShift),
		Mode:       uint8(w >> modeShift),
	}
}

// View is what a worker needs of a flow to carry out its decision: two words,
// from which the methods take what is asked for.
type View struct {
	control  control
	decision uint64
}

// View reads the flow's decision, state and initiator: two loads of one line.
// The pairs are the stores in fill, Judge and Advance.
func (h *Handle) View(ref Ref) View {
	e := h.entry(ref)
	return View{
		control:  control(atomic.LoadUint64(&e[wordControl])),
		decision: atomic.LoadUint64(&e[wordDecision]),
	}
}

// Decision is all that was decided.
func (v View) Decision() Decision { return unpack(v.decision) }

// Verdict is that of the decision.
func (v View) Verdict() uint8 { return uint8(v.decision >> verdictShift) }

// Generation is that of the decision.
func (v View) Generation() uint16 { return uint16(v.decision) }

// State is the state of the conversation.
func (v View) State() State { return v.control.state() }

// Initiator is the direction of the packets of who began the conversation.
func (v View) Initiator() packet.Dir { return packet.Dir(v.control.side()) }

// Judge replaces the decision that View or Visit showed by another. It does
// nothing and returns false if someone else has replaced it in between: View
// again.
func (h *Handle) Judge(ref Ref, from, to Decision) bool {
	return atomic.CompareAndSwapUint64(&h.entry(ref)[wordDecision], from.pack(), to.pack())
}

// Seen says whether packets of that direction have been counted. An ICMP error
// is about the flow that it quotes only if the quoted packet may have been sent.
func (h *Handle) Seen(ref Ref, d packet.Dir) bool {
	return atomic.LoadUint64(&h.entry(ref)[wordPackets+dirStride*int(d&1)]) != 0
}
