// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
)

// ForeignError is returned by Attach when another program is attached to the
// interface already.
type ForeignError struct {
	Interface string
	ProgramID uint32 // 0 when it cannot be found out
	Program   string // its name; "" when it cannot be found out
	cause     error
}

// Error says whose program is in the way and how to look at it.
func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s has another XDP program (id %d, %q): stop what attached it ('bpftool net' and 'bpftool prog show id %d' show it), take it off with 'ip link set dev %s xdp off', or, where a gateway of another name left it pinned when it died, remove its pin (/sys/fs/bpf/bulkhead/NAME/link:%s): %v",
		e.Interface, e.ProgramID, e.Program, e.ProgramID, e.Interface, e.Interface, e.cause)
}

// Unwrap gives the kernel's error.
func (e *ForeignError) Unwrap() error { return e.cause }

// foreign names the program that is in the way.
func foreign(index int, name string, cause error) error {
	e := &ForeignError{Interface: name, cause: cause}
	l, err := netlink.LinkByIndex(index)
	if err != nil || l.Attrs().Xdp == nil {
		return e
	}
	e.ProgramID = l.Attrs().Xdp.ProgId
	if prog, err := ebpf.NewProgramFromID(ebpf.ProgramID(e.ProgramID)); err == nil {
		defer prog.Close()
		if info, err := prog.Info(); err == nil {
			e.Program = info.Name
		}
	}
	return e
}
