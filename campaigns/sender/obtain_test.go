package sender_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
)

const (
	one = "+14155550001"
	two = "+14155550002"
)

func TestSearch(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	for name, c := range map[string]struct {
		query sender.Query
		want  []string
	}{
		"country":  {sender.Query{Country: "nl", Limit: 2}, []string{"+31970100001", "+31970100002"}}, // the first cannot text
		"area":     {sender.Query{Country: "US", Area: "415555003", Limit: 3}, []string{"+14155550030", "+14155550031", "+14155550032"}},
		"pattern":  {sender.Query{Country: "US", Pattern: "7777", Match: "end"}, []string{"+14155557777"}},
		"anywhere": {sender.Query{Country: "US", Pattern: "5551234"}, []string{"+14155551234"}},
		"feature":  {sender.Query{Country: "US", Features: []string{"mms"}}, []string{}},
		"voice":    {sender.Query{Country: "US", Features: []string{"voice"}, Limit: 1}, []string{one}},
		"none":     {sender.Query{Country: "US", Area: "212"}, []string{}},
		"nowhere":  {sender.Query{Country: "FR"}, []string{}},
	} {
		found, err := s.Search(t.Context(), c.query)
		require.NoError(t, err, name)
		got := []string{}
		for _, a := range found {
			got = append(got, a.Number)
			require.Contains(t, a.Features, "sms", name)
		}
		require.Equal(t, c.want, got, name)
	}
	found, err := s.Search(t.Context(), sender.Query{Country: "US", Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []sender.Available{{
		Number: one, Country: "US", Features: []string{"sms", "voice"}, Type: "mobile", Price: 1.5, Currency: "EUR", Months: 1,
	}}, found)

	_, err = s.Search(t.Context(), sender.Query{Country: "ZZ", Area: "1"})
	require.ErrorIs(t, err, sender.ErrQuery)
	_, err = s.Search(t.Context(), sender.Query{Country: "U"})
	require.ErrorIs(t, err, sender.ErrQuery)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "GET", Status: 401, Code: 2}, lab.NumberBehaviour{Method: "GET", Status: 500})
	_, err = s.Search(t.Context(), sender.Query{Country: "US"})
	require.ErrorIs(t, err, sender.ErrNotAllowed)
	_, err = s.Search(t.Context(), sender.Query{Country: "US"})
	require.ErrorIs(t, err, sender.ErrProvider)
	require.NotErrorIs(t, err, sender.ErrUncertain)
	require.NoError(t, r.provider.Refuse())
	_, err = s.Search(t.Context(), sender.Query{Country: "US"})
	require.ErrorIs(t, err, sender.ErrProvider)
	_, err = sender.New(sender.Options{}).Search(t.Context(), sender.Query{Country: "US"})
	require.ErrorIs(t, err, sender.ErrNotAllowed)
}

func TestObtain(t *testing.T) {
	r := newRig(t)
	a, b := r.run(r.daemon()), r.run(r.daemon())
	eventually(t, a.Ready)
	require.False(t, a.Any())
	require.False(t, a.Sends(&campaigns.Campaign{}))
	require.True(t, a.Sends(&campaigns.Campaign{Originator: "Acme"}))

	begun := time.Now().Add(-time.Second)
	got, err := a.Obtain(t.Context(), one, "us", "ops", "")
	require.NoError(t, err)
	require.WithinRange(t, got.Since, begun, time.Now().Add(time.Second))
	require.Equal(t, sender.Sender{
		ID: one, Kind: "number", Country: "US", Features: []string{"sms", "voice"}, Source: "obtained", Since: got.Since, By: "ops",
	}, got)
	require.True(t, a.Any(), "at once where it was obtained")
	require.Equal(t, one, a.For(&campaigns.Campaign{}, "", phone.Number{E164: "+12125550132", Region: "US"}))
	eventually(t, b.Any)
	require.True(t, b.Own(one))

	list, err := b.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sender.Sender{got}, list)
	require.Equal(t, []string{one}, r.provider.OwnNumbers())
	require.Zero(t, r.pending())

	_, err = b.Obtain(t.Context(), one, "US", "ops", "")
	require.ErrorIs(t, err, sender.ErrTaken)
	require.Equal(t, 1, r.bought())
}

