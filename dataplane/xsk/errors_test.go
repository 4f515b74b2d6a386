// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestErrorsSayWhatWhereWhyAndWhatToDo(t *testing.T) {
	q := Queue{Interface: "eth3", ID: 5}
	for _, row := range []struct {
		op   string
		err  error
		want string // of the hint
	}{
		{"socket", unix.EPERM, "CAP_NET_RAW"},
		{"socket", unix.EAFNOSUPPORT, "CONFIG_XDP_SOCKETS"},
		{bindOp(Copy), unix.EBUSY, "stop the process"},
		{bindOp(ZeroCopy), unix.EBUSY, "stop the process"},
		{bindOp(Copy), unix.ENODEV, "gone"},
		{bindOp(Copy), unix.ENETDOWN, "set it up"},
		{bindOp(ZeroCopy), unix.EOPNOTSUPP, `use mode "copy"`},
		{bindOp(ZeroCopy), unix.EINVAL, "MTU"},
		{bindOp(Copy), unix.EINVAL, "no such queue"},
		{"set busy poll", unix.EPERM, "CAP_NET_ADMIN"},
		{"register packet memory", memoryError(unix.ENOBUFS, 4711), "needs 4711 bytes"},
	} {
		err := opError(row.op, q, row.err)
		start := fmt.Sprintf("xsk: eth3 queue 5: %s: ", row.op)
		if !strings.HasPrefix(err.Error(), start) || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: want %q and %q in one line", err, start, row.want)
		}
		var errno unix.Errno
		if !errors.As(err, &errno) {
			t.Errorf("%v: the error number is lost", err)
		}
	}
}

// Only what zero-copy itself is refused for may turn "auto" into copy mode.
func TestAutoFallsBackOnlyWhereZeroCopyIsRefused(t *testing.T) {
	for _, row := range []struct {
		err  error
		want bool
	}{
		{opError(bindOp(ZeroCopy), Queue{}, unix.EOPNOTSUPP), true},
		{opError(bindOp(ZeroCopy), Queue{}, unix.EINVAL), true},
		{errors.Join(opError(bindOp(ZeroCopy), Queue{}, unix.ENOMEM), nil), true},
		{opError(bindOp(ZeroCopy), Queue{}, unix.EBUSY), false},
		{opError(bindOp(ZeroCopy), Queue{}, unix.ENODEV), false},
		{opError("socket", Queue{}, unix.EPERM), false},
		{opError("register packet memory", Queue{}, unix.ENOBUFS), false},
		{unix.EOPNOTSUPP, false},
		{nil, false},
	} {
		if got := refusesZeroCopy(row.err); got != row.want {
			t.Errorf("%v: %v, want %v", row.err, got, row.want)
		}
	}
}
