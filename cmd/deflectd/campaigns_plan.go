package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"

	"deflectd/campaigns"
	"deflectd/campaigns/admin/client"
	"deflectd/config"
)

// previewsAtOnce is how many drafts are checked at the same time.
const previewsAtOnce = 4

// action is what is to be done to one campaign. Its words are printed.
type action string

const (
	create action = "create"
	change action = "change"
	remove action = "delete"
)

// done is an action that was carried out.
func (a action) done() string { return strings.TrimSuffix(string(a), "e") + "ed" }

// sign is what stands before a campaign in a difference.
func (a action) sign() string {
	return map[action]string{create: "+", change: "~", remove: "-"}[a]
}

// step is one write to the API.
type step struct {
	action  action
	id      string
	entry   *entry // what it is to be; nil where it is to go
	version int64  // that it is written on top of
	changes []campaigns.Change
}

// plan is what makes the campaigns what a file says.
type plan struct {
	steps     []*step  // in the order of the ids
	unchanged int      // campaigns of the file that are there just so
	left      []string // campaigns that the file does not have, which stay
}

// compare plans how to come from the campaigns that are there to those of a file.
func compare(wanted []*entry, there []*campaigns.Campaign, prune bool) plan {
	var p plan
	rest := make(map[string]*campaigns.Campaign, len(there))
	for _, c := range there {
		rest[c.ID] = c
	}
	for _, e := range wanted {
		now := rest[e.ID]
		delete(rest, e.ID)
		s := &step{action: change, id: e.ID, entry: e}
		if now == nil {
			s.action = create
		} else {
			s.version = now.Version
		}
		s.changes = campaigns.Changes(now, e.Campaign)
		if now != nil && len(s.changes) == 0 {
			p.unchanged++
			continue
		}
		p.steps = append(p.steps, s)
	}
	for _, id := range slices.Sorted(maps.Keys(rest)) {
		if prune {
			p.steps = append(p.steps, &step{action: remove, id: id, version: rest[id].Version})
		} else {
			p.left = append(p.left, id)
		}
	}
	slices.SortFunc(p.steps, func(a, b *step) int { return cmp.Compare(a.id, b.id) })
	return p
}

// check asks the API about every campaign that is to be written, before any is.
// What is wrong comes back as a *config.Error, at its line of the file; what may
// not be meant, as lines to be printed.
func (p plan) check(ctx context.Context, api *client.Client, file string) (warnings []string, err error) {
	answers := make([]client.Preview, len(p.steps))
	group, asking := errgroup.WithContext(ctx)
	group.SetLimit(previewsAtOnce)
	for i, s := range p.steps {
		if s.entry == nil {
			continue
		}
		group.Go(func() (err error) {
			answers[i], err = bounded(asking, func(ctx context.Context) (client.Preview, error) {
				return api.Preview(ctx, s.id, client.PreviewRequest{Draft: s.entry.Campaign})
			})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	wrong := &config.Error{File: file}
	for i, s := range p.steps {
		if s.entry != nil && len(answers[i].DNIS) == len(s.entry.DNIS) {
			s.entry.DNIS = answers[i].DNIS
		}
		for _, found := range answers[i].Errors {
			wrong.Problems = append(wrong.Problems, s.entry.problem(found.Pointer, found.Message))
		}
		for _, found := range answers[i].Warnings {
			if strings.HasPrefix(found.Pointer, "/dnis/") {
				continue // who has the number now: it may be about to give it up, see order
			}
			warnings = append(warnings, fmt.Sprintf("%s: %s: %s", s.id, found.Pointer, found.Message))
		}
	}
	if len(wrong.Problems) > 0 {
		slices.SortStableFunc(wrong.Problems, func(a, b config.Problem) int { return cmp.Compare(a.Line, b.Line) })
		return warnings, wrong
	}
	return warnings, nil
}

// print shows what is to be done.
func (p plan) print(w io.Writer) {
	for _, s := range p.steps {
		fmt.Fprintf(w, "%s %s: %s\n", s.action.sign(), s.id, s.action)
		for _, c := range s.changes {
			fmt.Fprintf(w, "    %s\n", describe(c))
		}
	}
	if len(p.left) > 0 {
		fmt.Fprintf(w, "Not in the file, and left as they are (--prune deletes them): %s\n", strings.Join(p.left, ", "))
	}
}

// summary counts actions in words, those of steps and what stays.
func summary(steps []*step, unchanged int, word func(action) string) string {
	count := map[action]int{}
	for _, s := range steps {
		count[s.action]++
	}
	var parts []string
	for _, a := range []action{create, change, remove} {
		if count[a] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[a], word(a)))
		}
	}
	parts = append(parts, fmt.Sprintf("%d unchanged", unchanged))
	return strings.Join(parts, ", ")
}

// describe is one field before and after.
func describe(c campaigns.Change) string {
	name := strings.TrimPrefix(dotted(c.Pointer), ".")
	switch {
	case c.Before == nil:
		return fmt.Sprintf("%s: %s", name, literal(c.After))
	case c.After == nil:
		return fmt.Sprintf("%s: %s is gone", name, literal(c.Before))
	}
	return fmt.Sprintf("%s: %s → %s", name, literal(c.Before), literal(c.After))
}

// literal writes a JSON value on one line that no terminal obeys.
func literal(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.QuoteToGraphic(v)
	case []any:
		items := make([]string, len(v))
		for i, item := range v {
			items[i] = literal(item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	case map[string]any:
		var items []string
		for _, name := range slices.Sorted(maps.Keys(v)) {
			items = append(items, shown(name)+": "+literal(v[name]))
		}
		return "{" + strings.Join(items, ", ") + "}"
	}
	return fmt.Sprint(v)
}

// isShown says whether a character shows, and does nothing else.
func isShown(r rune) bool { return unicode.IsGraphic(r) }
