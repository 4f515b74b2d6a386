// SPDX-License-Identifier: Apache-2.0

package packet

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// captured is one frame of a capture file.
type captured struct {
	name string // file and number of the frame in it, from 1
	data []byte
	wire int // length on the wire; more than there are data when the capture cut it short
}

// captures are all Ethernet frames of the developers' captures, in a stable
// order. A file that the reader refuses, or of which it can read only the
// beginning, is refused cleanly: many of them are broken on purpose.
func captures(tb testing.TB) []captured {
	tb.Helper()
	dir := filepath.Join(sharedDir(tb), "pcaps")
	var frames []captured
	for _, pattern := range []string{"*.pcap", "*.pcapng"} {
		files, err := filepath.Glob(filepath.Join(dir, "*", pattern))
		if err != nil {
			tb.Fatal(err)
		}
		for _, file := range files {
			frames = append(frames, readCapture(tb, file)...)
		}
	}
	if len(frames) == 0 {
		tb.Skipf("no captures in %s: they are not part of this repository", dir)
	}
	return frames
}

// sharedDir is the folder of material that is too large for the repository:
// BULKHEAD_SHARED, or the folder "shared" beside the repository.
func sharedDir(tb testing.TB) string {
	tb.Helper()
	if dir := os.Getenv("BULKHEAD_SHARED"); dir != "" {
		return dir
	}
	root, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(filepath.Dir(root), "shared")
		}
		if root == filepath.Dir(root) {
			tb.Fatal("no go.mod above the test")
		}
		root = filepath.Dir(root)
	}
}

func readCapture(tb testing.TB, file string) []captured {
	tb.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	frames := readPcap(b)
	if frames == nil {
		frames = readPcapng(b)
	}
	for i := range frames {
		frames[i].name = fmt.Sprintf("%s:%d", filepath.Base(file), i+1)
	}
	return frames
}

const linkTypeEthernet = 1

// readPcap reads the classic format of tcpdump (draft-ietf-opsawg-pcap): a
// header of 24 bytes, 16 bytes before each frame, in either byte order. It is
// nil for anything else, and stops where the file breaks off. The reader of
// gopacket would do, but it draws in a module that nothing else needs.
func readPcap(b []byte) (frames []captured) {
	const micro, nano = 0xa1b2c3d4, 0xa1b23c4d
	if len(b) < 24 {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if m := order.Uint32(b); m != micro && m != nano {
		order = binary.BigEndian
	}
	if m := order.Uint32(b); m != micro && m != nano || order.Uint32(b[20:])&0xffff != linkTypeEthernet {
		return nil
	}
	for b = b[24:]; len(b) >= 16; {
		size, wire := int(order.Uint32(b[8:])), int(order.Uint32(b[12:]))
		if size > len(b)-16 {
			break
		}
		frames = append(frames, captured{data: b[16 : 16+size], wire: wire})
		b = b[16+size:]
	}
	return frames
}

// readPcapng reads the blocks of a pcapng file (draft-ietf-opsawg-pcapng) that
// hold frames of its Ethernet interfaces. One section will do.
func readPcapng(b []byte) (frames []captured) {
	const section, iface, simple, enhanced = 0x0a0d0d0a, 1, 3, 6
	if len(b) < 28 || binary.BigEndian.Uint32(b) != section {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(b[8:]) != 0x1a2b3c4d {
		order = binary.BigEndian
	}
	var ethernet []bool
	for len(b) >= 12 {
		size := int(order.Uint32(b[4:]))
		if size < 12 || size > len(b) {
			break
		}
		body := b[8 : size-4]
		switch order.Uint32(b) {
		case iface:
			ethernet = append(ethernet, order.Uint16(body) == linkTypeEthernet)
		case simple:
			wire := int(order.Uint32(body))
			frames = append(frames, captured{data: body[4:min(4+wire, len(body))], wire: wire})
		case enhanced:
			id, n, wire := int(order.Uint32(body)), int(order.Uint32(body[12:])), int(order.Uint32(body[16:]))
			if id < len(ethernet) && ethernet[id] && n <= len(body)-20 {
				frames = append(frames, captured{data: body[20 : 20+n], wire: wire})
			}
		}
		b = b[size:]
	}
	return frames
}

func TestCapturesHoldTheInvariants(t *testing.T) {
	frames := captures(t)
	outcomes := map[Outcome]int{}
	for _, f := range frames {
		checkInvariants(t, f.data)
		var info Info
		Parse(f.data, &info)
		outcomes[info.Outcome]++
	}
	t.Logf("%d frames: %v", len(frames), outcomes)
}
