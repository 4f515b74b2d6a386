// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever worker and kernel do, in whatever order: no frame is lost, none is in
// two places, and packets go out as they came in.
func TestFramesAddUpWhateverHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const sockets = 2
		ring := func(name string) uint32 { return 1 << rapid.Uint32Range(1, 7).Draw(r, name) }
		c := Config{Frames: 128, FillSize: ring("fill"), RXSize: ring("rx"), TXSize: ring("tx"), CompletionSize: ring("completion")}
		u, ks := newFake(t, c, sockets, rapid.Uint32().Draw(r, "start"))
		var held []Desc
		sent := make([][]uint64, sockets) // with the kernel, to be completed
		socket := func() int { return rapid.IntRange(0, sockets-1).Draw(r, "socket") }
		count := func() int { return rapid.IntRange(0, 40).Draw(r, "count") }
		r.Repeat(map[string]func(*rapid.T){
			"refill":     func(*rapid.T) { u.Sockets()[socket()].Refill() },
			"complete":   func(*rapid.T) { u.Sockets()[socket()].Complete() },
			"kick":       func(*rapid.T) { u.Sockets()[socket()].Kick() },
			"to receive": func(*rapid.T) { ks[socket()].receiveInto(count(), 60) },
			"receive": func(*rapid.T) {
				batch := make([]Desc, count())
				held = append(held, batch[:u.Sockets()[socket()].Receive(batch)]...)
			},
			"send": func(*rapid.T) {
				n := u.Sockets()[socket()].Send(held[:min(len(held), count())])
				held = held[n:]
			},
			"give": func(*rapid.T) {
				for n := count(); n > 0 && len(held) > 0; n-- {
					u.Give(held[0].Addr)
					held = held[1:]
				}
			},
			"take": func(*rapid.T) {
				if addr, ok := u.Take(); ok {
					held = append(held, Desc{Addr: addr, Len: 60})
				}
			},
			"take to send": func(*rapid.T) {
				i := socket()
				for _, d := range ks[i].takeTX(count()) {
					sent[i] = append(sent[i], d.Addr)
				}
			},
			"sent": func(*rapid.T) {
				i := socket()
				sent[i] = sent[i][ks[i].complete(sent[i][:min(len(sent[i]), count())]...):]
			},
			"": func(r *rapid.T) {
				if err := u.Audit(); err != nil {
					r.Fatal(err)
				}
				if f := u.Frames(); f.Held != len(held) {
					r.Fatalf("held %d, but the caller has %d", f.Held, len(held))
				}
				for i, s := range u.Sockets() {
					if c := s.Counters(); c.RXInvalid+c.TXInvalid+c.CompletionInvalid+c.RXMulti+u.Misuse() != 0 {
						r.Fatalf("socket %d: an honest kernel was accused: %+v, misuse %d", i, c, u.Misuse())
					}
				}
			},
		})
	})
}

func TestGiveOfFrameThatIsNotHeldIsCountedAndHarmless(t *testing.T) {
	u, _ := newFake(t, Config{Frames: 64}, 1, 0)
	addr, _ := u.Take()
	u.Give(addr)
	for _, a := range []uint64{addr, 1 << 40, ^uint64(0)} {
		u.Give(a)
	}
	if u.Misuse() != 3 {
		t.Errorf("misuse = %d, want 3", u.Misuse())
	}
	if err := u.Audit(); err != nil {
		t.Error(err)
	}
}

func TestTakeEndsWhenAllFramesAreTaken(t *testing.T) {
	u, _ := newFake(t, Config{Frames: 64}, 1, 0)
	seen := make(map[uint64]bool)
	for _, d := range takeFrames(t, u, 64) {
		seen[d.Addr] = true
		if f := u.Frame(d.Addr, 2048-Headroom); len(f) != 1792 {
			t.Errorf("frame at %d has %d bytes", d.Addr, len(f))
		}
	}
	if addr, ok := u.Take(); ok || len(seen) != 64 {
		t.Errorf("took %d different frames of 64, and then %d, %v", len(seen), addr, ok)
	}
	checkFrames(t, u)
}

func TestAuditFindsFramesInTheWrongPlace(t *testing.T) {
	for name, spoil := range map[string]func(u *Umem){
		"do not add up": func(u *Umem) { u.nfree-- },
		"were counted":  func(u *Umem) { u.nfree--; u.held++ },
		"queue 0 has":   func(u *Umem) { u.sockets[0].atRX++; u.sockets[0].atTX-- },
		"but has owner": func(u *Umem) { addr, _ := u.Take(); u.free[0] = uint32(addr / 2048) },
	} {
		u, _ := newFake(t, Config{Frames: 64}, 1, 0)
		spoil(u)
		if err := u.Audit(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("audit says %v, want something with %q", err, name)
		}
	}
}

// The fuzzer is a kernel that writes what it likes into every ring: descriptors,
// addresses and indices. Nothing may fault, and the books must stay right.
func FuzzHostileKernelNeitherFaultsNorLosesFrames(f *testing.F) {
	f.Add([]byte{1, 0, 1, 0, 0, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00\x00\x05\x06\x07"))
	f.Fuzz(func(t *testing.T, in []byte) {
		u, ks := newFake(t, Config{Frames: 128, FillSize: 32, RXSize: 32, TXSize: 32}, 2, ^uint32(0)-3)
		batch := make([]Desc, 16)
		var held []Desc
		for len(in) > 0 {
			s, k := u.Sockets()[in[0]>>7], ks[in[0]>>7]
			op := in[0] & 15
			in = in[1:]
			var b [16]byte
			in = in[copy(b[:], in):]
			addr, word := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint32(b[:])
			switch op {
			case 0:
				k.deliver(Desc{addr, binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])})
			case 1: // an honest address with any length and options
				if a := k.takeFill(1); len(a) > 0 {
					k.deliver(Desc{a[0] + addr%4096, word % 4096, word >> 30})
				}
			case 2:
				k.complete(addr)
			case 3:
				*k.rx.producer = word
			case 4:
				*k.tx.consumer = word
			case 5:
				*k.fill.consumer = word
			case 6:
				*k.completion.producer = word
			case 7:
				k.transmit(int(word % 64))
			case 8:
				n := s.Send(held)
				held = held[n:]
				s.Kick()
			default:
				s.Refill()
				n := s.Receive(batch)
				for _, d := range batch[:n] {
					if got := u.Frame(d.Addr, d.Len); len(got) != int(d.Len) {
						t.Fatalf("%+v has %d bytes", d, len(got))
					}
				}
				held = append(held, batch[:n]...)
				s.Complete()
			}
			if err := u.Audit(); err != nil {
				t.Fatal(err)
			}
		}
	})
}