func TestObtainRefused(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.TakeNumber(two)
	ctx := t.Context()
	for name, c := range map[string]struct {
		number, country string
		behaviour       lab.NumberBehaviour
		want            error
	}{
		"no number":           {"4155550001", "US", lab.NumberBehaviour{}, sender.ErrQuery},
		"no country":          {one, "USA", lab.NumberBehaviour{}, sender.ErrQuery},
		"somebody else's":     {two, "US", lab.NumberBehaviour{}, sender.ErrUnavailable},
		"of another country":  {one, "NL", lab.NumberBehaviour{}, sender.ErrUnavailable},
		"it cannot text":      {"+14155551000", "US", lab.NumberBehaviour{}, sender.ErrQuery},
		"gone meanwhile":      {one, "US", lab.NumberBehaviour{Status: 404, Code: 20}, sender.ErrUnavailable},
		"no balance":          {one, "US", lab.NumberBehaviour{Status: 422, Code: 25}, sender.ErrNotAllowed},
		"papers wanted":       {one, "US", lab.NumberBehaviour{Status: 403}, sender.ErrNotAllowed},
		"too many":            {one, "US", lab.NumberBehaviour{Status: 429}, sender.ErrProvider},
		"not now":             {one, "US", lab.NumberBehaviour{Status: 503}, sender.ErrProvider},
		"away before the buy": {one, "US", lab.NumberBehaviour{Method: http.MethodGet, Status: 500}, sender.ErrProvider},
	} {
		if c.behaviour.Status != 0 {
			r.provider.ThenNumbers(c.behaviour)
		}
		_, err := s.Obtain(ctx, c.number, c.country, "ops", "key "+name)
		require.ErrorIs(t, err, c.want, name)
		require.NotErrorIs(t, err, sender.ErrUncertain, name)
		require.Zero(t, r.pending(), name)
	}
	require.Empty(t, r.provider.OwnNumbers())
	require.False(t, s.Any())
	// A refusal leaves no trace of its key.
	_, err := s.Obtain(ctx, one, "US", "ops", "key no balance")
	require.NoError(t, err)
}

func TestTheSameKeyIsTheSameRequest(t *testing.T) {
	r := newRig(t)
	a, b := r.daemon(), r.daemon()
	first, err := a.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	second, err := b.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, first, second)
	_, err = b.Obtain(t.Context(), two, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrConflict)
	_, err = b.Obtain(t.Context(), one, "US", "ops", "other")
	require.ErrorIs(t, err, sender.ErrTaken)
	require.NoError(t, b.Release(t.Context(), one, "ops", true))
	third, err := b.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, first, third, "whatever became of it since")
	require.Equal(t, 1, r.bought())
	require.Empty(t, r.provider.OwnNumbers())
}

func TestOneOfManyDaemonsBuys(t *testing.T) {
	r := newRig(t)
	const n = 8
	for _, key := range []string{"", "k"} {
		number := fmt.Sprintf("+1415555%04d", 10+len(key))
		answers := make(chan error, n)
		var begin sync.WaitGroup
		begin.Add(1)
		for range n {
			s := r.daemon()
			go func() {
				begin.Wait()
				_, err := s.Obtain(t.Context(), number, "US", "ops", key)
				answers <- err
			}()
		}
		begin.Done()
		done := 0
		for range n {
			if err := <-answers; err == nil {
				done++
			} else if key != "" {
				require.NoError(t, err, "with a key all have the same answer")
			} else if !errorsIsAny(err, sender.ErrBusy, sender.ErrTaken) {
				require.NoError(t, err)
			}
		}
		if key == "" {
			require.Equal(t, 1, done)
		}
	}
	require.Equal(t, 2, r.bought())
	require.Len(t, r.ids(r.daemon()), 2)
	require.Zero(t, r.pending())
}

func TestANumberTheAccountHasIsTakenOver(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.GiveNumber("+4930123456", "DE", true)
	got, err := s.Obtain(t.Context(), "+4930123456", "DE", "ops", "")
	require.NoError(t, err)
	require.Equal(t, "DE", got.Country)
	r.provider.GiveNumber("+4930123457", "DE", false)
	_, err = s.Obtain(t.Context(), "+4930123457", "DE", "ops", "")
	require.ErrorIs(t, err, sender.ErrQuery, "it cannot text")
	require.Empty(t, r.provider.NumberRequests())
	// Many numbers are looked through page by page.
	for i := range 120 {
		r.provider.GiveNumber(fmt.Sprintf("+3197010%04d", 5000+i), "NL", true)
	}
	_, err = s.Obtain(t.Context(), "+31970105119", "NL", "ops", "")
	require.NoError(t, err)
	require.Empty(t, r.provider.NumberRequests())
}

