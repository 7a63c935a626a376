package campaigns

import (
	"regexp"
	"strings"
	"time"
)

// Bounds of a call. Callers wait on the line: nobody does so for longer.
const (
	minWait     = time.Second
	maxWait     = 30 * time.Second
	maxAttempts = 5
	maxMedia    = 1000
)

func (k *checker) offer(o *Offer) {
	k.oneOf("/offer/mode", o.Mode, []string{ModeAsk, ModeSend}, nil)
	k.media("/offer/prompt", o.Prompt)
	k.key("/offer/accept", o.Accept)
	k.key("/offer/decline", o.Decline)
	if o.Accept == o.Decline && o.Accept != "" {
		k.problem("/offer/decline", "must be another key than /offer/accept (%q)", o.Accept)
	}
	k.optOut(o)
	k.duration("/offer/timeout", o.Timeout, minWait, maxWait)
	if o.Attempts < 1 || o.Attempts > maxAttempts {
		k.problem("/offer/attempts", "is %d; it must be from 1 to %d", o.Attempts, maxAttempts)
	}
}

// optOut checks the key that asks never to be texted again.
func (k *checker) optOut(o *Offer) {
	const pointer = "/offer/opt_out"
	switch o.OptOut {
	case "":
		return
	case o.Accept:
		k.problem(pointer, "must be another key than /offer/accept (%q)", o.Accept)
	case o.Decline:
		k.problem(pointer, "must be another key than /offer/decline (%q)", o.Decline)
	default:
		k.key(pointer, o.OptOut)
	}
	if o.Mode == ModeSend {
		k.problem(pointer, "needs %q as /offer/mode: with %q no key is listened to", ModeAsk, ModeSend)
	}
}

var keyForm = regexp.MustCompile(`^[0-9*#]$`)

func (k *checker) key(pointer, s string) {
	if !keyForm.MatchString(s) {
		k.problem(pointer, "%q is not one key of a telephone: choose 0 to 9, * or #", s)
	}
}

func (k *checker) prompts(p *Prompts) {
	k.media("/prompts/sent", p.Sent)
	k.media("/prompts/failed", p.Failed)
	k.media("/prompts/opted_out", p.OptedOut)
}

// soundForm is what Asterisk takes as a sound, less what a path should not
// hold.
var soundForm = regexp.MustCompile(`^sound:[A-Za-z0-9_./+-]+$`)

// media checks a list of sounds. Asterisk never finishes a playback whose
// scheme it does not know, so no other scheme gets that far.
func (k *checker) media(pointer, list string) {
	if list == "" {
		return
	}
	if len(list) > maxMedia {
		k.problem(pointer, "has %d characters; at most %d are allowed", len(list), maxMedia)
		return
	}
	for uri := range strings.SplitSeq(list, ",") {
		if uri == "" {
			k.problem(pointer, "has a \",\" with nothing before or behind it: take it out")
			continue
		}
		if !soundForm.MatchString(uri) || strings.Contains(uri, "..") {
			k.problem(pointer, "%q is not a sound: write \"sound:\" and the name of a sound file without its ending, several separated by \",\" (\"sound:deflectd/offer\")", uri)
		}
	}
}

func (k *checker) release(r *Release) {
	k.oneOf("/release/action", r.Action, []string{ActionHangup, ActionTransfer}, []string{"hold"})
	k.oneOf("/release/wait_for", r.WaitFor, []string{WaitQueued, WaitAccepted}, []string{"delivered"})
	if r.WaitFor == WaitQueued && r.Action == ActionTransfer {
		k.problem("/release/wait_for", "%q goes with %q as /release/action only: a call that is transferred counts as texted, which is true only once the provider has taken the text; write %q", WaitQueued, ActionHangup, WaitAccepted)
	}
	k.duration("/release/wait", r.Wait, minWait, maxWait)
	k.oneOf("/release/on_timeout", r.OnTimeout, []string{ActionTransfer}, nil)
	k.transfer(&r.Transfer)
}

// What ends in the dialplan's Goto must not end an argument or open an
// expression there.
var (
	contextForm   = regexp.MustCompile(`^[A-Za-z0-9_+.-]{1,79}$`)
	extensionForm = regexp.MustCompile(`^[A-Za-z0-9_+.*#-]{1,79}$`)
)

func (k *checker) transfer(t *Transfer) {
	if *t == (Transfer{}) {
		return
	}
	k.place("/release/transfer/context", t.Context, contextForm, "a context of the dialplan, such as \"queues\": letters, digits and _ + . -")
	k.place("/release/transfer/extension", t.Extension, extensionForm, "an extension of the dialplan, such as \"100\": letters, digits and _ + . - * #")
	if t.Priority < 1 {
		k.problem("/release/transfer/priority", "is %d; priorities begin at 1", t.Priority)
	}
}

// place checks one part of a place in the dialplan.
func (k *checker) place(pointer, s string, form *regexp.Regexp, what string) {
	switch {
	case s == "":
		k.problem(pointer, "is needed where the rest of /release/transfer is given: %s", what)
	case !form.MatchString(s):
		k.problem(pointer, "must name %s", what)
	}
}

// notBuilt refuses what has a name already and no behaviour yet: nothing is
// accepted and then ignored.
func (k *checker) notBuilt(c *Campaign) {
	k.oneOf("/kind", c.Kind, []string{KindService, KindMarketing}, nil)
	fields := []struct {
		pointer string
		given   bool
	}{
		{"/offer/other_number", c.Offer.OtherNumber},
		{"/hours", c.Hours != nil},
		{"/shadow", c.Shadow},
		{"/holdout_percent", c.Holdout != 0},
	}
	for _, f := range fields {
		if f.given {
			k.foreign = true
			k.problem(f.pointer, "is not available yet: leave it out")
		}
	}
}
