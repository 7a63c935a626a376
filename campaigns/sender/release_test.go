package sender_test

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message/messagebird"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
)

func errorsIsAny(err error, any ...error) bool {
	return slices.ContainsFunc(any, func(one error) bool { return errors.Is(err, one) })
}

func configured(name string) func(*sender.Options) {
	return func(o *sender.Options) { o.Configured = name }
}

// hasty is for daemons whose Redis will be away.
func hasty(o *sender.Options) { o.StoreTimeout = time.Second }

var someone = phone.Number{E164: "+12125550132", Region: "US"}

func (r *rig) obtain(s *sender.Senders, numbers ...string) {
	r.t.Helper()
	for _, number := range numbers {
		_, err := s.Obtain(r.t.Context(), number, "US", "ops", "")
		require.NoError(r.t, err)
	}
}

func TestReleaseSaysWhatStops(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.obtain(s, one, two)
	r.campaign("b-named", one)
	r.campaign("a-named", "14155550001")
	r.campaign("other", "Acme")
	r.campaign("none", "")
	r.campaign("off", one, func(c *campaigns.Campaign) { c.Enabled = new(bool) })
	r.campaign("deleted-one", one)
	require.NoError(t, r.store.Delete(t.Context(), "deleted-one", campaigns.Write{}))

	var confirm *sender.ConfirmError
	require.ErrorAs(t, s.Release(t.Context(), one, "ops", false), &confirm)
	require.Equal(t, &sender.ConfirmError{Campaigns: []string{"a-named", "b-named"}}, confirm)
	require.Contains(t, confirm.Error(), "a-named, b-named")
	require.Zero(t, r.pending())
	require.True(t, s.Sends(&campaigns.Campaign{Originator: one}))

	// What nobody names, and is not the last, goes without a word.
	require.NoError(t, s.Release(t.Context(), two, "ops", false))
	require.Equal(t, []string{one}, r.provider.OwnNumbers())

	// The last one stops those that name none as well.
	require.ErrorAs(t, s.Release(t.Context(), "14155550001", "ops", false), &confirm)
	require.Equal(t, &sender.ConfirmError{Campaigns: []string{"a-named", "b-named", "none"}, Last: true}, confirm)

	require.NoError(t, s.Release(t.Context(), one, "ops", true))
	require.Empty(t, r.provider.OwnNumbers())
	require.Empty(t, r.ids(s))
	require.False(t, s.Any())
	require.False(t, s.Sends(&campaigns.Campaign{Originator: one}))
	require.True(t, s.Sends(&campaigns.Campaign{Originator: "Acme"}))
	require.Empty(t, s.For(&campaigns.Campaign{Originator: one}, "", someone))
	require.ErrorIs(t, s.Release(t.Context(), one, "ops", true), sender.ErrNotFound)

	// Obtained again, it is a sender again.
	r.obtain(s, one)
	require.Equal(t, one, s.For(&campaigns.Campaign{Originator: one}, "", someone))
}

func TestTheConfiguredSender(t *testing.T) {
	r := newRig(t)
	s := r.run(r.daemon(configured("Acme")))
	require.Equal(t, []string{"Acme"}, r.ids(s))
	require.ErrorIs(t, s.Release(t.Context(), "Acme", "ops", true), sender.ErrConfigured)
	require.ErrorIs(t, s.Release(t.Context(), "Other", "ops", true), sender.ErrNotFound)
	r.obtain(s, one)
	require.Equal(t, []string{"Acme", one}, r.ids(s))
	require.NoError(t, s.Release(t.Context(), one, "ops", false), "another is left")

	// One that is configured and obtained is one.
	both := r.run(r.daemon(configured("14155550002")))
	list, err := both.List(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sender.Sender{{ID: "14155550002", Kind: "number", Country: "US", Source: "configuration"}}, list)
	r.obtain(both, two)
	list, err = both.List(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "obtained", list[0].Source)
	var confirm *sender.ConfirmError
	require.ErrorAs(t, both.Release(t.Context(), two, "ops", false), &confirm)
	require.True(t, confirm.Last)
	require.NoError(t, both.Release(t.Context(), two, "ops", true))
	require.False(t, both.Any(), "it is gone, whatever the configuration says")
	require.Empty(t, r.ids(both))
	eventually(t, func() bool { return s.For(nil, "", someone) == "Acme" })
}

