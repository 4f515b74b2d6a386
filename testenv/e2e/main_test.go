// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"testing"
	"time"

	"bulkhead/testenv"
)

func TestMain(m *testing.M) { os.Exit(testenv.Main(m.Run)) }

// long says whether the tests are to take the time that a release deserves.
var long = os.Getenv("BULKHEAD_LONG") != ""

// quickOr is a size for the quick run or for the long one.
func quickOr[T any](quick, thorough T) T {
	if long {
		return thorough
	}
	return quick
}

// patience is how long something may take that is to happen at once: the
// machine may have much else to do.
const patience = 30 * time.Second

func soon(t testing.TB) context.Context {
	t.Helper()
	return within(t, patience)
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get is must for calls with a value.
func get[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		must(t, err)
		return v
	}
}

// eventually waits for a condition. What it says when it gives up is what
// describe finds then.
func eventually(t testing.TB, what string, condition func() bool, describe ...func() any) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			for _, d := range describe {
				t.Logf("%+v", d())
			}
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
