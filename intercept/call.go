package intercept

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// How long each step may take.
const (
	// commandLimit bounds a command of the script.
	commandLimit = 1500 * time.Millisecond
	// letGoLimit bounds each command of letting a call go.
	letGoLimit = time.Second
	// wayBack is what letting a call go takes at most: the variables, and the
	// way itself. It is kept free of all that comes before.
	wayBack = 2 * letGoLimit
	// outLimit is in how much time after the first command that the switch does
	// not answer the call is out of our hands. Nobody is to be kept for five
	// seconds by what is broken; the rest is for finding out why a call has gone.
	outLimit = 4500 * time.Millisecond
	// promptLimit bounds a prompt: one whose end is never told must not hold
	// the caller for ever.
	promptLimit = 2 * time.Minute
	// goneLimit is what the switch gets to say why a channel has gone, when a
	// command, or a prompt that ended too soon, was the first to find out.
	goneLimit = 200 * time.Millisecond
)

// playFinished is the state of a playback that was heard to its end, or was
// stopped (Asterisk REST Interface, Playback.state). Any other, such as
// failed, means that it was not heard.
const playFinished = "done"

// call is one call at hand. Its goroutine alone touches it, except for what mu
// guards.
type call struct {
	i      *Interceptor
	id     string
	ch     Channel
	ctx    context.Context // of commands; it does not end
	over   chan struct{}   // closed when the call is gone and recorded
	events <-chan arilib.Event
	states <-chan message.State // of its text; nil when there is none, or no more news
	cut    <-chan struct{}      // closed when live calls are to end now
	ended  <-chan struct{}      // closed when the context of Handle has ended
	timer  *time.Timer

	draining bool // it arrived when no more calls were taken
	settled  bool // something has happened to it
	who      identity
	numbers  numbers
	campaign *campaigns.Campaign

	choice   choice
	heeded   bool   // the wish never to be texted is written, or will be
	prompt   string // which prompt was played last
	playing  string // the playback that may run: it is to be stopped before the call is let go
	speaking bool   // a prompt is being heard
	unheard  bool   // the last prompt was not heard
	text     string // the message promised to the caller; "" while there is none
	state    message.State
	asked    time.Time // when the text was asked for

	// out is when the call must be out of our hands; zero while the switch
	// answers.
	out time.Time
	// doubted is the prompt that failed last: it is counted once it is known
	// that it did not fail because the call ended. doubtedAt is when it failed.
	doubted   string
	doubtedAt time.Time

	// What may befall it at any time.
	hungUp   bool // the caller is gone
	left     bool // the switch took it back: it is in the dialplan
	lost     bool // its events are lost
	lostBy   report.Reason
	cutShort bool // it is to end now

	mu     sync.Mutex
	record record
}

// run is the script of a call.
func (c *call) run() (end ending) {
	defer func() {
		if r := recover(); r != nil {
			c.i.fault(c, r)
			end = ending{report.Failed, report.Internal, letGo, ""}
		}
	}()
	if end := c.decide(); end != nil {
		return *end
	}
	if end := c.answer(); end != nil {
		return *end
	}
	if c.campaign.Offer.Mode == campaigns.ModeAsk {
		if end := c.offer(); end != nil {
			return *end
		}
	}
	if end := c.send(); end != nil {
		return *end
	}
	if c.campaign.Offer.Mode == campaigns.ModeSend {
		c.play(c.campaign.Offer.Prompt, "offer")
	}
	return c.release()
}

// decide looks the call up and judges it; nil when it is intercepted.
func (c *call) decide() *ending {
	began := time.Now()
	end := c.judge()
	c.i.metrics.decision.Observe(time.Since(began).Seconds())
	if end == nil {
		c.step("intercepted", "")
	}
	return end
}