func TestOfTwoReleasedAtOnceOneIsTheLast(t *testing.T) {
	r := newRig(t)
	for range 10 {
		a, b := r.daemon(), r.daemon()
		r.obtain(a, one, two)
		answers := make([]error, 2)
		var both sync.WaitGroup
		both.Go(func() { answers[0] = a.Release(t.Context(), one, "ops", false) })
		both.Go(func() { answers[1] = b.Release(t.Context(), two, "ops", false) })
		both.Wait()
		var confirm *sender.ConfirmError
		require.ErrorAs(t, errors.Join(answers...), &confirm)
		require.True(t, confirm.Last)
		require.True(t, answers[0] == nil || answers[1] == nil)
		left := r.ids(a)
		require.Len(t, left, 1)
		require.Equal(t, left, r.provider.OwnNumbers())
		require.NoError(t, a.Release(t.Context(), left[0], "ops", true))
	}
}

func TestOfOneReleasedTwiceAtOnce(t *testing.T) {
	r := newRig(t)
	a, b := r.daemon(configured("Acme")), r.daemon(configured("Acme"))
	r.obtain(a, one)
	asked, answer := make(chan struct{}), make(chan struct{})
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodDelete, Before: func() { close(asked); <-answer }})
	first := make(chan error, 1)
	go func() { first <- a.Release(t.Context(), one, "ops", false) }()
	<-asked
	require.ErrorIs(t, b.Release(t.Context(), one, "ops", false), sender.ErrBusy)
	_, err := b.Obtain(t.Context(), one, "US", "ops", "")
	require.ErrorIs(t, err, sender.ErrBusy)
	r.run(b)
	eventually(t, func() bool { return b.For(&campaigns.Campaign{Originator: one}, "", someone) == "" })
	close(answer)
	require.NoError(t, <-first)
	require.Equal(t, 1, len(slices.DeleteFunc(r.provider.NumberRequests(), func(n lab.NumberRequest) bool { return n.Method != http.MethodDelete })))
}

func TestAReleaseThatIsRefused(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.obtain(s, one)
	for _, c := range []struct {
		behaviour lab.NumberBehaviour
		want      error
	}{
		{lab.NumberBehaviour{Status: 503}, sender.ErrProvider},
		{lab.NumberBehaviour{Status: 403, Code: 2}, sender.ErrNotAllowed},
	} {
		r.provider.ThenNumbers(c.behaviour)
		err := s.Release(t.Context(), one, "ops", true)
		require.ErrorIs(t, err, c.want)
		require.NotErrorIs(t, err, sender.ErrUncertain)
		require.Equal(t, one, s.For(nil, "", someone), "it stays a sender")
		require.Zero(t, r.pending())
	}
	// Without a connection from before, it is certain that nothing arrived.
	require.NoError(t, r.provider.Refuse())
	fresh := r.daemon()
	err := fresh.Release(t.Context(), one, "ops", true)
	require.ErrorIs(t, err, sender.ErrProvider)
	require.NotErrorIs(t, err, sender.ErrUncertain)
	require.Equal(t, one, fresh.For(nil, "", someone))
	require.NoError(t, r.provider.Accept())
	// One that the account has no more is released.
	r.provider.ThenNumbers(lab.NumberBehaviour{Status: 404, Code: 20, Done: true})
	require.NoError(t, s.Release(t.Context(), one, "ops", true))
	require.False(t, s.Any())
}

