// SPDX-License-Identifier: Apache-2.0

package flowtable

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"bulkhead/dataplane/packet"
)

// tcpWorld runs segments of one connection through a table the way a worker
// does.
type tcpWorld struct {
	h         *Handle
	key       packet.Key
	hash      uint64
	initiator packet.Dir
	midstream bool
	now       int64
}

func newTCPWorld(tb tb) *tcpWorld {
	w := &tcpWorld{h: join(tb, newTable(tb, Options{Capacity: 4}), nil), key: v4Key(1, 2, 3, 4), now: 1e9}
	w.hash = w.h.Hash(&w.key)
	return w
}

// packet says what becomes of a segment, and the state that the flow is in
// then. A segment of no flow that begins none is Invalid.
func (w *tcpWorld) packet(d packet.Dir, info *packet.Info) (Step, State) {
	w.h.Pass()
	w.h.Sweep(w.now, 1000)
	ref, ok := w.h.Lookup(&w.key, w.hash)
	step := Reopen
	if ok {
		step = w.h.Advance(ref, d, info)
	}
	if step != Reopen {
		return step, w.h.View(ref).State()
	}
	if ok {
		w.h.End(ref)
	}
	s := Start{Info: info, Dir: d, State: Begin(&w.key, d, info, w.midstream), Now: w.now, Decision: Decision{Verdict: 1}}
	if s.State == NoState {
		return Invalid, NoState
	}
	if _, r := w.h.Insert(&w.key, w.hash, &s); r != Inserted {
		return Invalid, NoState
	}
	if ok {
		return Reopen, s.State
	}
	return Pass, s.State
}

// parseSegment reads a line of a script:
//
//	SIDE FLAGS SEQ[+LEN] [ACK] [win N]: STEP STATE
//
// SIDE is > for endpoint A, < for B. FLAGS are as tcpdump has them.
func parseSegment(line string) (d packet.Dir, info packet.Info, want string, err error) {
	left, want, ok := strings.Cut(line, ":")
	f := strings.Fields(left)
	if !ok || len(f) < 3 {
		return d, info, want, fmt.Errorf("line %q is not a segment", line)
	}
	if f[0] == "<" {
		d = packet.BtoA
	}
	info = packet.Info{Proto: protoTCP, Family: 4, TCPWindow: 65535}
	for _, c := range f[1] {
		info.TCPFlags |= map[rune]uint8{'F': 1, 'S': 2, 'R': 4, 'P': 8, '.': 16, 'U': 32, '0': 0}[c]
	}
	seq, payload, _ := strings.Cut(f[2], "+")
	n, err := strconv.ParseUint(seq, 10, 32)
	if err != nil {
		return d, info, want, err
	}
	info.TCPSeq = uint32(n)
	if payload != "" {
		if n, err = strconv.ParseUint(payload, 10, 16); err != nil {
			return d, info, want, err
		}
		info.Payload = uint16(n)
	}
	if len(f) > 3 {
		if n, err = strconv.ParseUint(f[3], 10, 32); err != nil {
			return d, info, want, err
		}
		info.TCPAck = uint32(n)
	}
	return d, info, strings.TrimSpace(want), nil
}

var stepNames = [...]string{Invalid: "invalid", Pass: "pass", Reopen: "reopen"}

func runScript(t *testing.T, w *tcpWorld, script string) {
	t.Helper()
	for _, line := range strings.Split(script, "\n") {
		line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "wait "); ok {
			seconds, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			w.now += int64(seconds * 1e9)
			continue
		}
		d, info, want, err := parseSegment(line)
		if err != nil {
			t.Fatal(err)
		}
		step, state := w.packet(d, &info)
		if got := stepNames[step] + " " + state.String(); got != want {
			t.Errorf("%s: got %s", line, got)
		}
	}
}

// The handshake that most scripts begin with: both sides' numbers begin at 1.
const handshake = `
	> S 0:        pass syn_sent
	< S. 0 1:     pass syn_received
	> . 1 1:      pass established
`

func TestTCPScripts(t *testing.T) {
	for _, c := range tcpScripts {
		t.Run(c.name, func(t *testing.T) {
			w := newTCPWorld(t)
			w.midstream = strings.Contains(c.name, "picked up")
			runScript(t, w, c.script)
		})
	}
}