func TestAnAnswerThatIsLostIsLookedUp(t *testing.T) {
	for name, b := range map[string]lab.NumberBehaviour{
		"500":      {Method: "POST", Status: 500, Done: true},
		"hangs up": {Method: "POST", HangUp: true, Done: true},
		"conflict": {Method: "POST", Status: 409, Done: true},
	} {
		r := newRig(t)
		s := r.daemon()
		r.provider.ThenNumbers(b)
		got, err := s.Obtain(t.Context(), one, "US", "ops", "k")
		require.NoError(t, err, name)
		require.Equal(t, one, got.ID)
		require.Equal(t, []string{one}, r.ids(s))
		require.Equal(t, 1, r.bought())
	}
}

func TestAnAnswerThatIsLostWithTheProviderIsLookedUpLater(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	// The look before it, the search, and the look after it.
	r.provider.ThenNumbers(
		lab.NumberBehaviour{Method: "POST", HangUp: true, Done: true},
		lab.NumberBehaviour{Method: "GET"}, lab.NumberBehaviour{Method: "GET"}, lab.NumberBehaviour{Method: "GET", Status: 500},
	)
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	require.ErrorIs(t, err, sender.ErrProvider)
	require.Empty(t, r.ids(s))
	require.Equal(t, 1, r.pending())

	s = r.run(r.daemon())
	eventually(t, s.Any)
	list, err := s.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "ops", list[0].By)
	require.Equal(t, 1, r.bought())
	// And the key knows.
	got, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, list[0], got)
}

func TestARepeatedRequestEndsWhatTheFirstBegan(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.ThenNumbers(
		lab.NumberBehaviour{Method: "POST", HangUp: true, Done: true},
		lab.NumberBehaviour{Method: "GET"}, lab.NumberBehaviour{Method: "GET"}, lab.NumberBehaviour{Method: "GET", Status: 500},
	)
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	_, err = s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, 1, r.bought())
	require.Zero(t, r.pending())
}

func TestANumberThatNeverCameIsGivenUp(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "POST", HangUp: true})
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	require.Equal(t, 1, r.pending())
	r.age(one, time.Hour)
	r.run(s)
	eventually(t, func() bool { return r.pending() == 0 })
	require.False(t, s.Any())
	require.Contains(t, r.logs.String(), "was being obtained was not")
	// It can be wanted again.
	_, err = s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
}

// dying rents as a daemon does that dies when the provider has said yes.
type dying struct {
	sender.Numbers
	rented chan struct{}
	wake   chan struct{}
}

func (d dying) Obtain(ctx context.Context, number, country string) (sender.Available, error) {
	got, err := d.Numbers.Obtain(ctx, number, country)
	close(d.rented)
	<-d.wake
	return got, err
}

func TestACrashBetweenTheYesAndTheRecord(t *testing.T) {
	r := newRig(t)
	d := dying{r.numbers(), make(chan struct{}), make(chan struct{})}
	dead := r.daemon(func(o *sender.Options) { o.Numbers = d })
	answer := make(chan error, 1)
	go func() {
		_, err := dead.Obtain(t.Context(), one, "US", "ops", "k")
		answer <- err
	}()
	<-d.rented
	s := r.daemon()
	_, err := s.Obtain(t.Context(), one, "US", "ops", "")
	require.ErrorIs(t, err, sender.ErrBusy, "while its lease holds")
	r.age(one, time.Minute)
	r.run(s)
	eventually(t, s.Any)
	require.Equal(t, []string{one}, r.ids(s))
	require.Zero(t, r.pending())
	// It was only slow: it finds its work done.
	close(d.wake)
	require.NoError(t, <-answer)
	require.Equal(t, []string{one}, r.ids(s))
	require.Equal(t, 1, r.bought())
}

func TestRedisIsAwayWhenTheProviderSaysYes(t *testing.T) {
	r := newRig(t)
	s := r.daemon(hasty)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "POST", Before: func() { _ = server.Freeze() }})
	t.Cleanup(func() { _ = server.Thaw() })
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, server.Thaw())
	require.ErrorIs(t, err, sender.ErrStore)
	require.Equal(t, []string{one}, r.provider.OwnNumbers())
	eventually(t, func() bool { return r.rdb.Ping(t.Context()).Err() == nil })
	// What was written late, as Redis came back, is as good as what is repaired.
	if r.pending() == 1 {
		r.age(one, time.Minute)
	}
	r.run(s)
	eventually(t, s.Any)
	got, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, one, got.ID)
	require.Equal(t, 1, r.bought())
}

func TestTheCallerMayGoAway(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	ctx, cancel := context.WithCancel(t.Context())
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "POST", Before: cancel})
	_, err := s.Obtain(ctx, one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, []string{one}, r.ids(s))
}

