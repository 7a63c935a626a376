package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/deploy/lab"
)

// settling bounds what is waited for at the end: the leases of the dead (30 s),
// what the provider has put off, and what is sent once more where it is unknown
// (after a minute without a report), one after the other.
const settling = 4 * time.Minute

// fate is all that is known of one message.
type fate struct {
	message.Message
	requests []lab.TextRequest // that the provider got for it
	taken    int               // of those
	refused  int
	reported []message.State // that the provider reports of those taken, if anything
	resent   int             // how often it was queued again because it was unknown
}

// audit waits until every text is in its final state, or in one that nothing
// more can be heard about, and holds all of them to what is promised:
//
//   - what was promised (202) has a record, and one key has one message;
//   - the provider got each text at most once, but for those that the campaign
//     has sent once more because they were unknown;
//   - every state agrees with what the provider knows;
//   - what is unknown is so because a worker died with it, or because the
//     provider's answer was ambiguous.
func (c *crash) audit(t *testing.T) {
	t.Helper()
	var messages []message.Message
	eventuallyWithin(t, settling, func() error {
		time.Sleep(500 * time.Millisecond) // looking costs the daemon something
		var err error
		if messages, err = c.messages(t); err != nil {
			return err
		}
		return c.open(t, messages)
	})
	requested := c.requested()
	fates := make([]fate, len(messages))
	for i, m := range messages {
		fates[i] = c.fateOf(c.whole(t, m.ID), requested[m.ID])
	}
	sum := newTotals(c, fates)
	t.Log(sum.String())

	require.Len(t, fates, *crashTexts, "each text that was asked for is one message")
	for _, f := range fates {
		n, promised := c.asking.promised[f.ID]
		assert.True(t, promised, "message %s was promised to nobody", f.ID)
		assert.Equal(t, recipient(n), f.To, "message %s", f.ID)
		assert.Equal(t, c.campaignOf(n), f.Campaign, "message %s", f.ID)
		require.NoError(t, f.judge(c.resends.ID), "%+v\n%+v", f.Message, f.requests)
		require.NoError(t, c.excuses(f), "%+v", f.Message)
	}
	for _, r := range c.provider.Requests() {
		assert.Contains(t, c.asking.promised, r.Reference, "the provider got what was promised to nobody")
	}
	assert.LessOrEqual(t, sum.unknown, sum.inHand+sum.ambiguous)
	if c.long { // else it has proved nothing
		assert.Positive(t, sum.counts["were unknown once: worker_lost"], "no worker died with a text in hand")
		assert.Positive(t, sum.counts["sent once more because they were unknown"])
	}
	eventually(t, func() error { // the figures are read every few seconds
		if queued := c.metric(t, `deflectd_outbox_messages{state="queued"}`); queued != 0 {
			return fmt.Errorf("%.0f texts are queued", queued)
		}
		return nil
	})
	log := (&spawned{log: c.log}).said()
	assert.Empty(t, aNumber.FindString(log), "a number was logged")
	assert.NotContains(t, log, "DATA RACE")
	assert.NotContains(t, log, "panic:")
}

// messages are all there are, without their histories. The error says that the
// daemon is too busy to say.
func (c *crash) messages(t *testing.T) (all []message.Message, err error) {
	t.Helper()
	for query := firstPage(nil); ; {
		var found struct {
			Items []message.Message `json:"items"`
			Next  string            `json:"next_cursor"`
		}
		if err := c.look(t, "/v1/messages?"+query.Encode(), &found); err != nil {
			return nil, err
		}
		all = append(all, found.Items...)
		if found.Next == "" {
			return all, nil
		}
		query = firstPage(url.Values{"cursor": {found.Next}})
	}
}

// whole is a message with its history.
func (c *crash) whole(t *testing.T, id string) (m message.Message) {
	t.Helper()
	eventually(t, func() error { return c.look(t, "/v1/messages/"+id, &m) })
	return m
}

// look reads what the API has; on a busy machine it may have to be asked again.
func (c *crash) look(t *testing.T, path string, v any) error {
	t.Helper()
	a := c.api(t, http.MethodGet, path, nil)
	if a.status == http.StatusServiceUnavailable {
		return fmt.Errorf("%s answers %s", path, a.body)
	}
	a.into(t, http.StatusOK, v)
	return nil
}

// requested are the requests that the provider got, by message.
func (c *crash) requested() map[string][]lab.TextRequest {
	requests := map[string][]lab.TextRequest{}
	for _, r := range c.provider.Requests() {
		requests[r.Reference] = append(requests[r.Reference], r)
	}
	return requests
}

func (c *crash) fateOf(m message.Message, requests []lab.TextRequest) fate {
	f := fate{Message: m, requests: requests}
	c.moody.mu.Lock()
	defer c.moody.mu.Unlock()
	for _, r := range requests {
		if r.Taken {
			f.taken++
			if d := c.moody.reports[r.ID]; d.state != "" {
				f.reported = append(f.reported, d.state)
			}
		}
		if r.Status == http.StatusUnprocessableEntity {
			f.refused++
		}
	}
	for i, change := range m.History {
		if change.State == message.Queued && i > 0 && m.History[i-1].State == message.Unknown {
			f.resent++
		}
	}
	return f
}

// final says whether the provider reports that the text arrived, or did not.
func (f fate) final() bool {
	return slices.Contains(f.reported, message.Delivered) || slices.Contains(f.reported, message.Failed)
}

