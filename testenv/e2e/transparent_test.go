// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"

	"bulkhead/testenv"
)

// both are the two addresses of a host, with a port.
func both(h *testenv.Host, port uint16) []netip.AddrPort {
	return []netip.AddrPort{netip.AddrPortFrom(h.IPv4, port), netip.AddrPortFrom(h.IPv6, port)}
}

// TestOrdinaryTrafficFlows starts the gateway as people do, without a
// configuration file, and without telling the hosts each other's MACs.
func TestOrdinaryTrafficFlows(t *testing.T) {
	lab := testenv.LabForTest(t, testenv.TwoHosts())
	dir := tempDir(t)
	policy := filepath.Join(dir, "allow.toml")
	write(t, policy, allowAll)
	testenv.GatewayForTest(t, lab.Gateway, "run", "--wire", "w0:w1", "--policy", policy, "--run-dir", dir+"/run", "--bpffs", "")
	ordinaryTraffic(t, lab)
}

// ordinaryTraffic is what hosts a and b of any lab do when all is allowed.
func ordinaryTraffic(t *testing.T, lab *testenv.Lab) {
	t.Helper()
	a, b := lab.Host("a"), lab.Host("b")
	get(b.ServeTCPEcho(7))(t)
	get(b.ServeUDPEcho(7))(t)
	get(b.ServeStream(80))(t)
	for _, to := range both(b, 7) {
		_, err := a.Ping(soon(t), to.Addr(), testenv.PingConfig{Count: 5, Size: 1400})
		must(t, err)
		must(t, a.EchoTCP(soon(t), to, random(t, 300_000)))
		for _, size := range []int{1, 512, 1400} {
			must(t, a.EchoUDP(soon(t), to, random(t, size)))
		}
	}
	_, err := b.Ping(soon(t), a.IPv6, testenv.PingConfig{Count: 5})
	must(t, err)
	download(t, lab, 1, quickOr[int64](64<<20, 1<<30))
	download(t, lab, 8, quickOr[int64](16<<20, 1<<30))
}

// download fetches as many streams at once and compares each byte and their
// checksums; half of them by IPv6.
func download(t *testing.T, lab *testenv.Lab, streams int, total int64) {
	t.Helper()
	a, b := lab.Host("a"), lab.Host("b")
	done := make(chan error)
	for i := range streams {
		go func() {
			_, err := a.Download(within(t, 20*patience), both(b, 80)[i%2], total/int64(streams), uint64(i))
			done <- err
		}()
	}
	var errs []error
	for range streams {
		errs = append(errs, <-done)
	}
	must(t, errors.Join(errs...))
}

func random(t testing.TB, size int) []byte {
	t.Helper()
	b := make([]byte, size)
	_, err := rand.Read(b)
	must(t, err)
	return b
}
