package guard

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
)

func TestPermitDecidesWhatNeedsNoHistory(t *testing.T) {
	parse := func(s string) phone.Number {
		n, err := phone.Parse(s, "US")
		require.NoError(t, err)
		return n
	}
	own := parse("+18005550100")
	anyLine := campaign("any", nil)
	anyLine.LineTypes = []string{"mobile", "fixed", "voip", "unknown", "other"}
	for name, test := range map[string]struct {
		campaign  *campaigns.Campaign
		number    phone.Number
		countries []string
		want      Reason
	}{
		"a mobile of an allowed country":  {campaign("a", nil), parse("+4915112345678"), []string{"US", "de"}, ""},
		"fixed or mobile, nobody knows":   {campaign("a", nil), parse("+14155550132"), []string{"US"}, ""},
		"another country":                 {campaign("a", nil), parse("+4915112345678"), []string{"US"}, CountryNotAllowed},
		"Canada is not the US":            {campaign("a", nil), parse("+14165550132"), []string{"US"}, CountryNotAllowed},
		"no country allowed":              {campaign("a", nil), parse("+14155550132"), []string{}, CountryNotAllowed},
		"a number of no country":          {anyLine, phone.Number{E164: "+80012345678"}, []string{"US"}, CountryNotAllowed},
		"a landline":                      {campaign("a", nil), parse("+493012345678"), []string{"DE"}, NotMobile},
		"a landline, which is asked for":  {anyLine, parse("+493012345678"), []string{"DE"}, ""},
		"a landline, without a campaign":  {nil, parse("+493012345678"), []string{"DE"}, ""},
		"an own number":                   {anyLine, own, []string{"US"}, ANIOwnNumber},
		"an own number of another land":   {anyLine, own, []string{"DE"}, ANIOwnNumber},
		"an own number without campaign":  {nil, own, []string{"US"}, ANIOwnNumber},
		"another country, no campaign":    {nil, parse("+4915112345678"), []string{"US"}, CountryNotAllowed},
		"toll-free is no line for a text": {campaign("a", nil), parse("+18005550111"), []string{"US"}, NotMobile},
	} {
		t.Run(name, func(t *testing.T) {
			rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // it is not asked
			defer func() { _ = rdb.Close() }()
			g := newGuards(t, rdb, Policy{Countries: test.countries}, func(o *Options) {
				o.Own = func(e164 string) bool { return e164 == own.E164 }
			})
			assert.Equal(t, Refusal{Reason: test.want}, g.Permit(test.campaign, test.number))
		})
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = rdb.Close() }()
	known := func() []byte { return secret }
	for name, o := range map[string]Options{
		"no redis":           {Secret: known},
		"no secret":          {Redis: rdb},
		"a negative limit":   {Redis: rdb, Secret: known, Policy: Policy{PerCallerPerDay: -1}},
		"hours backwards":    {Redis: rdb, Secret: known, Policy: Policy{MarketingHours: Hours{22 * time.Hour, 8 * time.Hour}}},
		"hours of two days":  {Redis: rdb, Secret: known, Policy: Policy{MarketingHours: Hours{8 * time.Hour, 25 * time.Hour}}},
		"hours of yesterday": {Redis: rdb, Secret: known, Policy: Policy{MarketingHours: Hours{-time.Hour, 8 * time.Hour}}},
		"no hours at all":    {Redis: rdb, Secret: known, Policy: Policy{MarketingHours: Hours{8 * time.Hour, 8 * time.Hour}}},
		"a negative time":    {Redis: rdb, Secret: known, Policy: Policy{Cooldown: -1}},
		"no country at all":  {Redis: rdb, Secret: known, Policy: Policy{Countries: []string{""}}},
		"a country's number": {Redis: rdb, Secret: known, Policy: Policy{Countries: []string{"+49"}}},
	} {
		_, err := New(o)
		require.Error(t, err, name)
	}
	g, err := New(Options{Redis: rdb, Secret: known, Policy: Policy{Countries: []string{"us", "DE"}, Suppress: time.Hour}})
	require.NoError(t, err)
	assert.Equal(t, []string{"DE", "US"}, g.Countries())
	assert.Equal(t, time.Hour, g.Suppress())
	assert.True(t, g.Permit(nil, us(1)).None())
}

