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

// judgeLimit is how long a packet that was sent may take to reach the gateway.
const judgeLimit = time.Second

// judged asks the gateway which rule judged since before. If some rule has to, it is waited for: silence alone does
// not tell what was denied from what was lost.
func (d *demo) judged(ctx context.Context, before api.RuleList, must bool) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, judgeLimit)
	defer cancel()
	for {
		after, err := d.client.Rules(ctx)
		if err != nil {
			return "", err
		}
		rule, err := judgedBy(before, after)
		if err != nil || rule != "" || !must || !pause(ctx, 10*time.Millisecond) {
			return rule, err
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