func (c *call) judge() *ending {
	c.numbers = c.i.rules.read(&c.who)
	f := c.i.facts(&c.numbers, c.draining)
	c.campaign = f.campaign
	v := decide(&f)
	c.describe()
	if v == intercepted && !c.who.presented {
		// One request, and only for a call that all else speaks for.
		if end := c.askPresentation(); end != nil {
			return end
		}
		f.withheld = prohibited(c.who.presentation)
		c.numbers.withheld = f.withheld
		c.describe()
		v = decide(&f)
	}
	if v == intercepted {
		if end := c.askHistory(&f); end != nil {
			return end
		}
		v = decide(&f)
	}
	if v == intercepted && c.i.gate.refuses() {
		v = verdict{report.Passed, report.Overload}
	}
	if v == intercepted {
		return nil
	}
	c.countRefusal(&f, v)
	return &ending{v.outcome, v.reason, letGo, ""}
}

// facts are all that is known of a call by its numbers and by how things stand,
// but for the history.
func (i *Interceptor) facts(n *numbers, draining bool) facts {
	f := i.rules.look(n)
	f.draining = draining
	f.storeDown = i.storeUp != nil && !i.storeUp()
	if f.campaign != nil {
		// Where the text need not be taken before the call is released, it may
		// as well wait in the outbox for the provider to come back.
		f.providerDown = waits(&f.campaign.Release) && !i.texts.ProviderUp()
	}
	return f
}

// askPresentation asks the switch whether the caller's number may be used. A
// number of which that is not known is not texted.
func (c *call) askPresentation() *ending {
	var presentation string
	err := c.command(commandLimit, func(ctx context.Context) (err error) {
		presentation, err = c.ch.Variable(ctx, presentationVariable)
		return err
	})
	if err != nil {
		return c.broken("presentation", err)
	}
	c.who.presentation, c.who.presented = presentation, true
	return nil
}

// answer answers the call.
func (c *call) answer() *ending {
	c.drainEvents()
	if c.interrupted() {
		return c.interruption()
	}
	if err := c.command(commandLimit, c.ch.Answer); err != nil {
		return c.broken("answer", err)
	}
	now := time.Now()
	c.note(func(r *record) {
		r.Answered = now
		c.i.metrics.answer.Observe(now.Sub(r.Started).Seconds())
	})
	c.step("answered", "")
	c.settle()
	return nil
}

// broken is the end of a call on which the switch did not do as told.
func (c *call) broken(what string, err error) *ending {
	if c.interrupted() {
		return c.interruption()
	}
	c.step(what+" failed", cause(err))
	c.i.log.Warn("the switch did not do as told", "call", c.id, "campaign", c.campaign.ID,
		"node", c.ch.Node(), "command", what, "error", err)
	return &ending{report.Failed, report.SwitchLost, letGo, ""}
}

// cause puts an error into words that hold no data.
func cause(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case refused(err):
		return "refused"
	default:
		return "the connection broke"
	}
}

// offer asks whether the caller wants the text, as often as the campaign says.
func (c *call) offer() *ending {
	o := &c.campaign.Offer
	decided := func() bool { return c.choice != undecided }
	for range max(1, o.Attempts) {
		c.drainEvents() // a key pressed by now spares the prompt
		if !decided() && !c.interrupted() {
			c.ask(o, decided)
		}
		switch {
		case c.hungUp && c.choice == accepts:
			// Who presses the key and hangs up has asked for the text.
			return nil
		case c.choice == optsOut:
			return c.optOut() // whatever else has happened
		case c.interrupted():
			return c.interruption()
		case c.choice == declines:
			return &ending{report.Declined, report.KeypressDecline, letGo, ""}
		case c.choice == accepts:
			c.stopPrompt()
			return nil
		case c.unheard && c.faulted():
			return &ending{report.Failed, report.SwitchLost, letGo, ""}
		case c.unheard:
			return &ending{report.Failed, report.PromptFailed, letGo, ""}
		}
	}
	return &ending{report.Declined, report.NoKeypress, letGo, ""}
}

