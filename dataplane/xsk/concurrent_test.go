// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"encoding/binary"
	"runtime"
	"testing"
)

// A kernel on another goroutine numbers its packets, and must get them back from
// the other socket in order and unharmed. Under -race this is the test of the
// atomics: the rings and frames are on the heap, where the detector sees them.
func TestConcurrentKernelGetsEveryPacketBackInOrder(t *testing.T) {
	const packets = 100_000
	u, ks := newFake(t, Config{Frames: 256, RXSize: 32, TXSize: 32, FillSize: 64}, 2, ^uint32(0)-1000)
	memory := u.mem
	back := make(chan uint64, 1)
	go func() {
		var put, got uint64
		for got < packets {
			for put < packets && put-got < 32 { // never more than the way back can hold
				addrs := ks[0].takeFill(1)
				if len(addrs) == 0 {
					break
				}
				binary.LittleEndian.PutUint64(memory[addrs[0]+Headroom:], put)
				ks[0].deliver(Desc{Addr: addrs[0] + Headroom, Len: 60})
				put++
			}
			for _, d := range ks[1].transmit(8) {
				if binary.LittleEndian.Uint64(memory[d.Addr:]) != got {
					back <- got
					return
				}
				got++
			}
			runtime.Gosched()
		}
		back <- got
	}()
	in, out := u.Sockets()[0], u.Sockets()[1]
	batch := make([]Desc, 16)
	for {
		in.Refill()
		n := in.Receive(batch)
		if m := out.Send(batch[:n]); m != n {
			t.Fatalf("sent %d of %d", m, n)
		}
		out.Complete()
		select {
		case n := <-back:
			if n != packets {
				t.Fatalf("packet %d came back as another one", n)
			}
			out.Complete()
			if f := u.Frames(); f.TX+f.Completion+f.Held+f.RX != 0 {
				t.Errorf("frames %+v: none may be on the way", f)
			}
			checkFrames(t, u)
			return
		default:
			runtime.Gosched()
		}
	}
}
