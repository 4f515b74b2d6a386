// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exceptionsFile lists the frames on which tshark and Parse may differ, one a
// line: the frame, and why. It may only shrink.
const exceptionsFile = "testdata/tshark_exceptions.txt"

// Parse agrees with tshark on every frame of the captures that tshark does not
// call malformed: on the fields of the outermost headers, and on the outcome
// that follows from tshark's fields by rules that are written down once more
// here (expect). Tunnels need no exception, since only what is outside of
// them is compared.
func TestAgreesWithTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip("tshark is not part of this repository, and not installed")
	}
	frames := captures(t)
	views := dissect(t, append(offsetProbes(), frames...))
	for _, v := range views {
		v[unitFields[0]], v[unitFields[1]] = views[0]["ip.frag_offset"], views[1]["ipv6.fraghdr.offset"]
	}
	views = views[2:]
	exceptions := readExceptions(t)
	compared := 0
	for i, f := range frames {
		v := views[i]
		if v.has("_ws.malformed") {
			continue
		}
		compared++
		diff := compare(f, v)
		_, excepted := exceptions[f.name]
		switch {
		case diff != "" && !excepted:
			t.Errorf("%s: %s: tshark differs (-tshark +ours):\n%s%x", f.name, v.first("frame.protocols"), diff, f.data[:min(len(f.data), 120)])
		case diff == "" && excepted:
			t.Errorf("%s: no longer an exception: take it out of %s", f.name, exceptionsFile)
		}
		delete(exceptions, f.name)
	}
	for name := range exceptions {
		t.Errorf("%s names %s, which is not a frame that tshark finds well formed", exceptionsFile, name)
	}
	if compared < len(frames)*9/10 {
		t.Errorf("only %d of %d frames were compared", compared, len(frames))
	}
	t.Logf("%d of %d frames compared", compared, len(frames))
}

func readExceptions(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(exceptionsFile)
	if err != nil {
		t.Fatal(err)
	}
	exceptions := map[string]string{}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			t.Errorf("%s: %s has no reason", exceptionsFile, name)
		}
		exceptions[name] = reason
	}
	return exceptions
}

// view is what tshark prints of a frame: the values of each field, outermost
// header first.
type view map[string][]string

var viewFields = []string{
	"frame.protocols", "_ws.malformed",
	"eth.type", "eth.len", "vlan.id", "vlan.etype", "vlan.len", "ieee8021ad.id", "ieee8021ah.etype", "llc.dsap", "llc.type", "llc.cisco_pid", "stp.version",
	"ip.version", "ip.hdr_len", "ip.len", "ip.src", "ip.dst", "ip.proto", "ip.ttl", "ip.id", "ip.frag_offset", "ip.flags.mf",
	"ip.checksum.status", "ip.opt.type",
	"ipv6.version", "ipv6.plen", "ipv6.src", "ipv6.dst", "ipv6.nxt", "ipv6.hlim", "ipv6.hopopts.nxt", "ipv6.dstopts.nxt",
	"ipv6.routing.nxt", "ipv6.routing.type", "ipv6.routing.segleft",
	"ipv6.fraghdr.nxt", "ipv6.fraghdr.offset", "ipv6.fraghdr.more", "ipv6.fraghdr.ident", "ah.next_header",
	"tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.hdr_len", "tcp.seq_raw", "tcp.ack_raw", "tcp.window_size_value",
	"udp.srcport", "udp.dstport", "udp.length", "sctp.srcport", "sctp.dstport",
	"icmp.type", "icmp.code", "icmp.ident", "icmpv6.type", "icmpv6.code", "icmpv6.echo.identifier",
}

