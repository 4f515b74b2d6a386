// SPDX-License-Identifier: Apache-2.0

package xdp

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestConstantsAreThoseOfTheProgram reads the C source: what both sides name
// must have the same numbers.
func TestConstantsAreThoseOfTheProgram(t *testing.T) {
	text, err := os.ReadFile("bpf/bulkhead.c")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"MAX_QUEUES": MaxQueues, "MAX_LANES": MaxLanes} {
		m := regexp.MustCompile(name + ` = (\d+)`).FindSubmatch(text)
		if m == nil || string(m[1]) != strconv.Itoa(want) {
			t.Errorf("%s is %d here and %q in C", name, want, m)
		}
	}
	m := regexp.MustCompile(`enum cause \{([^}]*)\}`).FindSubmatch(text)
	if m == nil {
		t.Fatal("no enum cause in C")
	}
	want := []string{QueueUnbound: "QUEUE_UNBOUND", FailClosed: "FAIL_CLOSED", FailOpen: "FAIL_OPEN", Oversize: "OVERSIZE", NoLane: "NO_LANE", NumCauses: "CAUSES"}
	if got := strings.Fields(strings.ReplaceAll(string(m[1]), ",", " ")); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("enum cause is %v, want %v", got, want)
	}
}