func TestRefusalsAreCounted(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = rdb.Close() }()
	r := prometheus.NewRegistry()
	const name = "deflectd_guard_refusals_total"
	g := newGuards(t, rdb, Policy{}, func(o *Options) { o.Registerer = r })
	// All are there from the beginning, at 0, and no others come up.
	reasons := []Reason{OptedOut, Suppressed, Cooldown, NotMobile, CountryNotAllowed, ANIOwnNumber}
	limits := []string{LimitCaller, LimitCampaignCaller, LimitCampaign, LimitPrefix, LimitSegments, LimitSurge, LimitMarketingHours}
	every := 2 * (len(reasons) + len(limits))
	n, err := testutil.GatherAndCount(r, name)
	require.NoError(t, err)
	assert.Equal(t, every, n)
	for _, reason := range reasons {
		for _, at := range []string{AtCall, AtText} {
			assert.Zero(t, testutil.ToFloat64(g.metrics.refusals.WithLabelValues(string(reason), at)))
		}
	}
	for _, limit := range limits {
		for _, at := range []string{AtCall, AtText} {
			assert.Zero(t, testutil.ToFloat64(g.metrics.refusals.WithLabelValues(limit, at)))
		}
	}
	g.Refused(Refusal{Reason: Capped, Limit: LimitCampaign}, AtText)
	g.Refused(Refusal{Reason: Cooldown, RetryAfter: time.Hour}, AtCall)
	g.Refused(Refusal{Reason: Cooldown}, AtCall)
	g.Refused(Refusal{}, AtCall)
	assert.Equal(t, every, testutil.CollectAndCount(g.metrics.refusals))
	assert.Equal(t, 1., testutil.ToFloat64(g.metrics.refusals.WithLabelValues("campaign.per_day", "text")))
	assert.Equal(t, 2., testutil.ToFloat64(g.metrics.refusals.WithLabelValues("cooldown", "call")))
}

func TestARefusedTextSaysWhy(t *testing.T) {
	var err error = &Refused{Refusal{Reason: Capped, Limit: LimitCaller, RetryAfter: 90*time.Minute + time.Millisecond}}
	var refused *Refused
	require.True(t, errors.As(err, &refused))
	assert.Equal(t, Capped, refused.Reason)
	assert.EqualError(t, err, "the text is refused: capped (per_caller_per_day), for 90m")
	assert.EqualError(t, &Refused{Refusal{Reason: OptedOut}}, "the text is refused: opted_out")
	assert.Equal(t, "cooldown, for 20s", Refusal{Reason: Cooldown, RetryAfter: 20 * time.Second}.String())
	assert.Equal(t, "cooldown, for 1s", Refusal{Reason: Cooldown, RetryAfter: time.Millisecond}.String())
	assert.Equal(t, "allowed", Refusal{}.String())
}

func TestArgsSayTheLimitsThatHold(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer func() { _ = rdb.Close() }()
	g := newGuards(t, rdb, Policy{
		Cooldown: time.Hour, PerCallerPerDay: 3, PerPrefixPerHour: 20, SegmentsPerDay: 1000, SurgeCalls: 30,
	})
	pause, caller, day := campaigns.Pause(time.Minute), 2, 100
	none, zero := campaigns.Pause(0), 0
	for name, test := range map[string]struct {
		campaign *campaigns.Campaign
		want     []any
	}{
		"no campaign":          {nil, []any{"", "", int64(3_600_000), 3, 0, 0, 20, 1000, 30}},
		"no limits of its own": {campaign("a", nil), []any{"a", "", int64(3_600_000), 3, 0, 0, 20, 1000, 30}},
		"its own": {
			campaign("a", &campaigns.Limits{Cooldown: &pause, PerCallerPerDay: &caller, PerDay: &day}),
			[]any{"a", "", int64(60_000), 3, 2, 100, 20, 1000, 30},
		},
		"none": {
			campaign("a", &campaigns.Limits{Cooldown: &none, PerCallerPerDay: &zero, PerDay: &zero}),
			[]any{"a", "", int64(0), 3, 0, 0, 20, 1000, 30},
		},
	} {
		t.Run(name, func(t *testing.T) {
			args, err := g.Args(test.campaign, us(1), NotExempt)
			require.NoError(t, err)
			require.Len(t, args, ArgCount)
			assert.Equal(t, test.want, args[2:])
			same, err := g.Args(test.campaign, us(2), NotExempt)
			require.NoError(t, err)
			assert.NotEqual(t, args[0], same[0], "another person")
			assert.Equal(t, args[1], same[1], "of the same prefix")
			other, err := g.Args(test.campaign, phone.Number{E164: "+14155560001"}, NotExempt)
			require.NoError(t, err)
			assert.NotEqual(t, args[1], other[1], "another prefix")
		})
	}
	args, err := g.Args(nil, phone.Number{E164: "+"}, Test)
	require.NoError(t, err, "whatever the number is")
	assert.Equal(t, "test", args[3])
}
