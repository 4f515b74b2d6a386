// SPDX-License-Identifier: Apache-2.0

package xsk

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestZeroConfigMeansTheDefaults(t *testing.T) {
	want := Config{
		FrameSize: 2048, Frames: 2048, FillSize: 1024, RXSize: 512, TXSize: 512, CompletionSize: 512,
		TXBudget: 64, BindTimeout: 5 * time.Second,
	}
	got := Config{}.withDefaults(2)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := got.check(2); err != nil {
		t.Error(err)
	}
	if b := (Config{TXSize: 16}).withDefaults(1).TXBudget; b != 0 {
		t.Errorf("TX budget of a ring of 16 = %d, want none", b)
	}
}

func TestConfigRefusesWhatCannotWork(t *testing.T) {
	for _, row := range []struct {
		config  Config
		sockets int
		want    string
	}{
		{Config{}, 0, "0 queues"},
		{Config{}, 65, "65 queues"},
		{Config{FrameSize: 1024}, 1, "frame size 1024"},
		{Config{FrameSize: 3000}, 1, "frame size 3000"},
		{Config{FrameSize: 8192}, 1, "frame size 8192"},
		{Config{Frames: 63}, 1, "63 frames for 1 queues"},
		{Config{Frames: 127}, 2, "127 frames for 2 queues"},
		{Config{Frames: 1 << 31}, 2, "4 GiB at most"},
		{Config{RXSize: 500, FillSize: 512}, 1, "RX ring of 500"},
		{Config{TXSize: 1}, 1, "TX ring of 1 "},
		{Config{FillSize: 1 << 17}, 1, "fill ring of 131072"},
		{Config{CompletionSize: 48}, 1, "completion ring of 48"},
		{Config{Mode: 3}, 1, "mode(3)"},
		{Config{TXBudget: 31}, 1, "TX budget 31"},
		{Config{TXBudget: 513}, 1, "TX budget 513"},
		{Config{BusyPoll: BusyPoll{Budget: 1 << 16}}, 1, "busy poll budget 65536"},
	} {
		err := row.config.withDefaults(row.sockets).check(row.sockets)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %q", row.config, err, row.want)
		}
		if u, err := Open(row.config, make([]Queue, row.sockets)...); err == nil {
			u.Close()
			t.Errorf("%+v: opened", row.config)
		}
	}
}

func TestMaxMTULeavesRoomForHeaderTagsAndHeadroom(t *testing.T) {
	for frame, want := range map[uint32]int{0: 1766, 2048: 1766, 4096: 3814} {
		if got := (Config{FrameSize: frame}).MaxMTU(); got != want {
			t.Errorf("frame size %d: largest MTU %d, want %d", frame, got, want)
		}
	}
}

func TestSharesLeaveEnoughForEverySocket(t *testing.T) {
	for sockets := 1; sockets <= maxSockets; sockets++ {
		for _, perSocket := range []int{minFrames, 100, 512, 1024} {
			n := perSocket * sockets
			rx, tx := shares(n, sockets)
			if left := n - tx*sockets - rx*(sockets-1); left < n/(4*sockets) {
				t.Errorf("%d frames, %d sockets: RX %d and TX %d leave %d for the last", n, sockets, rx, tx, left)
			}
			if rx < 16 || tx < 16 {
				t.Errorf("%d frames, %d sockets: RX %d, TX %d are too few", n, sockets, rx, tx)
			}
		}
	}
}

func TestPacketMemoryIsAlignedAndWritable(t *testing.T) {
	for _, size := range []int{4096, 128 * 2048, hugePage, 3*hugePage + 4096} {
		mapping, mem, err := mapPacketMemory(size)
		if err != nil {
			t.Fatal(err)
		}
		if len(mem) != size || cap(mem) != size {
			t.Errorf("asked for %d bytes: length %d, capacity %d", size, len(mem), cap(mem))
		}
		if align := uintptr(min(size, hugePage)); align >= hugePage && addressOf(mem)%align != 0 || addressOf(mem)%4096 != 0 {
			t.Errorf("%d bytes at %#x", size, addressOf(mem))
		}
		mem[0], mem[size-1] = 1, 1
		if err := (&Umem{mapping: mapping}).Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNamesOfModesAndStates(t *testing.T) {
	got := []string{Auto.String(), Copy.String(), ZeroCopy.String(), Mode(9).String(), Up.String(), Down.String(), Gone.String(), State(9).String()}
	want := []string{"auto", "copy", "zerocopy", "mode(9)", "up", "down", "gone", "state(9)"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
