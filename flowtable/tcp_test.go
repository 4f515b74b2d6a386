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
	answer    bool // what is picked up is taken for an answer
	now       int64
	shift     [2]uint32 // added to the numbers of each direction
	visited   map[State]bool
}

func newTCPWorld(tb tb) *tcpWorld {
	w := &tcpWorld{h: join(tb, newTable(tb, Options{Capacity: 4}), nil), key: v4Key(1, 2, 3, 4), now: 1e9,
		visited: map[State]bool{}}
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
	s := Start{Info: info, Dir: d, State: Begin(&w.key, d, info, w.midstream), Now: w.now, Decision: Decision{Verdict: 1}, Answer: w.answer}
	if s.State == NoState {
		return Invalid, NoState
	}
	if _, r := w.h.Insert(&w.key, w.hash, &s); r != Inserted {
		return Invalid, NoState
	}
	ref, _ = w.h.Lookup(&w.key, w.hash)
	if ok {
		return Reopen, w.h.View(ref).State()
	}
	return Pass, w.h.View(ref).State()
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

func (w *tcpWorld) run(t *testing.T, script string) {
	t.Helper()
	for _, line := range strings.Split(script, "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "wait "); ok {
			seconds, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			w.now += int64(seconds) * second
			continue
		}
		d, info, want, err := parseSegment(line)
		if err != nil {
			t.Fatal(err)
		}
		info.TCPSeq += w.shift[d]
		if info.TCPFlags&flagAck != 0 {
			info.TCPAck += w.shift[1-d]
		}
		step, state := w.packet(d, &info)
		w.visited[state] = true
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

// Each script also runs with numbers that wrap on the way.
func TestTCPScripts(t *testing.T) {
	visited := map[State]bool{}
	for _, c := range tcpScripts {
		for _, shift := range [][2]uint32{{0, 0}, {1<<32 - 2000, 1<<32 - 500}, {1 << 31, 12345}} {
			t.Run(fmt.Sprintf("%s/%d", c.name, shift[0]), func(t *testing.T) {
				w := newTCPWorld(t)
				w.shift, w.visited = shift, visited
				w.midstream = strings.Contains(c.name, "picked up")
				w.answer = strings.Contains(c.name, "answer picked up")
				w.run(t, c.script)
			})
		}
	}
	for s := range NumStates {
		if isTCPState(s) && !visited[s] {
			t.Errorf("no script comes to state %s", s)
		}
	}
}

// The initiator is who sent the first SYN, whatever the responder does.
func TestSplitHandshakeKeepsTheDirection(t *testing.T) {
	for _, script := range []string{
		"> S 0: pass syn_sent\n< S 0: pass syn_crossed\n> S. 0 1: pass syn_answered\n< . 1 1: pass established",
		"> S 0: pass syn_sent\n< . 0 1: pass syn_sent\n< S 0: pass syn_crossed\n> S. 0 1: pass syn_answered\n< . 1 1: pass established",
	} {
		w := newTCPWorld(t)
		w.run(t, script)
		ref, _ := w.h.Lookup(&w.key, w.hash)
		if got := w.h.View(ref).Initiator(); got != packet.AtoB {
			t.Errorf("initiator is %d", got)
		}
	}
}

func TestReopenedFlowHasItsNewInitiator(t *testing.T) {
	w := newTCPWorld(t)
	w.run(t, handshake+`
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
	const flows = 100
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
	for range fewer(1_000_000) {
		info := packet.Info{Proto: protoTCP, TCPFlags: flags[rng.IntN(len(flags))], TCPSeq: rng.Uint32(), TCPAck: rng.Uint32()}
		h.Advance(refs[rng.IntN(flows)], packet.Dir(rng.IntN(2)), &info)
	}
	for i, ref := range refs {
		if s := h.View(ref).State(); s != Established {
			t.Errorf("flow %d is %s", i, s)
		}
	}
}
