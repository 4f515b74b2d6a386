// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what is said about testdata/*.toml beside them")

// TestProblemsOfEachFile compares all that is said about a wrong file with
// what is expected, in a file of the same name that ends in .problems.
func TestProblemsOfEachFile(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			p, err := Load(path, Options{Wires: map[string]uint16{"uplink": 0, "backup": 1}})
			if err == nil || p != nil {
				t.Fatalf("Load = %v, %v; want problems and no policy", p, err)
			}
			got := strings.ReplaceAll(err.Error(), "testdata"+string(filepath.Separator), "") + "\n"
			golden := strings.TrimSuffix(path, ".toml") + ".problems"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("run with -update when the new text is right:\n%s", diff)
			}
		})
	}
}
