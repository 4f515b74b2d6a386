// SPDX-License-Identifier: Apache-2.0

package classifier

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLookupAnswersClassBench looks up published headers whose right answers
// were found by others. Only the first of them are used (no two headers that
// follow each other are related), so that the test takes a second.
func TestLookupAnswersClassBench(t *testing.T) {
	dir := classbenchDir(t)
	for _, name := range []string{"acl1_1k", "fw1_1k", "ipc1_1k", "seg_1k", "acl1_10k", "fw1_10k", "ipc1_10k", "seg_10k"} {
		t.Run(name, func(t *testing.T) {
			l := linear(t, readRules(t, filepath.Join(dir, name+".rules")))
			headers := 5000
			if strings.HasSuffix(name, "_10k") {
				headers = 500
			}
			checkTrace(t, l, filepath.Join(dir, name+".trace.gz"), headers)
		})
	}
}

// classbenchDir finds the rule sets, which are not part of the repository.
func classbenchDir(t *testing.T) string {
	shared := os.Getenv("BULKHEAD_SHARED")
	if shared == "" {
		shared = filepath.Join("..", "..", "shared")
	}
	dir := filepath.Join(shared, "classbench")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the ClassBench rule sets are not part of this repository (BULKHEAD_SHARED names the folder that holds classbench/): %v", err)
	}
	return dir
}

// readRules reads the ClassBench text format, most important rule first.
func readRules(t *testing.T, path string) *Program {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	p := &Program{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var src, dst string
		var s, d PortRange
		var proto, mask uint8
		if _, err := fmt.Sscanf(lines.Text(), "@%s %s %d : %d %d : %d 0x%x/0x%x",
			&src, &dst, &s.Lo, &s.Hi, &d.Lo, &d.Hi, &proto, &mask); err != nil {
			t.Fatalf("%s: %q: %v", path, lines.Text(), err)
		}
		p.Sets = append(p.Sets, set(src, src), set(dst, dst))
		n := len(p.Sets)
		p.Rules = append(p.Rules, rule(n-2, n-1, classbenchServices(proto, mask, s, d)...))
	}
	return p
}

// classbenchServices says a rule's ports and protocol in our words. The sets
// put ports on every protocol; we know ports of three, and a rule for any
// protocol with ports is one for those three.
func classbenchServices(proto, mask uint8, src, dst PortRange) []Service {
	all := PortRange{Lo: 0, Hi: 65535}
	switch {
	case mask == 0 && src == all && dst == all:
		return []Service{{AnyProto: true}}
	case mask == 0:
		return []Service{withPorts(protoTCP, src, dst), withPorts(protoUDP, src, dst), withPorts(protoSCTP, src, dst)}
	case hasPorts(proto):
		return []Service{withPorts(proto, src, dst)}
	}
	return []Service{{Proto: proto, AnyICMP: hasICMP(proto)}}
}

func withPorts(proto uint8, src, dst PortRange) Service {
	return Service{Proto: proto, SrcPorts: []PortRange{src}, DstPorts: []PortRange{dst}}
}

// checkTrace looks up the first headers of a trace.
func checkTrace(t *testing.T, l *Linear, path string, headers int) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(plain)
	for range headers {
		if !lines.Scan() {
			t.Fatalf("%s: ends too early: %v", path, lines.Err())
		}
		checkHeader(t, l, lines.Text())
	}
}

func checkHeader(t *testing.T, l *Linear, line string) {
	t.Helper()
	var src, dst uint32
	var want int
	k := Key{}
	if _, err := fmt.Sscan(line, &src, &dst, &k.SrcPort, &k.DstPort, &k.Proto, &want); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	k.Src, k.Dst = ipv4(src), ipv4(dst)
	if got := l.Lookup(&k); got != want {
		t.Errorf("%q: rule %d", line, got)
	}
}

func ipv4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, a)))
}
