// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"bulkhead/ctrl/api"
)

// judgedBy names the rules that judged a flow between two pictures of the rules: those whose hits rose. Nothing but the
// flow in question may begin in between; what hosts do unasked has a rule of its own, and is left out. "" means that
// the gateway judged nothing.
func judgedBy(before, after api.RuleList) (string, error) {
	if before.Generation != after.Generation || len(before.Rules) != len(after.Rules) {
		return "", fmt.Errorf("the policy has changed from generation %d to %d in between", before.Generation, after.Generation)
	}
	var names []string
	for i, r := range after.Rules {
		if r.Hits != before.Rules[i].Hits && r.Name != housekeeping {
			names = append(names, r.Name)
		}
	}
	if after.Default.Hits != before.Default.Hits {
		names = append(names, defaultAction)
	}
	return strings.Join(names, " and "), nil
}

// hitsOf are the hits of a rule, or of the default.
func hitsOf(l api.RuleList, rule string) uint64 {
	for _, r := range l.Rules {
		if r.Name == rule {
			return r.Hits
		}
	}
	if rule == defaultAction {
		return l.Default.Hits
	}
	return 0
}

// judgeLimit is how long a packet that was sent may take to be judged.
const judgeLimit = time.Second

// judged asks the gateway which rule judged since before. If some rule has to, it is waited for: silence alone does
// not tell what was denied from what was lost.
func (d *demo) judged(ctx context.Context, before api.RuleList, must bool) (string, error) {
	after, err := d.rulesWhen(ctx, func(after api.RuleList) bool {
		rule, err := judgedBy(before, after)
		return err != nil || rule != "" || !must
	})
	if err != nil {
		return "", err
	}
	return judgedBy(before, after)
}

// rulesWhen asks for the rules until they are as wanted, or have not become so in time: the last answer then.
func (d *demo) rulesWhen(ctx context.Context, wanted func(api.RuleList) bool) (api.RuleList, error) {
	limited, cancel := context.WithTimeout(ctx, judgeLimit)
	defer cancel()
	for {
		l, err := d.client.Rules(ctx)
		if err != nil || wanted(l) || !pause(limited, 10*time.Millisecond) {
			return l, err
		}
	}
}

// pause waits, and tells whether the context lives on.
func pause(ctx context.Context, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
