// SPDX-License-Identifier: Apache-2.0

package xsk

import "fmt"

// Frames says where the frames of a UMEM are. The first six add up to Total as
// long as nothing is wrong, whatever the kernel is doing at the moment.
type Frames struct {
	Free       int // ready to be used
	Fill       int // in the fill rings or in the kernel, for frames to come
	RX         int // received, not yet seen by us
	TX         int // in the TX rings or being sent
	Completion int // sent, not yet seen by us
	Held       int // with the caller
	Total      int // in the UMEM
}

// Sum adds the frames that are somewhere. It equals Total.
func (f Frames) Sum() int {
	return f.Free + f.Fill + f.RX + f.TX + f.Completion + f.Held
}

// Frames counts where all frames are. It only looks at a few words of each
// socket. Like all of Umem it is for the owner alone.
func (u *Umem) Frames() Frames {
	f := Frames{Free: u.nfree, Held: u.held, Total: len(u.owners)}
	for _, s := range u.sockets {
		rx := min(s.atRX, int(s.rx.waiting()))
		done := min(s.atTX, int(s.completion.waiting()))
		f.Fill += s.atRX - rx
		f.RX += rx
		f.TX += s.atTX - done
		f.Completion += done
	}
	return f
}

// Audit compares the counters behind Frames with the owner of each frame and
// with the free list, and says what does not fit. It looks at every frame: call
// it now and then, not in the packet path.
func (u *Umem) Audit() error {
	if f := u.Frames(); f.Sum() != f.Total {
		return fmt.Errorf("xsk: frames do not add up: %+v", f)
	}
	var count [256]int
	for _, o := range u.owners {
		count[o]++
	}
	if count[ownerFree] != u.nfree || count[ownerCaller] != u.held {
		return fmt.Errorf("xsk: %d frames are free and %d held, but %d and %d were counted",
			count[ownerFree], count[ownerCaller], u.nfree, u.held)
	}
	for i, s := range u.sockets {
		if rx, tx := count[rxOwner(i)], count[txOwner(i)]; rx != s.atRX || tx != s.atTX {
			return fmt.Errorf("xsk: %v has %d frames at RX and %d at TX, but %d and %d were counted", s, rx, tx, s.atRX, s.atTX)
		}
	}
	for _, f := range u.free[:u.nfree] {
		if u.owners[f] != ownerFree {
			return fmt.Errorf("xsk: frame %d is on the free list but has owner %d", f, u.owners[f])
		}
	}
	return nil
}
