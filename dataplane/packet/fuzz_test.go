// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse holds the invariants over whatever bytes, answers included.
func FuzzParse(f *testing.F) {
	for _, tt := range outcomeTests {
		f.Add(build(tt.layers...))
	}
	if _, err := os.Stat(filepath.Join(sharedDir(f), "pcaps")); err == nil {
		for _, c := range captures(f) {
			f.Add(c.data)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		checkInvariants(t, frame)
	})
}

// FuzzAnswer gives the answer too little room and stale bytes in it: it is
// built whole or not at all, the same each time, and nothing behind it is
// touched.
func FuzzAnswer(f *testing.F) {
	for _, tt := range outcomeTests {
		f.Add(build(tt.layers...), uint16(MaxAnswer), byte(0xa5))
		f.Add(build(tt.layers...), uint16(ethernetMin-1), byte(0))
	}
	f.Fuzz(func(t *testing.T, frame []byte, room uint16, stale byte) {
		var info Info
		Parse(frame, &info)
		var clean [MaxAnswer]byte
		n := Answer(frame, &info, clean[:])

		used := make([]byte, min(int(room), 2*MaxAnswer))
		for i := range used {
			used[i] = stale
		}
		got := Answer(frame, &info, used)
		if n > len(used) {
			n = 0
		}
		if got != n {
			t.Fatalf("%x: an answer of %d bytes in %d bytes of room, want %d", frame, got, len(used), n)
		}
		if string(used[:n]) != string(clean[:n]) {
			t.Fatalf("%x: stale bytes in the answer %x", frame, used[:n])
		}
		for i := n; i < len(used); i++ {
			if used[i] != stale {
				t.Fatalf("%x: byte %d behind the answer was touched", frame, i)
			}
		}
	})
}

// Every frame of the tests, cut at every length and with each of its bytes
// changed: one outcome each, and no read behind its end.
func TestCutAndChangedFrames(t *testing.T) {
	for _, tt := range outcomeTests {
		frame := build(tt.layers...)
		if len(frame) > 200 {
			frame = frame[:200]
		}
		for n := range len(frame) {
			checkInvariants(t, frame[:n])
		}
		for i := range frame {
			old := frame[i]
			for _, b := range [...]byte{0, 0xff, old ^ 1, old ^ 2, old ^ 4, old ^ 8, old ^ 16, old ^ 32, old ^ 64, old ^ 128} {
				frame[i] = b
				checkInvariants(t, frame)
			}
			frame[i] = old
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	var info Info
	var k Key
	var out [MaxAnswer]byte
	for _, tt := range outcomeTests {
		frame := build(tt.layers...)
		if n := testing.AllocsPerRun(10, func() {
			Parse(frame, &info)
			info.FillKey(&k, 1)
			info.Quote.Key(info.VLAN, 1)
			Answer(frame, &info, out[:])
		}); n != 0 {
			t.Errorf("%v, %s: %v allocations", tt.want, tt.name, n)
		}
	}
}
