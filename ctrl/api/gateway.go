// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"fmt"
)

// Gateway is what the control socket shows and changes. All methods are called
// concurrently.
type Gateway interface {
	// Status and Rules answer at once, also while a policy is being applied.
	Status() Status
	Rules() RuleList

	// Apply brings a policy into force, whole or not at all, and returns when no
	// packet is judged by the one before. A policy that does not hold is refused
	// with an error that wraps Problems. The context ends when the client goes
	// away: what has not begun need not begin then, what has begun is finished.
	Apply(ctx context.Context, c Change) (Applied, error)
}

// Change is a policy that somebody wants in force.
type Change struct {
	File string // what the one who sends it calls it; for messages, never opened
	Text []byte // the policy
	By   Peer   // who wants it
}

// Peer is the process at the other end of a connection as the kernel knows it
// (SO_PEERCRED, unix(7)): the credentials at the time of connect(2). A user
// that this user namespace does not know is 65534, a process that this PID
// namespace does not see is 0.
type Peer struct {
	UID, GID uint32
	PID      int32
}

// String gives the peer for a log.
func (p Peer) String() string { return fmt.Sprintf("uid %d gid %d pid %d", p.UID, p.GID, p.PID) }

// Problems is why a policy was refused; at least one.
type Problems []Problem

// Error gives the first problem and says how many more there are.
func (p Problems) Error() string {
	switch len(p) {
	case 0:
		return "refused"
	case 1:
		return p[0].String()
	}
	return fmt.Sprintf("%s (and %d more)", p[0], len(p)-1)
}
