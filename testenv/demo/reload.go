// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/ctrl/api"
	"bulkhead/testenv"
)

// streams run while the policy changes.
func streams() []*stream {
	return []*stream{
		{from: "web", to: "app", network: "tcp", port: apiStream, rule: "web-to-app"},
		{from: "db", to: "ops", network: "udp", port: dbLogs, rule: "logs-to-ops"},
		{from: "ops", to: "app", network: "tcp", port: sshStream, cut: true, rule: defaultAction},
		{from: "app", to: "ops", network: "udp", port: appLogs, cut: true, rule: "app-quarantine"},
	}
}

// newlyAllowed was denied before.
var newlyAllowed = attempt{from: "ops", to: "db", how: "tcp", port: 5432, v6: true, want: allowed, rule: "ops-to-db"}

// enough is how many messages of a stream show that it runs, or that it does not.
const enough = 100

// changePolicy changes the policy while streams run.
func (d *demo) changePolicy(ctx context.Context) error {
	d.section("A new policy under traffic: app is suspect; ops may look into db, but no longer log in to app")
	streams := streams()
	for _, s := range streams {
		defer s.close()
		if err := s.open(ctx, d.lab); err != nil {
			return err
		}
	}
	var err error
	if d.starvedBefore, err = d.starved(ctx); err != nil {
		return err
	}
	for _, s := range streams {
		s.start(ctx)
	}
	if err := allGoOn(ctx, streams); err != nil {
		return err
	}
	if err := d.refuse(ctx, streams); err != nil {
		return err
	}
	return d.replace(ctx, streams)
}

// allGoOn waits until enough messages more have arrived on all streams.
func allGoOn(ctx context.Context, streams []*stream) error {
	for _, s := range streams {
		if err := s.await(ctx, s.arrived, s.arrived()+enough); err != nil {
			return err
		}
	}
	return nil
}

// refuse applies a policy with mistakes, which changes nothing.
func (d *demo) refuse(ctx context.Context, streams []*stream) error {
	d.say("$ bulkhead apply %s", wrongPolicy)
	before, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	_, err = d.client.Apply(ctx, wrongPolicy, text(wrongPolicy))
	var why *api.Failure
	if err != nil && !errors.As(err, &why) {
		return err
	}
	named := 0
	if why != nil {
		named = len(why.Problems)
		for _, p := range why.Problems {
			d.say("%s", d.paint(faint, p.String()))
		}
	}
	after, err := d.client.Status(ctx)
	if err != nil {
		return err
	}
	if err := allGoOn(ctx, streams); err != nil {
		return err
	}
	same := before.Generation == after.Generation && before.Policy == after.Policy
	d.check(same && named == mistakes(), "refused, %d of %d mistakes named; generation %d is still in force, all %d streams go on",
		named, mistakes(), after.Generation, len(streams))
	return nil
}

// mistakes is how many the policy with mistakes says that it has.
func mistakes() int { return bytes.Count(text(wrongPolicy), []byte("# mistake")) }

// replace applies the second policy, and shows what becomes of the streams and of what was denied before.
func (d *demo) replace(ctx context.Context, streams []*stream) error {
	d.say("$ bulkhead apply %s", secondPolicy)
	begin := testenv.Now()
	applied, err := d.client.Apply(ctx, secondPolicy, text(secondPolicy))
	if err != nil {
		return err
	}
	moment := testenv.Now()
	for _, s := range streams {
		s.mark(moment)
	}
	d.check(applied.Generation == 2, "generation %d is in force after %.1f ms (%s with the request)",
		applied.Generation, applied.MS, milliseconds(moment.Sub(begin)))
	for _, s := range streams {
		if err := s.await(ctx, s.sent.Load, s.before+enough); err != nil {
			return err
		}
	}
	rules, err := d.rulesWhen(ctx, func(l api.RuleList) bool {
		return !slices.ContainsFunc(streams, func(s *stream) bool { return hitsOf(l, s.rule) == 0 })
	})
	if err != nil {
		return err
	}
	opened, err := d.try(ctx, newlyAllowed)
	if err != nil {
		return err
	}
	rows, err := d.results(ctx, streams, rules)
	if err != nil {
		return err
	}
	d.showTable(trafficHeadings, append(rows, opened))
	return nil
}

// results ends the streams and says what became of each. Of the rules of the new policy, the one that decides on a
// stream must have been met.
func (d *demo) results(ctx context.Context, streams []*stream, rules api.RuleList) (rows []row, err error) {
	for _, s := range streams {
		s.finish()
	}
	for _, s := range streams {
		if !s.cut {
			s.settle(ctx)
		}
	}
	starved, err := d.starved(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range streams {
		holds, want, note := s.verdict(starved - d.starvedBefore)
		rows = append(rows, checked(holds && hitsOf(rules, s.rule) > 0,
			s.from, s.to, fmt.Sprintf("%s %d", s.network, s.port), want, note, s.rule))
	}
	return rows, nil
}

// settle waits for what is under way. What does not arrive in time is missing in the account.
func (s *stream) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	_ = s.await(ctx, s.arrived, s.sent.Load())
}

// verdict tells whether all is as it should be with a stream, what is expected of it and what was observed. starved
// is how many frames the gateway has lost meanwhile because the machine gave it no CPU: so many datagrams, which nobody
// sends again, may be missing.
func (s *stream) verdict(starved uint64) (holds bool, want, note string) {
	a, sent := s.account(), s.sent.Load()
	if s.cut {
		after := sent - s.before
		note = fmt.Sprintf("cut, %d of %d sent after apply arrived", a.late, after)
		return a.late == 0 && after > 0, "cut", note
	}
	note = fmt.Sprintf("%d of %d arrived, longest pause %s", sent-a.missing, sent, milliseconds(a.pause))
	if a.missing > 0 && a.missing <= starved {
		note += "; the gateway had no CPU"
	}
	return a.ordered && (a.missing == 0 || s.network == "udp" && a.missing <= starved), "goes on", note
}