func TestWithoutRedisNothingIsBought(t *testing.T) {
	r := newRig(t)
	s := r.daemon(configured("Acme"), hasty)
	require.NoError(t, server.Freeze())
	t.Cleanup(func() { _ = server.Thaw() })
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrStore)
	require.ErrorIs(t, s.Release(t.Context(), one, "ops", true), sender.ErrStore)
	_, err = s.List(t.Context())
	require.ErrorIs(t, err, sender.ErrStore)
	require.Empty(t, r.provider.NumberRequests())
	require.False(t, s.Any(), "nothing has been read")
	require.NoError(t, server.Thaw())
}

// window is a provider whose search does not show all that it lets.
type window struct{ sender.Numbers }

func (window) Search(context.Context, sender.Query) ([]sender.Available, error) {
	return []sender.Available{{Number: two, Country: "US", Features: []string{"sms"}}}, nil
}

func TestNothingIsBoughtBlind(t *testing.T) {
	r := newRig(t)
	r.provider.TakeNumber(two)
	for name, c := range map[string]struct {
		daemon *sender.Senders
		number string
	}{
		"somebody else's": {r.daemon(), two},
		"not shown":       {r.daemon(func(o *sender.Options) { o.Numbers = window{r.numbers()} }), one},
	} {
		looks := 0
		unwritten := lab.NumberBehaviour{Method: http.MethodGet, Before: func() {
			looks++
			n, err := r.rdb.Exists(t.Context(), sender.PendingKey).Result()
			assert.NoError(t, err)
			assert.Zero(t, n, "nothing is written before it is known")
		}}
		r.provider.ThenNumbers(unwritten)
		_, err := c.daemon.Obtain(t.Context(), c.number, "US", "ops", "k")
		require.ErrorIs(t, err, sender.ErrUnavailable, name)
		require.NotErrorIs(t, err, sender.ErrUncertain, name)
		require.Equal(t, 1, looks, name)
		require.Zero(t, r.pending(), name)
	}
	require.Empty(t, r.provider.NumberRequests())
	require.Empty(t, r.provider.OwnNumbers())
	_, err := r.daemon().Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err, "the key stands for nothing yet")
}

// A number that another request rents between two looks at the provider is
// neither owned in the first nor let in the second.
func TestANumberThatIsRentedMeanwhile(t *testing.T) {
	r := newRig(t)
	a, b := r.daemon(), r.daemon()
	for number, c := range map[string]struct {
		key  string
		want error
	}{one: {"k", nil}, two: {"", sender.ErrTaken}} {
		var first sender.Sender
		r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodGet}, lab.NumberBehaviour{Method: http.MethodGet, Before: func() {
			var err error
			first, err = a.Obtain(t.Context(), number, "US", "ops", c.key)
			assert.NoError(t, err)
		}})
		second, err := b.Obtain(t.Context(), number, "US", "ops", c.key)
		require.ErrorIs(t, err, c.want)
		if c.want == nil {
			require.Equal(t, first, second)
		}
	}
	require.Equal(t, 2, r.bought())
}

// Why a number is not let any more is not known while an earlier request for it
// may have been done.
func TestANumberThatMayBeOursIsNotSaidToBeAnothers(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodPost, HangUp: true})
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	r.provider.TakeNumber(one)
	_, err = s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	require.NotErrorIs(t, err, sender.ErrUnavailable)
	require.Equal(t, 1, r.pending())
	require.Len(t, r.provider.NumberRequests(), 1)
}

// What an earlier request may have bought is not forgotten because a later one
// finds the provider away, or refused.
func TestALaterRequestDoesNotForgetAnEarlierOne(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodPost, HangUp: true})
	_, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.ErrorIs(t, err, sender.ErrUncertain)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodGet, Status: 500})
	_, err = s.Obtain(t.Context(), one, "US", "ops", "other")
	require.ErrorIs(t, err, sender.ErrUncertain)
	require.Equal(t, 1, r.pending())
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodPost, Status: 503})
	_, err = s.Obtain(t.Context(), one, "US", "ops", "other")
	require.ErrorIs(t, err, sender.ErrProvider)
	require.Equal(t, 1, r.pending())
	// The first one comes after all.
	r.provider.GiveNumber(one, "US", true)
	r.run(s)
	eventually(t, s.Any)
	got, err := s.Obtain(t.Context(), one, "US", "ops", "k")
	require.NoError(t, err)
	require.Equal(t, one, got.ID)
}
