package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"deflectd/campaigns"
	"deflectd/config"
)

// order puts the steps in an order in which every number is free when a campaign
// takes it: whoever has it must have given it up before. Deleting comes last, as
// far as that goes. What can never be is a *config.Error at its line.
func (p *plan) order(there []*campaigns.Campaign, file string) error {
	owner := map[string]string{} // of each number
	for _, c := range there {
		for _, n := range c.DNIS {
			owner[n] = c.ID
		}
	}
	if err := p.disputed(owner, file); err != nil {
		return err
	}
	slices.SortStableFunc(p.steps, func(a, b *step) int { return cmp.Compare(a.action.rank(), b.action.rank()) })
	has := map[string][]string{}
	for _, c := range there {
		has[c.ID] = c.DNIS
	}
	waiting := p.steps
	p.steps = nil
	for len(waiting) > 0 {
		var later []*step
		for _, s := range waiting {
			if s.blocked(owner) {
				later = append(later, s)
				continue
			}
			for _, n := range has[s.id] {
				delete(owner, n)
			}
			for _, n := range s.numbers() {
				owner[n] = s.id
			}
			p.steps = append(p.steps, s)
		}
		if len(later) == len(waiting) {
			return circle(later, owner, file)
		}
		waiting = later
	}
	return nil
}

// rank orders actions: what is deleted may be missed, so it goes last.
func (a action) rank() int { return map[action]int{change: 0, create: 1, remove: 2}[a] }

// numbers are those that a campaign answers after the step.
func (s *step) numbers() []string {
	if s.entry == nil {
		return nil
	}
	return s.entry.DNIS
}

// blocked says whether another campaign still has a number that this one takes.
func (s *step) blocked(owner map[string]string) bool {
	return slices.ContainsFunc(s.numbers(), func(n string) bool { return owner[n] != "" && owner[n] != s.id })
}

// disputed finds numbers that two campaigns would answer in the end.
func (p *plan) disputed(owner map[string]string, file string) error {
	wrong := &config.Error{File: file}
	ends := map[string]string{} // who has each number in the end
	touched := map[string]bool{}
	for _, s := range p.steps {
		touched[s.id] = true
	}
	for n, id := range owner {
		if !touched[id] {
			ends[n] = id
		}
	}
	for _, s := range p.steps {
		for i, n := range s.numbers() {
			if other := ends[n]; other != "" && other != s.id {
				wrong.Problems = append(wrong.Problems, s.entry.problem(fmt.Sprintf("/dnis/%d", i), n+" is answered by campaign "+other))
			}
			ends[n] = s.id
		}
	}
	if len(wrong.Problems) == 0 {
		return nil
	}
	slices.SortStableFunc(wrong.Problems, func(a, b config.Problem) int { return cmp.Compare(a.Line, b.Line) })
	return wrong
}

// circle says that campaigns wait for one another's numbers.
func circle(steps []*step, owner map[string]string, file string) error {
	wrong := &config.Error{File: file}
	for _, s := range steps {
		for i, n := range s.numbers() {
			if other := owner[n]; other != "" && other != s.id {
				wrong.Problems = append(wrong.Problems, s.entry.problem(fmt.Sprintf("/dnis/%d", i), strings.Join([]string{
					n, "is still answered by campaign", other, "and that one waits for a number in turn:",
					"apply a file first in which one of them is without it",
				}, " ")))
			}
		}
	}
	return wrong
}