// ask plays the offer and waits for a key.
func (c *call) ask(o *campaigns.Offer, decided func() bool) {
	c.play(o.Prompt, "offer")
	c.await(promptLimit, func() bool { return decided() || !c.speaking })
	if c.speaking && !decided() && !c.interrupted() {
		c.promptFailed("its end was never told")
	}
	if !c.unheard {
		c.await(time.Duration(o.Timeout), decided)
	}
}

// play starts a prompt in the place of the one that plays; nothing does where
// the campaign has none, or where the switch has stopped to answer. When it
// cannot be played, unheard is set.
func (c *call) play(media, which string) {
	c.unheard = false
	if c.interrupted() {
		return
	}
	c.stopPrompt()
	if media == "" || c.faulted() {
		return
	}
	c.prompt, c.speaking = which, true
	err := c.command(commandLimit, func(ctx context.Context) (err error) {
		// The id counts also beside an error: what may play must be stopped
		// before the call can be let go.
		c.playing, err = c.ch.Play(ctx, strings.Split(media, ",")...)
		return err
	})
	switch {
	case err == nil:
		c.step("prompt", which)
	case c.interrupted():
		c.speaking = false
	case !refused(err):
		// It is not the prompt that is at fault.
		c.speaking, c.unheard = false, true
		c.step("play failed", cause(err))
	case c.speaking:
		c.promptFailed(cause(err))
	}
}

// playOut lets the prompt that plays come to its end.
func (c *call) playOut(limit time.Duration) {
	c.await(limit, func() bool { return !c.speaking })
}

// promptFailed notes a prompt that was not heard. When a call ends, so do its
// prompts, and that may be told first: a prompt is not counted as failed when
// the call turns out to have ended with it.
func (c *call) promptFailed(why string) {
	c.countPrompt()
	c.speaking, c.unheard = false, true
	c.doubted, c.doubtedAt = c.prompt, time.Now()
	c.step("prompt failed", c.prompt+": "+why)
}

// countPrompt counts the prompt that failed last.
func (c *call) countPrompt() {
	if c.doubted != "" {
		c.i.metrics.promptsFailed.WithLabelValues(c.doubted).Inc()
		c.doubted = ""
	}
}

// stopPrompt stops the prompt that plays. Where that fails it is tried again
// before the call is let go.
func (c *call) stopPrompt() {
	c.speaking = false
	if c.playing == "" || c.hungUp || c.left {
		return
	}
	playback := c.playing
	err := c.command(letGoLimit, func(ctx context.Context) error { return c.ch.Stop(ctx, playback) })
	if err == nil {
		c.playing = ""
	}
}

// command carries out one command of the channel. When the channel turns out
// to be gone, it finds out why.
func (c *call) command(limit time.Duration, do func(context.Context) error) error {
	err := c.try(limit, wayBack, do)
	if gone(err) {
		c.whyGone()
	}
	return err
}

// try carries out one command of the channel, and no more. The first that the
// switch does not answer sets the time by which the call is to be out of our
// hands, of which keep is left for others.
func (c *call) try(limit, keep time.Duration, do func(context.Context) error) error {
	began := time.Now()
	if limit = c.within(limit, keep); limit <= 0 {
		return context.DeadlineExceeded
	}
	ctx, cancel := context.WithTimeout(c.ctx, limit)
	defer cancel()
	err := do(ctx)
	if err == nil {
		return nil
	}
	if !c.faulted() && !gone(err) && !refused(err) {
		c.out = began.Add(outLimit)
	}
	c.drainEvents() // they may tell why
	return err
}

// faulted tells whether the switch has failed to answer.
func (c *call) faulted() bool { return !c.out.IsZero() }

// within is how much of limit there is time for when keep is to be left.
func (c *call) within(limit, keep time.Duration) time.Duration {
	if !c.faulted() {
		return limit
	}
	return max(0, min(limit, time.Until(c.out)-keep))
}

// settle says that something has happened to the call.
func (c *call) settle() {
	if !c.settled {
		c.settled = true
		c.i.gate.settled()
	}
}
