// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
	rules, err := d.client.Rules(ctx)
	if err != nil {
		return err
	}
	opened, err := d.try(ctx, newlyAllowed)
	if err != nil {
		return err
	}
	var rows []row
	for _, s := range streams {
		row, err := s.result(ctx, hitsOf(rules, s.rule))
		if err != nil {
			return err
		}
		rows = append(rows, row)
	}
	d.showTable(trafficHeadings, true, append(rows, opened))
	return nil
}

// result ends the stream and says what became of it. Of the rules of the new policy, the one that decides on the stream
// must have been met.
func (s *stream) result(ctx context.Context, hits uint64) (row, error) {
	s.finish()
	cells := []string{s.from, s.to, fmt.Sprintf("%s %d", s.network, s.port)}
	if s.cut {
		a := s.account()
		after := s.sent.Load() - s.before
		note := fmt.Sprintf("%d sent after it, %d arrived; the last was sent %s before", after, a.late, milliseconds(a.last))
		return row{append(cells, "is cut", note, s.rule), a.late == 0 && after > 0 && hits > 0}, nil
	}
	if err := s.await(ctx, s.arrived, s.sent.Load()); err != nil {
		return row{}, err
	}
	a := s.account()
	note := fmt.Sprintf("all of %d arrived in order; longest pause %s", s.arrived(), milliseconds(a.gap))
	return row{append(cells, "goes on", note, s.rule), a.whole && hits > 0}, nil
}
