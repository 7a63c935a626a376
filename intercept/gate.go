package intercept

import (
	"sync"
	"sync/atomic"
	"time"
)

// When the switch is busy, taking every call makes all of them wait, and the
// callers who wait longest are served worst. Two signs tell that it is busy:
// its answers to commands become slow, and calls pile up between their arrival
// and the first thing that happens to them. Each sign is fine up to a lower
// mark and fully busy at an upper one; in between the share of calls that is
// passed on grows evenly. A passed call costs the switch two quick commands
// and no prompt, so the load falls, the signs fall with it, and the share
// settles where the switch copes. Nothing has to be switched back by hand:
// the passed calls' own commands tell when the switch is quick again.
const (
	// latencyFine is the command latency up to which every call is taken. A
	// switch at its clean maximum answers in 5 to 50 ms.
	latencyFine = 100 * time.Millisecond
	// latencyBusy is the command latency at which none is taken: a call needs
	// five commands at the worst, and nobody may wait five seconds.
	latencyBusy = 600 * time.Millisecond
	// setupFew is how many calls in set-up no slowness can be laid to: a
	// switch that was frozen for a moment is slow on the average for a while,
	// and needs calls to show that it is quick again.
	setupFew = 8
	// setupFine is how many calls in set-up are normal: 120 calls a second,
	// each for a third of a second.
	setupFine = 40
	// setupBusy is the number in set-up at which no more is taken: at 150
	// calls a second it takes a good second to serve them.
	setupBusy = 200
)

// gate counts the calls at hand and says when there are too many.
type gate struct {
	max     int64 // calls at once; none when zero
	latency func() time.Duration

	active  atomic.Int64 // calls at hand
	setting atomic.Int64 // of these, calls to which nothing has happened yet

	mu sync.Mutex
	// credit is what the calls so far have saved up: each adds the share that
	// is to be taken now, and a call is taken when there is a whole one. So
	// exactly that share is taken, spread evenly, and without chance.
	credit float64
}

// enter counts a call in.
func (g *gate) enter() {
	g.setting.Add(1)
	g.active.Add(1)
}

// settled says that something has happened to a call: it was answered or is
// no longer at hand.
func (g *gate) settled() { g.setting.Add(-1) }

// leave counts a call out.
func (g *gate) leave() { g.active.Add(-1) }

// refuses tells whether the call that entered last is one too many.
func (g *gate) refuses() bool {
	share := g.share(g.active.Load(), g.setting.Load())
	if share >= 1 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.credit += share; g.credit < 1 {
		return true
	}
	g.credit--
	return false
}

// share is which share of the calls is taken while so many are at hand, and so many
// of them in set-up: from 0, none, to 1, all.
func (g *gate) share(active, setting int64) float64 {
	if g.max > 0 && active > g.max {
		return 0
	}
	if setting <= setupFew {
		return 1
	}
	return 1 - max(
		between(g.latency().Seconds(), latencyFine.Seconds(), latencyBusy.Seconds()),
		between(float64(setting), setupFine, setupBusy),
	)
}

// between is where x lies between low (0) and high (1).
func between(x, low, high float64) float64 {
	return min(1, max(0, (x-low)/(high-low)))
}
