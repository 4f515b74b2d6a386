// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestLogRecordIsOneCleanLineWhateverIsInIt(t *testing.T) {
	for name, terminal := range map[string]bool{"terminal": true, "journal": false} {
		t.Run(name, func(t *testing.T) {
			var b buffer
			log := newLog(&b, terminal, "info")
			log.With(nasty, nasty).Warn(nasty, "error", errors.New(nasty), "long", strings.Repeat("x", 1<<20), "any", []string{nasty})
			got := b.String()
			mustBeClean(t, name, got)
			if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
				t.Errorf("not one line: %q", got)
			}
			if len(got) > 3*maxLogged {
				t.Errorf("the record has %d bytes", len(got))
			}
			if !terminal {
				var rec map[string]any
				if err := json.Unmarshal([]byte(got), &rec); err != nil {
					t.Fatal(err)
				}
				if want := strings.ToValidUTF8(nasty, "\ufffd"); rec["error"] != want {
					t.Errorf("error is %q, want %q", rec["error"], want)
				}
			}
		})
	}
}

func TestLogLevelHidesWhatIsLessSevere(t *testing.T) {
	for _, level := range levels {
		var b buffer
		log := newLog(&b, true, level)
		log.Debug("debug")
		log.Info("info")
		log.Warn("warn")
		log.Error("error")
		for _, other := range levels {
			want := strings.Index("debug info warn error", other) >= strings.Index("debug info warn error", level)
			if got := strings.Contains(b.String(), "msg="+other); got != want {
				t.Errorf("level %s shows %s: %v", level, other, got)
			}
		}
	}
}
