package guard

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

func parsed(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s, "US")
	require.NoError(t, err)
	return n
}

// away is a Redis that is not asked.
func away(t testing.TB) redis.UniversalClient {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func TestMarketingWaitsForItsHours(t *testing.T) {
	const (
		california = "+14155550132"
		newYork    = "+12125550132"
		berlin     = "+4915112345678"
		nowhere    = "+18005550111" // any zone of North America, from Guam to Newfoundland
	)
	at := func(s string) time.Time {
		when, err := time.Parse(time.RFC3339, s)
		require.NoError(t, err)
		return when
	}
	narrow := Hours{10 * time.Hour, 12*time.Hour + 30*time.Minute}
	all := Hours{0, 24 * time.Hour}
	for name, test := range map[string]struct {
		number string
		hours  Hours
		at     string
		want   time.Duration
	}{
		"by day":                             {california, Hours{}, "2026-01-15T12:00:00-08:00", 0},
		"when they begin":                    {california, Hours{}, "2026-01-15T08:00:00-08:00", 0},
		"just before":                        {california, Hours{}, "2026-01-15T07:59:59.999999999-08:00", time.Nanosecond},
		"just before they end":               {california, Hours{}, "2026-01-15T20:59:59.999999999-08:00", 0},
		"when they end":                      {california, Hours{}, "2026-01-15T21:00:00-08:00", 11 * time.Hour},
		"at midnight":                        {california, Hours{}, "2026-01-15T00:00:00-08:00", 8 * time.Hour},
		"morning in New York":                {newYork, Hours{}, "2026-01-15T08:30:00-05:00", 0},
		"and in California":                  {california, Hours{}, "2026-01-15T08:30:00-05:00", 2*time.Hour + 30*time.Minute},
		"evening in Berlin":                  {berlin, Hours{}, "2026-01-15T20:30:00Z", 10*time.Hour + 30*time.Minute},
		"the night a clock is put forward":   {newYork, Hours{}, "2026-03-07T22:00:00-05:00", 9 * time.Hour},
		"the night a clock is put back":      {newYork, Hours{}, "2026-10-31T22:00:00-04:00", 11 * time.Hour},
		"hours that begin in the lost hour":  {newYork, Hours{2*time.Hour + 30*time.Minute, 4 * time.Hour}, "2026-03-08T01:00:00-05:00", time.Hour},
		"hours that are lost that night":     {newYork, Hours{2 * time.Hour, 3 * time.Hour}, "2026-03-08T01:00:00-05:00", 24 * time.Hour},
		"hours of an hour that comes twice":  {newYork, Hours{time.Hour, 2 * time.Hour}, "2026-11-01T01:30:00-05:00", 0},
		"narrower ones":                      {california, narrow, "2026-01-15T09:00:00-08:00", time.Hour},
		"narrower ones that are over":        {california, narrow, "2026-01-15T12:30:00-08:00", 21*time.Hour + 30*time.Minute},
		"the whole day":                      {california, all, "2026-01-15T03:00:00-08:00", 0},
		"the whole day, at midnight":         {california, all, "2026-01-15T00:00:00-08:00", 0},
		"all zones at once":                  {nowhere, Hours{}, "2026-01-15T22:00:00Z", 0},
		"Guam still sleeps":                  {nowhere, Hours{}, "2026-01-15T18:00:00Z", 4 * time.Hour},
		"Newfoundland sleeps already":        {nowhere, Hours{}, "2026-01-16T00:30:00Z", 21*time.Hour + 30*time.Minute},
		"never all at once":                  {nowhere, narrow, "2026-01-15T22:00:00Z", Never},
		"the whole day, wherever":            {nowhere, all, "2026-01-15T03:00:00Z", 0},
		"nobody knows where, the whole day":  {"+999123456789", all, "2026-01-15T03:00:00Z", Never},
		"the day before by the date of Guam": {nowhere, Hours{}, "2026-01-15T21:59:59Z", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuards(t, away(t), Policy{MarketingHours: test.hours})
			n := phone.Number{E164: test.number}
			assert.Equal(t, test.want, g.Quiet(campaigns.KindMarketing, n, at(test.at)))
			assert.Zero(t, g.Quiet(campaigns.KindService, n, at(test.at)), "it is asked for")
			assert.Zero(t, g.Quiet("", n, at(test.at)), "an answer to what somebody texted")
		})
	}
}

