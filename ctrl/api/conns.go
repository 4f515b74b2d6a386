// SPDX-License-Identifier: Apache-2.0

package api

import (
	"net"
	"sync"
)

// conns is a listener that keeps at most max connections open. When they are
// all taken, a newcomer takes the place of the oldest connection of the user
// who has most of them: somebody who opens thousands and sends nothing, or
// never reads, closes only their own.
type conns struct {
	net.Listener
	max int

	mu   sync.Mutex
	open []*conn // oldest first
}

// conn is a connection with the peer's credentials.
type conn struct {
	net.Conn
	peer Peer
	all  *conns
	held bool // guarded by all.mu: a change is being made for it
}

// Accept waits for a connection and makes room for it.
func (t *conns) Accept() (net.Conn, error) {
	for {
		nc, err := t.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := peerOf(nc.(*net.UnixConn))
		if err != nil { // gone already
			nc.Close()
			continue
		}
		c := &conn{Conn: nc, peer: peer, all: t}
		victim, ok := t.admit(c)
		if victim != nil {
			victim.Close()
		}
		if ok {
			return c, nil
		}
		nc.Close()
	}
}

// admit enters c, and gives the connection that has to go for it. It is false
// when there is no room because changes are being made for all of them.
func (t *conns) admit(c *conn) (victim *conn, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) >= t.max {
		i := t.victim() // max is small: a walk is cheaper than keeping order
		if i < 0 {
			return nil, false
		}
		victim = t.open[i]
		t.open = append(t.open[:i], t.open[i+1:]...)
	}
	t.open = append(t.open, c)
	return victim, true
}

// The counting is by user because users are what the kernel vouches for: a
// process can make any number of connections and of processes.

// victim gives the index of the oldest connection, not held, of the user who
// has most of those; -1 when all are held.
func (t *conns) victim() int {
	count, first := map[uint32]int{}, map[uint32]int{}
	best := -1
	for i, c := range t.open {
		if c.held {
			continue
		}
		uid := c.peer.UID
		if count[uid]++; count[uid] == 1 {
			first[uid] = i
		}
		if best < 0 || count[uid] > count[t.open[best].peer.UID] {
			best = first[uid]
		}
	}
	return best
}

// hold keeps c open while a change is made for it; release ends that.
func (c *conn) hold()    { c.setHeld(true) }
func (c *conn) release() { c.setHeld(false) }

func (c *conn) setHeld(held bool) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	c.held = held
}

// Close closes the connection and gives up its place.
func (c *conn) Close() error {
	c.all.remove(c)
	return c.Conn.Close()
}

// remove takes c out; it may be out already.
func (t *conns) remove(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, o := range t.open {
		if o == c {
			t.open = append(t.open[:i], t.open[i+1:]...)
			return
		}
	}
}