// dissect has tshark read all frames in one run, without putting fragments
// and segments together.
func dissect(t *testing.T, frames []captured) []view {
	t.Helper()
	file := filepath.Join(t.TempDir(), "all.pcap")
	if err := os.WriteFile(file, pcapOf(frames), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", file, "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"}
	for _, option := range []string{"ip.defragment", "ipv6.defragment", "tcp.desegment_tcp_streams", "ip.tso_support"} {
		args = append(args, "-o", option+":FALSE")
	}
	args = append(args, "-o", "ip.check_checksum:TRUE")
	for _, f := range viewFields {
		args = append(args, "-e", f)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("tshark", args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v: %s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(frames) {
		t.Fatalf("tshark printed %d lines for %d frames: %s", len(lines), len(frames), &stderr)
	}
	views := make([]view, len(lines))
	for i, line := range lines {
		views[i] = view{}
		for j, value := range strings.Split(line, "\t") {
			if value != "" {
				views[i][viewFields[j]] = strings.Split(value, ",")
			}
		}
	}
	return views
}

// pcapOf writes the frames as a capture file, those that were cut short as such.
func pcapOf(frames []captured) []byte {
	b := make([]byte, 24)
	binary.LittleEndian.PutUint32(b, 0xa1b2c3d4)
	binary.LittleEndian.PutUint16(b[4:], 2)
	binary.LittleEndian.PutUint16(b[6:], 4)
	binary.LittleEndian.PutUint32(b[16:], 262144)
	binary.LittleEndian.PutUint32(b[20:], linkTypeEthernet)
	for i, f := range frames {
		for _, n := range []int{i, 0, len(f.data), max(f.wire, len(f.data))} {
			b = binary.LittleEndian.AppendUint32(b, uint32(n))
		}
		b = append(b, f.data...)
	}
	return b
}

// offsetProbes are fragments at offset 8: some versions of tshark print
// offsets in bytes, others in units of 8 bytes.
func offsetProbes() []captured {
	v4 := build(eth(0x0800), ip4(hostA4, hostB4, 17, fragment(8, false)), zeros(8))
	v6 := build(eth(0x86dd), ip6(hostA6, hostB6, 44), frag6(17, 8, false), zeros(8))
	return []captured{{data: v4}, {data: v6}}
}

// unitFields are where a view keeps what tshark made of the probes.
var unitFields = [2]string{"probe 4", "probe 6"}

// unit is what the values of an offset field have to be multiplied by.
func (v view) unit(field string) int {
	probe := unitFields[0]
	if strings.HasPrefix(field, "ipv6") {
		probe = unitFields[1]
	}
	return 8 / v.num(probe, 0)
}

func (v view) has(field string) bool { return len(v[field]) > 0 }

func (v view) first(field string) string { return v.at(field, 0) }

func (v view) at(field string, i int) string {
	if i < len(v[field]) {
		return v[field][i]
	}
	return ""
}

// num is the i-th value as a number, -1 where there is none.
func (v view) num(field string, i int) int {
	n, err := strconv.ParseInt(v.at(field, i), 0, 64)
	if err != nil {
		return -1
	}
	return int(n)
}

// layers are the names of the frame's protocols, without those that name no
// header.
func (v view) layers() []string {
	return slices.DeleteFunc(strings.Split(v.first("frame.protocols"), ":"), func(s string) bool {
		return s == "ethertype"
	})
}

// compare shows the differences between tshark's fields and ours.
func compare(f captured, v view) string {
	var info Info
	Parse(f.data, &info)
	if f.wire > len(f.data) && isShort(info.Outcome) {
		return "" // the capture was cut short, and that is what we say of it
	}
	want, got := expect(v, len(f.data)), factsOf(&info)
	if want.Outcome == IPv4Header && want.Src == "" {
		got.Src, got.Dst, got.Proto, got.Hops = "", "", 0, 0 // tshark gives up sooner
	}
	return cmp.Diff(want, got)
}

// isShort are the outcomes of frames that end too early.
func isShort(o Outcome) bool {
	return slices.Contains([]Outcome{Truncated, IPv4Header, IPv6Header, IPv6Chain, TCPHeader, UDPHeader, SCTPHeader, ICMPHeader}, o)
}
