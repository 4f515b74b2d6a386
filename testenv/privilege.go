// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are the capabilities that the laboratory needs, and for what.
var needed = []struct {
	bit  uint
	name string
	why  string
}{
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "make and enter namespaces, mount bpffs"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "make interfaces, attach XDP programs"},
	{unix.CAP_NET_RAW, "CAP_NET_RAW", "raw sockets"},
	{unix.CAP_BPF, "CAP_BPF", "load BPF programs"},
}

// Privileged is nil if this process has the capabilities that namespaces, interfaces, raw sockets and BPF need,
// else an error that names the missing ones: root has them.
func Privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return wrap("read own capabilities", err)
	}
	var missing []string
	for _, c := range needed {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, fmt.Sprintf("%s (%s)", c.name, c.why))
		}
	}
	if missing == nil {
		return nil
	}
	return fmt.Errorf("not privileged: run as root, or with %s", strings.Join(missing, ", "))
}
