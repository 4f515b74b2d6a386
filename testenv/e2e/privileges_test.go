// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// threads is what /proc says of every thread of a process, field by field
// (proc_pid_status(5)).
func threads(t testing.TB, pid int) (all []map[string]string) {
	t.Helper()
	for _, path := range get(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid)))(t) {
		text, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue // the thread has ended
		}
		must(t, err)
		fields := map[string]string{}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
			fields[name] = strings.TrimSpace(value)
		}
		all = append(all, fields)
	}
	return all
}

// TestGatewayHasNoMorePrivilegesThanItNeeds reads them of every thread while the
// gateway forwards, and sees that it still does after that.
func TestGatewayHasNoMorePrivilegesThanItNeeds(t *testing.T) {
	g := start(t, setup{lab: withQueues(2), policy: allowAll})
	ordinaryPing(t, g)
	const needed = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_BPF | 1<<unix.CAP_IPC_LOCK
	without := 0
	for _, thread := range threads(t, g.proc.Pid()) {
		who := thread["Name"] + " " + thread["Pid"]
		if thread["NoNewPrivs"] != "1" {
			t.Errorf("thread %s may gain privileges", who)
		}
		for _, set := range []string{"CapEff", "CapPrm", "CapBnd"} {
			if more := caps(t, thread[set]) &^ needed; more != 0 {
				t.Errorf("thread %s has more than it needs in %s: %x", who, set, more)
			}
		}
		for _, set := range []string{"CapInh", "CapAmb"} {
			if caps(t, thread[set]) != 0 {
				t.Errorf("thread %s hands on %s: %s", who, set, thread[set])
			}
		}
		if caps(t, thread["CapEff"]) == 0 && caps(t, thread["CapPrm"]) == 0 {
			without++
		}
	}
	if without != 2 {
		t.Errorf("%d threads have no privileges at all, want the two workers", without)
	}
	ordinaryPing(t, g)
	g.apply(denyAll)
	g.stop()
}

func caps(t testing.TB, hex string) uint64 {
	t.Helper()
	return get(strconv.ParseUint(hex, 16, 64))(t)
}
