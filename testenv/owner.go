// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"errors"
	"maps"
	"slices"
	"sync"
)

// owner holds the close functions of what was made under it.
// The zero value is ready. Safe for concurrent use.
type owner struct {
	mu     sync.Mutex
	closed bool // guarded by mu: closeAll has begun, nothing new is taken
	next   uint64
	things map[uint64]func() error
}

// process owns all that has no other owner.
var process owner

// errOwnerClosed: the namespace or lab under which something was to be made is closed.
var errOwnerClosed = errors.New("its owner is closed")

// own takes closeThing on and returns it in a form that runs once, however often and by whomever
// it is called. A closed owner closes the thing at once and says so.
func (o *owner) own(closeThing func() error) (func() error, error) {
	once := sync.OnceValue(closeThing)
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil, errors.Join(errOwnerClosed, once())
	}
	defer o.mu.Unlock()
	if o.things == nil {
		o.things = map[uint64]func() error{}
	}
	id := o.next
	o.next++
	o.things[id] = once
	return func() error {
		o.forget(id)
		return once()
	}, nil
}

func (o *owner) forget(id uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.things, id)
}

// closeAll closes everything, the newest first, and refuses what comes later.
func (o *owner) closeAll() error {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	return o.closeThings()
}

// closeThings closes everything, the newest first, and stays open for more. What somebody else is closing at the same
// time is waited for.
func (o *owner) closeThings() error {
	o.mu.Lock()
	things := maps.Clone(o.things)
	o.mu.Unlock()
	var errs []error
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(things))) {
		errs = append(errs, things[id]())
		o.forget(id)
	}
	return errors.Join(errs...)
}

// CloseAll closes everything that this process has made with this package and not closed yet, the newest first.
// Safe for concurrent use.
func CloseAll() error { return process.closeThings() }