// open complains while something may still happen to a text.
func (c *crash) open(t *testing.T, messages []message.Message) error {
	t.Helper()
	if reports := c.provider.ReportsOpen(); reports > 0 {
		return fmt.Errorf("%d delivery reports are not taken yet", reports)
	}
	requested, open := c.requested(), map[message.State]int{}
	for _, m := range messages {
		f := c.fateOf(m, requested[m.ID])
		if m.State == message.Unknown && m.Campaign == c.resends.ID {
			f = c.fateOf(c.whole(t, m.ID), f.requests)
		}
		switch {
		case f.State.Final():
		case f.State == message.Accepted && !f.final():
		case f.State == message.Unknown && !f.final() && (f.Campaign != c.resends.ID || f.resent > 0):
		default:
			open[f.State]++
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("texts are still open: %v", open)
	}
	return nil
}

// judge complains if what is recorded of the message is not what the provider
// knows of it.
func (f fate) judge(resends string) error {
	if f.resent > 0 && f.Campaign != resends {
		return fmt.Errorf("it was sent once more though its campaign forbids that")
	}
	if f.resent > 1 || f.taken > 1+f.resent {
		return fmt.Errorf("the provider took it %d times, and it was sent once more %d times", f.taken, f.resent)
	}
	if f.final() {
		if !slices.Contains(f.reported, f.State) {
			return fmt.Errorf("it is %s, and the provider reports %v", f.State, f.reported)
		}
		return nil
	}
	switch f.State {
	case message.Accepted:
		if f.taken == 0 {
			return fmt.Errorf("it is accepted, and the provider never took it")
		}
	case message.Failed:
		if f.refused == 0 || f.taken > 0 {
			return fmt.Errorf("it failed, and the provider refused it %d times and took it %d times", f.refused, f.taken)
		}
	case message.Unknown:
		if slices.Contains(f.reported, message.Accepted) {
			return fmt.Errorf("it is unknown, and the provider reports that it is on its way")
		}
		return f.doubtful()
	default:
		return fmt.Errorf("it is %s, and nothing that the provider knows makes it so", f.State)
	}
	return nil
}

// excuses complains about a text whose worker is said to be lost though none
// died with it, or before its lease can have run out.
func (c *crash) excuses(f fate) error {
	for i, change := range f.History {
		if change.State != message.Unknown || change.Cause != "worker_lost" {
			continue
		}
		begun := f.History[i-1].At
		if took := change.At.Sub(begun); took < leased {
			return fmt.Errorf("its worker was given up after %s", took)
		}
		if c.killsBetween(begun, change.At) == 0 {
			return fmt.Errorf("its worker is said to be lost, and none was killed between %s and %s", begun, change.At)
		}
	}
	return nil
}

// killsBetween counts the deflectds that died in that time, give or take what
// the clocks of Redis' records round off and a kill takes.
func (c *crash) killsBetween(from, to time.Time) (n int) {
	for _, at := range c.killed {
		if !at.Before(from.Add(-time.Second)) && !at.After(to) {
			n++
		}
	}
	return n
}

// doubtful complains about a text that is unknown for no reason.
func (f fate) doubtful() error {
	if f.Reason == "worker_lost" {
		return nil
	}
	if len(f.requests) == 0 {
		return fmt.Errorf("it is unknown (%s), and the provider never heard of it", f.Reason)
	}
	if f.resent > 0 && f.refused > 0 {
		return nil // of the attempt before that nobody knows
	}
	last := f.requests[len(f.requests)-1]
	if last.Status != 0 && last.Status != http.StatusInternalServerError {
		return fmt.Errorf("it is unknown (%s), and the provider answered %d", f.Reason, last.Status)
	}
	return nil
}

// totals are the counts of a run.
type totals struct {
	*crash
	states    map[string]int
	unknown   int // how often messages became unknown
	inHand    int // how often a text was being sent when a deflectd was killed, at most
	ambiguous int // answers
	counts    map[string]int
}

func newTotals(c *crash, fates []fate) totals {
	s := totals{crash: c, states: map[string]int{}, counts: map[string]int{}}
	for _, f := range fates {
		name := string(f.State)
		if f.State == message.Unknown {
			name += " (" + f.Reason + ")"
		}
		s.states[name]++
		for i, change := range f.History {
			if change.State == message.Sending {
				until := time.Now()
				if i+1 < len(f.History) {
					until = f.History[i+1].At
				}
				s.inHand += min(1, c.killsBetween(change.At, until))
			}
			if change.State == message.Unknown {
				s.unknown++
				s.counts["were unknown once: "+change.Cause]++
			}
		}
		s.counts["sent once more because they were unknown"] += f.resent
		if f.taken == 0 {
			s.counts["never taken"]++
		}
		if f.taken > 1 {
			s.counts["taken twice, of those sent once more"]++
		}
	}
	for _, r := range c.provider.Requests() {
		switch r.Status {
		case 0, http.StatusInternalServerError:
			s.ambiguous++
			s.counts[fmt.Sprintf("requests without an answer or with 500, taken %v", r.Taken)]++
		default:
			s.counts[fmt.Sprintf("requests answered %d", r.Status)]++
		}
	}
	return s
}

func (s totals) String() string {
	var b strings.Builder
	a := s.asking
	fmt.Fprintf(&b, "deflectd killed %d times, Redis %d times; %d texts asked for with %d requests, %d of them without a 202; %d keys used again\n",
		s.kills, s.restarts, len(a.promised), a.requests.Load(), a.unanswered.Load(), a.again.Load())
	fmt.Fprintf(&b, "became unknown: %d, at most %d that were being sent when a deflectd was killed + %d ambiguous answers\n",
		s.unknown, s.inHand, s.ambiguous)
	for _, counts := range []map[string]int{s.states, s.counts} {
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			fmt.Fprintf(&b, "  %5d %s\n", counts[name], name)
		}
	}
	return b.String()
}