func TestTCPScriptsWithNumbersThatWrap(t *testing.T) {
	for _, c := range tcpScripts {
		t.Run(c.name, func(t *testing.T) {
			w := newTCPWorld(t)
			w.midstream = strings.Contains(c.name, "picked up")
			for _, line := range strings.Split(c.script, "\n") {
				line, _, _ = strings.Cut(strings.TrimSpace(line), "#")
				d, info, want, err := parseSegment(line)
				if err != nil || strings.Contains(line, "wait") {
					continue
				}
				shift := [2]uint32{1<<32 - 2000, 1<<32 - 500}
				info.TCPSeq += shift[d]
				if info.TCPFlags&flagAck != 0 {
					info.TCPAck += shift[1-d]
				}
				step, state := w.packet(d, &info)
				if got := stepNames[step] + " " + state.String(); got != want && !strings.Contains(c.script, "wait") {
					t.Errorf("%s: got %s", line, got)
				}
			}
		})
	}
}

// The initiator is who sent the first SYN, whatever the responder does.
func TestSplitHandshakeKeepsTheDirection(t *testing.T) {
	for _, script := range []string{
		"> S 0: pass syn_sent\n< S 0: pass syn_crossed\n> S. 0 1: pass syn_answered\n< . 1 1: pass established",
		"> S 0: pass syn_sent\n< . 0 1: pass syn_sent\n< S 0: pass syn_crossed\n> S. 0 1: pass syn_answered\n< . 1 1: pass established",
	} {
		w := newTCPWorld(t)
		runScript(t, w, script)
		ref, _ := w.h.Lookup(&w.key, w.hash)
		if got := w.h.View(ref).Initiator(); got != packet.AtoB {
			t.Errorf("initiator is %d", got)
		}
	}
}

func TestReopenedFlowHasItsNewInitiator(t *testing.T) {
	w := newTCPWorld(t)
	runScript(t, w, handshake+`
		> R 1:     pass reset_initiator
		< S 77:    reopen syn_sent
		> S. 9 78: pass syn_received
		< . 78 10: pass established
	`)
	ref, _ := w.h.Lookup(&w.key, w.hash)
	if got := w.h.View(ref).Initiator(); got != packet.BtoA {
		t.Errorf("initiator is %d", got)
	}
}

// A blind attacker who knows addresses and ports but no numbers.
func TestBlindGuessesCloseNothing(t *testing.T) {
	const flows, guesses = 100, 1_000_000
	h := join(t, newTable(t, Options{Capacity: flows}), nil)
	var refs [flows]Ref
	rng := newRand(7)
	for i := range refs {
		k := v4Key(uint32(i), 9, 1, 2)
		syn := packet.Info{Proto: protoTCP, TCPFlags: flagSyn, TCPSeq: rng.Uint32()}
		refs[i], _ = h.Insert(&k, h.Hash(&k), &Start{Info: &syn, State: SynSent})
		answer := packet.Info{Proto: protoTCP, TCPFlags: flagSyn | flagAck, TCPSeq: rng.Uint32(), TCPAck: syn.TCPSeq + 1}
		h.Advance(refs[i], packet.BtoA, &answer)
		ack := packet.Info{Proto: protoTCP, TCPFlags: flagAck, TCPSeq: syn.TCPSeq + 1, TCPAck: answer.TCPSeq + 1}
		h.Advance(refs[i], packet.AtoB, &ack)
	}
	flags := [...]uint8{flagRst, flagRst | flagAck, flagSyn, flagAck, flagSyn | flagAck}
	for range guesses {
		info := packet.Info{Proto: protoTCP, TCPFlags: flags[rng.IntN(len(flags))], TCPSeq: rng.Uint32(), TCPAck: rng.Uint32()}
		h.Advance(refs[rng.IntN(flows)], packet.Dir(rng.IntN(2)), &info)
	}
	for i, ref := range refs {
		if s := h.View(ref).State(); s != Established {
			t.Errorf("flow %d is %s", i, s)
		}
	}
}