// What Quiet answers is when they begin in all zones, neither before nor after.
func TestQuietIsExact(t *testing.T) {
	numbers := []string{"+14155550132", "+4915112345678", "+61412345678", "+18005550111", "+5592912345678", "+97714123456", "+961711123456"}
	rapid.Check(t, func(r *rapid.T) {
		from := time.Duration(rapid.IntRange(0, 23*60).Draw(r, "from")) * time.Minute
		to := from + time.Duration(rapid.IntRange(30, 24*60).Draw(r, "for"))*time.Minute
		h := Hours{from, min(to, 24*time.Hour)}
		zones := phone.Zones(phone.Number{E164: rapid.SampledFrom(numbers).Draw(r, "number")})
		at := time.Unix(rapid.Int64Range(1_700_000_000, 1_900_000_000).Draw(r, "at"), 0)
		wait := h.wait(zones, at)
		// The minute by minute truth; hours begin and clocks change on a full one.
		search := at
		for range 50 * 60 {
			if h.openIn(zones, search) {
				break
			}
			search = search.Truncate(time.Minute).Add(time.Minute)
		}
		if !h.openIn(zones, search) {
			require.Equal(t, Never, wait)
			return
		}
		require.Equal(t, search.Sub(at), wait, "%v from %v", h, at)
	})
}

// The hours are the last that Permit asks, hold for no test, and say for how long
// it stays so.
func TestPermitKnowsTheMarketingHours(t *testing.T) {
	landline, tests := parsed(t, "+493012345678"), map[string]*campaigns.Campaign{"service": campaign("a", nil), "marketing": campaign("b", nil)}
	tests["marketing"].Kind = campaigns.KindMarketing
	g := newGuards(t, away(t), Policy{Countries: []string{"US", "DE"}})
	_ = phone.Zones(us(1))                // files are read outside the bubble
	synctest.Test(t, func(t *testing.T) { // its clock stands at midnight UTC: four in the afternoon in California
		c := tests["marketing"]
		assert.True(t, g.Permit(c, us(1)).None())
		time.Sleep(5 * time.Hour)
		want := Refusal{Reason: OutsideHours, Limit: LimitMarketingHours, RetryAfter: 11 * time.Hour}
		assert.Equal(t, want, g.Permit(c, us(1)))
		assert.Equal(t, []Refusal{want}, g.Forbidden(c, us(1)))
		assert.True(t, g.PermitTest(c, us(1)).None(), "somebody looks at what they have written")
		assert.True(t, g.Permit(tests["service"], us(1)).None())
		assert.True(t, g.Permit(nil, us(1)).None())
		assert.Equal(t, Refusal{Reason: NotMobile}, g.Permit(c, landline), "what holds at any hour comes first")
		assert.Equal(t, Refusal{Reason: NotMobile}, g.PermitTest(c, landline))
		assert.Equal(t, []Refusal{
			{Reason: NotMobile}, {Reason: OutsideHours, Limit: LimitMarketingHours, RetryAfter: 2 * time.Hour},
		}, g.Forbidden(c, landline), "six in the morning in Berlin")
		time.Sleep(11 * time.Hour)
		assert.True(t, g.Permit(c, us(1)).None())
	})
	nobody := phone.Number{E164: "+999123456789", Region: "US"}
	assert.Equal(t, Refusal{Reason: OutsideHours, Limit: LimitMarketingHours}, g.Permit(tests["marketing"], nobody), "not known where: nobody knows for how long")
}

// Each rule is told of, also behind others; what is first is what Check says.
func TestLookTellsAllThatSpeaksAgainstANumber(t *testing.T) {
	g := newGuards(t, connect(t), Policy{Cooldown: time.Hour, PerCallerPerDay: 1, PerPrefixPerHour: 1, SegmentsPerDay: 2, SurgeCalls: 1})
	c := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(1), PerDay: ptr(1)})
	list, err := g.Look(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	assert.Empty(t, list)
	require.True(t, send(t, g, time.Time{}, c, us(1), "m1", 2, NotExempt).None())
	_, err = g.Check(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	suppress(t, g, us(1), time.Hour)
	wait := unwritten{us(1).E164: true}
	g.o.OptOuts = wait
	list, err = g.Look(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	for i := range list {
		assert.Equal(t, list[i].Reason != OptedOut, list[i].RetryAfter > 0, list[i])
		list[i].RetryAfter = 0
	}
	assert.Equal(t, []Refusal{
		{Reason: OptedOut},
		{Reason: Suppressed},
		{Reason: ANIUntrusted, Limit: LimitSurge},
		{Reason: Cooldown},
		{Reason: Capped, Limit: LimitCaller},
		{Reason: Capped, Limit: LimitCampaignCaller},
		{Reason: Capped, Limit: LimitPrefix},
		{Reason: Capped, Limit: LimitCampaign},
		{Reason: Capped, Limit: LimitSegments},
	}, list)
	r, err := g.Check(t.Context(), c, us(1), 1)
	require.NoError(t, err)
	assert.Equal(t, OptedOut, r.Reason)

	// What is known without Redis is told also where it is away.
	g = newGuards(t, away(t), Policy{}, func(o *Options) { o.OptOuts = wait })
	list, err = g.Look(t.Context(), c, us(1), 1)
	require.ErrorIs(t, err, ErrStore)
	assert.Equal(t, []Refusal{{Reason: OptedOut}}, list)
}
