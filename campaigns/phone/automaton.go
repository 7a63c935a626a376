package phone

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
)

// automaton reads the digits of a number one by one and knows in the end which
// of its patterns match all of them. The numbering plans of libphonenumber are
// regular expressions, and a validity check tries dozens of them, at some 50 µs
// a number; in one automaton it takes one table look-up a digit.
type automaton struct {
	next    []uint16 // by state*10+digit
	matched [][]int  // by state: the patterns that match what was read, ascending
}

// The first two states of every automaton.
const (
	dead  = 0 // no pattern can match any more
	start = 1 // nothing was read yet
)

const maxStates = 1 << 16

// newAutomaton builds the automaton of some regular expressions over digits. It
// fails where one has more in it than libphonenumber's have.
func newAutomaton(patterns []string) (*automaton, error) {
	b := builder{states: make(map[string]uint16), match: make(map[int]int)}
	for _, p := range patterns {
		if err := b.add(p); err != nil {
			return nil, fmt.Errorf("pattern %q: %w", p, err)
		}
	}
	return b.build()
}

// step is the state after one more digit, which must be '0' to '9'.
func (a *automaton) step(state uint16, digit byte) uint16 {
	return a.next[int(state)*10+int(digit-'0')]
}

// read is the state after some digits.
func (a *automaton) read(digits []byte) uint16 {
	state := uint16(start)
	for _, d := range digits {
		state = a.step(state, d)
	}
	return state
}

// begins tells whether any pattern matches a beginning of digits, at least one
// digit long.
func (a *automaton) begins(digits []byte) bool {
	state := uint16(start)
	for _, d := range digits {
		if state = a.step(state, d); len(a.matched[state]) > 0 {
			return true
		}
	}
	return false
}

// builder makes an automaton by the subset construction: a state of it is the
// set of places in all patterns where the reader may be.
type builder struct {
	places []place     // of all patterns, one behind the other
	entry  []int       // by pattern: where it begins
	match  map[int]int // where a pattern ends, and which one
	states map[string]uint16
	queue  [][]int
	a      automaton
}

// place is one instruction of a pattern, which counts from its pattern's first.
type place struct {
	*syntax.Inst
	first int
}

func (p place) out() int { return p.first + int(p.Out) }
func (p place) alt() int { return p.first + int(p.Arg) }

func (b *builder) add(pattern string) error {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return err
	}
	first := len(b.places)
	for i := range prog.Inst {
		switch prog.Inst[i].Op {
		case syntax.InstEmptyWidth:
			return errors.New("has an anchor")
		case syntax.InstMatch:
			b.match[first+i] = len(b.entry)
		default:
		}
		b.places = append(b.places, place{&prog.Inst[i], first})
	}
	b.entry = append(b.entry, first+prog.Start)
	return nil
}

func (b *builder) build() (*automaton, error) {
	b.state(nil) // dead
	b.state(b.closure(b.entry))
	for i := 0; i < len(b.queue); i++ {
		for digit := '0'; digit <= '9'; digit++ {
			var places []int
			for _, n := range b.queue[i] {
				if p := b.places[n]; p.Op != syntax.InstMatch && p.MatchRune(digit) {
					places = append(places, p.out())
				}
			}
			if len(b.states) >= maxStates {
				return nil, fmt.Errorf("has more than %d states", maxStates)
			}
			b.a.next = append(b.a.next, b.state(b.closure(places)))
		}
	}
	return &b.a, nil
}

// state is the number of a set of places, which is new or was met before.
func (b *builder) state(places []int) uint16 {
	var key []byte
	for _, p := range places {
		key = strconv.AppendInt(append(key, ' '), int64(p), 10)
	}
	if n, known := b.states[string(key)]; known {
		return n
	}
	n := uint16(len(b.queue)) //nolint:gosec // build stops at maxStates
	b.states[string(key)] = n
	b.queue = append(b.queue, places)
	var matched []int
	for _, p := range places {
		if pattern, ends := b.match[p]; ends {
			matched = append(matched, pattern)
		}
	}
	slices.Sort(matched)
	b.a.matched = append(b.a.matched, matched)
	return n
}

// closure is all places that can be reached without reading a digit, ascending.
// Only those where a digit is read or a pattern ends are kept.
func (b *builder) closure(places []int) []int {
	seen := make(map[int]bool)
	var found []int
	todo := slices.Clone(places)
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		switch p := b.places[n]; p.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, p.out(), p.alt())
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, p.out())
		case syntax.InstFail:
		default:
			found = append(found, n)
		}
	}
	slices.Sort(found)
	return found
}
