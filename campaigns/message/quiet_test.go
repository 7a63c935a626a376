package message

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/phone"
)

// placeOf is a number where the clock is far from midnight, and what it shows.
func placeOf(t testing.TB) (n phone.Number, clock time.Duration) {
	t.Helper()
	for _, n := range []phone.Number{to("+14155550132", "US"), to("+442079460000", "GB"), to("+81312345678", "JP")} {
		zones := phone.Zones(n)
		require.Len(t, zones, 1)
		hour, minute, second := time.Now().In(zones[0]).Clock()
		clock = time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute + time.Duration(second)*time.Second
		if clock > time.Hour && clock < 23*time.Hour {
			return n, clock
		}
	}
	t.Fatal("it is midnight everywhere")
	return n, clock
}

// within is a policy by which marketing goes out from one time of the day to
// another.
func within(from, to time.Duration) guard.Policy {
	return guard.Policy{Countries: []string{"US", "GB", "JP"}, MarketingHours: guard.Hours{From: from, To: to}}
}

// advert is a text of a marketing campaign.
func advert(to phone.Number) Request {
	r := request()
	r.Campaign.Kind, r.Campaign.LineTypes = campaigns.KindMarketing, []string{campaigns.LineUnknown, campaigns.LineFixed}
	r.To = to
	return r
}

func TestMarketingIsRefusedOutsideItsHours(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	number, clock := placeOf(t)
	o := newOutbox(t, rdb, p, guarded(t, rdb, within(clock+30*time.Minute, 24*time.Hour)))
	_, err := o.Send(t.Context(), advert(number))
	got := refusal(t, err)
	assert.Equal(t, guard.OutsideHours, got.Reason)
	assert.InDelta(t, 30*time.Minute, got.RetryAfter, float64(2*time.Minute))
	r := advert(number)
	r.External = true
	_, err = o.Send(t.Context(), r)
	assert.Equal(t, guard.OutsideHours, refusal(t, err).Reason, "another gateway keeps them too")
	assert.Empty(t, keys(t, "*"))

	test, service := advert(number), advert(number)
	test.Test = true
	service.Campaign.Kind = campaigns.KindService
	for _, r := range []Request{test, service} {
		pending, err := o.Send(t.Context(), r)
		require.NoError(t, err)
		assert.Equal(t, []State{Sending, Accepted}, states(t, pending))
	}
	assert.Len(t, p.texts(), 2)
}

// What was made durable within the hours waits for them again before each attempt,
// until they begin or it has expired.
func TestMarketingThatIsQueuedWaitsForItsHours(t *testing.T) {
	rdb := connect(t, startRedis(t))
	number, clock := placeOf(t)
	first := &provider{answer: fails(*errLater)}
	// They have just been over: this outbox does not run, and makes first attempts.
	a := newOutbox(t, rdb, first, guarded(t, rdb, within(0, 24*time.Hour)))
	send := func(r Request) string {
		pending, err := a.Send(t.Context(), r)
		require.NoError(t, err)
		sees(t, pending, Sending, Queued)
		return pending.Message().ID
	}
	service := advert(number)
	service.Campaign.Kind = campaigns.KindService
	waits, goes, ends := send(advert(number)), send(service), send(advert(number))
	listed := advert(number)
	listed.List = true
	pending, err := a.Send(t.Context(), listed)
	require.NoError(t, err)

	p := &provider{}
	b := newOutbox(t, rdb, p, guarded(t, rdb, within(clock+30*time.Minute, 24*time.Hour)))
	stop := running(t, b)
	wants(t, b, goes, Accepted)
	timeIsOver(t, rdb, ends)
	wants(t, b, ends, Expired)
	for _, id := range []string{waits, pending.Message().ID} {
		var due float64
		require.Eventually(t, func() bool {
			key := outboxKey
			if id != waits {
				key = listKey
			}
			due = rdb.ZScore(t.Context(), key, id).Val()
			return rdb.HGet(t.Context(), messageKey(id), "holder").Val() == "" && due > float64(time.Now().Add(10*time.Minute).UnixMilli())
		}, time.Minute, time.Millisecond)
		m := wants(t, b, id, Queued)
		assert.InDelta(t, m.Expires.UnixMilli(), due, 0, "they begin after it has expired")
	}
	assert.Equal(t, 1, len(p.texts()), "the service text alone")
	stop()

	// They have begun.
	for key, id := range map[string]string{outboxKey: waits, listKey: pending.Message().ID} {
		require.NoError(t, rdb.ZAddXX(t.Context(), key, z(1, id)).Err())
	}
	c := newOutbox(t, rdb, p, guarded(t, rdb, within(0, 24*time.Hour)))
	running(t, c)
	wants(t, c, waits, Accepted)
	wants(t, c, pending.Message().ID, Accepted)
	assert.Zero(t, p.count(ends))
}

// It goes out when they begin.
func TestMarketingGoesOutWhenItsHoursBegin(t *testing.T) {
	rdb := connect(t, startRedis(t))
	begins := time.Now().Truncate(time.Second).Add(2 * time.Second) // or later
	number, clock := placeOf(t)
	r := advert(number)
	r.List = true
	pending, err := newOutbox(t, rdb, &provider{}, guarded(t, rdb, within(0, 24*time.Hour))).Send(t.Context(), r)
	require.NoError(t, err)
	p := &paced{}
	o := newOutbox(t, rdb, p, guarded(t, rdb, within(clock+2*time.Second, 24*time.Hour)))
	running(t, o)
	wants(t, o, pending.Message().ID, Accepted)
	n, at := p.since(begins.Add(-time.Minute))
	assert.Equal(t, 1, n)
	assert.False(t, at.Before(begins), "not before")
}
