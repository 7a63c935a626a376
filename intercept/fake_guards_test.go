package intercept

import (
	"context"
	"fmt"
	"sync"
	"time"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// doorman is guards that say what the test says.
type doorman struct {
	landlines bool // every number is one
	night     bool // it is not within the marketing hours
	refusal   guard.Refusal
	later     []guard.Refusal // what else would be refused, were it not for refusal
	err       error
	takes     time.Duration // to look at the history
	timeout   time.Duration // that this may take; lookLimit where it is 0
	during    func()        // what happens meanwhile

	mu      sync.Mutex
	looks   int
	asked   []int    // for how many segments
	refused []string // what was counted
}

func (d *doorman) Permit(c *campaigns.Campaign, n phone.Number) guard.Refusal {
	if list := d.Forbidden(c, n); len(list) > 0 {
		return list[0]
	}
	return guard.Refusal{}
}

func (d *doorman) Forbidden(c *campaigns.Campaign, n phone.Number) (list []guard.Refusal) {
	if n.E164 == dialled {
		list = append(list, guard.Refusal{Reason: guard.ANIOwnNumber})
	}
	if n.Region != "US" {
		list = append(list, guard.Refusal{Reason: guard.CountryNotAllowed})
	}
	if c != nil && d.landlines {
		list = append(list, guard.Refusal{Reason: guard.NotMobile})
	}
	if c != nil && d.night {
		list = append(list, guard.Refusal{Reason: guard.OutsideHours, Limit: guard.LimitMarketingHours, RetryAfter: time.Hour})
	}
	return list
}

func (d *doorman) Look(context.Context, *campaigns.Campaign, phone.Number, int) ([]guard.Refusal, error) {
	if d.refusal.None() {
		return d.later, d.err
	}
	return append([]guard.Refusal{d.refusal}, d.later...), d.err
}

func (d *doorman) Check(ctx context.Context, _ *campaigns.Campaign, _ phone.Number, segments int) (guard.Refusal, error) {
	d.mu.Lock()
	d.looks++
	d.asked = append(d.asked, segments)
	d.mu.Unlock()
	if d.during != nil {
		d.during()
	}
	if d.takes > 0 {
		select {
		case <-ctx.Done():
			return guard.Refusal{}, fmt.Errorf("%w: %w", guard.ErrStore, ctx.Err())
		case <-time.After(d.takes):
		}
	}
	return d.refusal, d.err
}

// lookLimit is how long a look at the history may take in most tests.
const lookLimit = 200 * time.Millisecond

func (d *doorman) Timeout() time.Duration {
	if d.timeout > 0 {
		return d.timeout
	}
	return lookLimit
}

func (d *doorman) Refused(r guard.Refusal, at string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.refused = append(d.refused, at+" "+string(r.Reason)+" "+r.Limit)
}

// wishes is a list of opt-outs.
type wishes struct {
	err  error
	slow bool // the store never answers

	mu           sync.Mutex
	added, later []optout.Entry
}

func (w *wishes) Add(ctx context.Context, e optout.Entry) (bool, error) {
	if w.slow {
		<-ctx.Done()
		return false, fmt.Errorf("%w: %w", optout.ErrStore, ctx.Err())
	}
	if w.err != nil {
		return false, w.err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.added = append(w.added, e)
	return true, nil
}

func (w *wishes) Later(e optout.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.later = append(w.later, e)
}

// senders are what texts come from: nothing, where it is false.
type senders bool

func (s senders) Sends(*campaigns.Campaign) bool { return bool(s) }