// What is not there may be the API: the number is forgotten only where the
// account's list says that it is gone.
func TestANumberThatIsSaidNotToBeThere(t *testing.T) {
	r := newRig(t)
	lost := func(o *sender.Options) {
		client, err := messagebird.NewClient(messagebird.Options{
			AccessKey: r.provider.AccessKey, URL: r.provider.URL, NumbersURL: r.provider.URL, // without /v1
		})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		o.Numbers = messagebird.NewNumbers(client)
	}
	s := r.daemon()
	r.obtain(s, one)
	keeps := func(err error) {
		t.Helper()
		require.ErrorIs(t, err, sender.ErrProvider)
		require.ErrorIs(t, err, sender.ErrUncertain)
		require.NotErrorIs(t, err, sender.ErrUnavailable)
		require.Equal(t, []string{one}, r.ids(s))
		require.Equal(t, []string{one}, r.provider.OwnNumbers())
		require.Equal(t, 1, r.pending())
	}
	keeps(r.daemon(lost).Release(t.Context(), one, "ops", true))
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodDelete, Status: 404})
	keeps(s.Release(t.Context(), one, "ops", true))
	r.provider.ThenNumbers(
		lab.NumberBehaviour{Method: http.MethodDelete, Status: 410},
		lab.NumberBehaviour{Method: http.MethodGet, Status: 401}, lab.NumberBehaviour{Method: http.MethodGet, Status: 404},
	)
	err := s.Release(t.Context(), one, "ops", true)
	keeps(err)
	require.NotErrorIs(t, err, sender.ErrNotAllowed)

	_, err = r.daemon(lost).Obtain(t.Context(), two, "US", "ops", "")
	require.ErrorIs(t, err, sender.ErrProvider)
	require.NotErrorIs(t, err, sender.ErrUnavailable)
	_, err = r.daemon(lost).Search(t.Context(), sender.Query{Country: "US"})
	require.ErrorIs(t, err, sender.ErrProvider)

	r.provider.ThenNumbers(lab.NumberBehaviour{Method: http.MethodDelete, Status: 404, Done: true})
	require.NoError(t, s.Release(t.Context(), one, "ops", true))
	require.Empty(t, r.ids(s))
	require.Zero(t, r.pending())
}

func TestAReleaseWhoseAnswerIsLost(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.obtain(s, one)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "DELETE", HangUp: true, Done: true})
	require.NoError(t, s.Release(t.Context(), one, "ops", true), "the account does not own it any more")
	require.Zero(t, r.pending())

	r.obtain(s, two)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "DELETE", HangUp: true})
	require.ErrorIs(t, s.Release(t.Context(), two, "ops", true), sender.ErrUncertain)
	require.False(t, s.Any(), "nothing comes from it meanwhile")
	require.Equal(t, 1, r.pending())
	// Asked for again, it is done.
	require.NoError(t, s.Release(t.Context(), two, "ops", true))
	require.Empty(t, r.provider.OwnNumbers())
	require.Zero(t, r.pending())
}

func TestAReleaseThatNeverCame(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	r.obtain(s, one, two)
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "DELETE", HangUp: true}, lab.NumberBehaviour{Method: "DELETE", Status: 502})
	require.ErrorIs(t, s.Release(t.Context(), one, "ops", true), sender.ErrUncertain)
	require.ErrorIs(t, s.Release(t.Context(), two, "ops", true), sender.ErrUncertain)
	require.False(t, s.Any())
	r.age(one, time.Hour)
	r.run(s)
	eventually(t, s.Any)
	require.Equal(t, one, s.For(nil, "", someone), "the account still owns it")
	// The other came after all.
	require.NoError(t, r.numbers().Release(t.Context(), two))
	eventually(t, func() bool { return r.pending() == 0 })
	require.Equal(t, []string{one}, r.ids(s))
}

func TestMemoryOutlivesRedis(t *testing.T) {
	r := newRig(t)
	r.obtain(r.daemon(), one)
	s := r.run(r.daemon(hasty))
	require.NoError(t, r.rdb.HSet(t.Context(), campaigns.Key("senders"), "+1", "nonsense").Err())
	require.NoError(t, r.rdb.HSet(t.Context(), pendingKey, "+2", "nonsense").Err())
	eventually(t, func() bool { return containsAll(r.logs.String(), "sender +1", "sender +2") })
	eventually(t, s.Any) // the rest does not suffer; what is wrong is said before
	require.NoError(t, server.Freeze())
	t.Cleanup(func() { _ = server.Thaw() })
	eventually(t, func() bool { return containsAll(r.logs.String(), "cannot be read") })
	require.Equal(t, one, s.For(nil, "", someone))
	require.NoError(t, server.Thaw())
	eventually(t, func() bool { return containsAll(r.logs.String(), "can be read again") })
}
