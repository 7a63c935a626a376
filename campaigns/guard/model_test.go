package guard

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab/labtest"
)

// model says what the functions in Lua should: all texts and calls are kept for
// ever, and counted anew each time.
type model struct {
	policy Policy
	texts  []text
	calls  []call
}

type text struct {
	number   int
	campaign *campaigns.Campaign
	at       int64 // ms
	id       string
	segments int
}

type call struct {
	number int
	at     int64
}

const (
	second = int64(1000)
	hour   = 3600 * second
	day    = 24 * hour
	window = 300 * second
)

// Of the six numbers, the first three are of one range.
func (m *model) number(i int) phone.Number {
	if i < 3 {
		return us(i)
	}
	return phone.Number{E164: fmt.Sprintf("+1212555%04d", i), Region: "US"}
}

func samePrefix(a, b int) bool { return a < 3 == (b < 3) }

// count adds up the texts that match.
func (m *model) count(value func(text) int, match func(text) bool) (n int) {
	for _, t := range m.texts {
		if match(t) {
			n += value(t)
		}
	}
	return n
}

func one(text) int        { return 1 }
func segments(t text) int { return t.segments }

func (m *model) surge(number int, at int64) bool {
	mine, all := 0, 0
	for _, c := range m.calls {
		if c.at/window < at/window-1 {
			continue
		}
		all++
		if c.number == number {
			mine++
		}
	}
	return m.policy.SurgeCalls > 0 && mine >= m.policy.SurgeCalls && mine*5 >= all
}

func own(limit *int) int {
	if limit == nil {
		return 0
	}
	return *limit
}

func (m *model) refusal(number int, c *campaigns.Campaign, at int64, more int) Refusal {
	cooldown := m.policy.Cooldown.Milliseconds()
	if c.Limits.Cooldown != nil {
		cooldown = time.Duration(*c.Limits.Cooldown).Milliseconds()
	}
	full := func(limit, n, more int) bool { return limit > 0 && n+more > limit }
	switch {
	case m.surge(number, at):
		return Refusal{Reason: ANIUntrusted, Limit: LimitSurge}
	case m.count(one, func(t text) bool {
		return t.number == number && t.campaign == c && t.at+cooldown > at
	}) > 0:
		return Refusal{Reason: Cooldown}
	case full(m.policy.PerCallerPerDay, m.count(one, func(t text) bool {
		return t.number == number && t.at+day > at
	}), 1):
		return Refusal{Reason: Capped, Limit: LimitCaller}
	case full(own(c.Limits.PerCallerPerDay), m.count(one, func(t text) bool {
		return t.number == number && t.campaign == c && t.at+day > at
	}), 1):
		return Refusal{Reason: Capped, Limit: LimitCampaignCaller}
	case full(m.policy.PerPrefixPerHour, m.count(one, func(t text) bool {
		return samePrefix(t.number, number) && t.at+hour > at
	}), 1):
		return Refusal{Reason: Capped, Limit: LimitPrefix}
	case full(own(c.Limits.PerDay), m.count(one, func(t text) bool {
		return t.campaign == c && t.at/hour > at/hour-24
	}), 1):
		return Refusal{Reason: Capped, Limit: LimitCampaign}
	case full(m.policy.SegmentsPerDay, m.count(segments, func(t text) bool {
		return t.at/hour > at/hour-24
	}), more):
		return Refusal{Reason: Capped, Limit: LimitSegments}
	}
	return Refusal{}
}

// The rules in Lua on a real Redis say the same as the model, whatever texts and
// calls come, and also when it will be otherwise.
func TestTheLimitsHoldAsTheModelSays(t *testing.T) {
	rdb := connect(t)
	rapid.Check(t, func(r *rapid.T) {
		require.NoError(t, server.Flush(t.Context()))
		limit := func(name string, most int) int { return rapid.IntRange(0, most).Draw(r, name) }
		pause := func(name string) time.Duration {
			return rapid.SampledFrom([]time.Duration{0, time.Minute, time.Hour, 50 * time.Hour}).Draw(r, name)
		}
		m := &model{policy: Policy{
			Cooldown: pause("cooldown"), PerCallerPerDay: limit("caller", 4), PerPrefixPerHour: limit("prefix", 6),
			SegmentsPerDay: limit("segments", 12), SurgeCalls: limit("surge", 4),
		}}
		g := newGuards(t, rdb, m.policy)
		list := []*campaigns.Campaign{
			campaign("a", &campaigns.Limits{}),
			campaign("b", &campaigns.Limits{
				Cooldown:        ptr(campaigns.Pause(pause("own cooldown"))),
				PerCallerPerDay: ptr(limit("own caller", 3)), PerDay: ptr(limit("own day", 5)),
			}),
		}
		at := int64(1_700_000_000_000) + rapid.Int64Range(0, 2*hour).Draw(r, "begin")
		open := at // when what was refused last is to be allowed
		same := func(want, got Refusal, number int, c *campaigns.Campaign, more int) {
			after := got.RetryAfter.Milliseconds()
			got.RetryAfter = 0
			require.Equal(t, want, got)
			if want.None() {
				require.Zero(t, after)
				return
			}
			if after == 0 { // never: the text alone is too long
				require.Equal(t, LimitSegments, want.Limit)
				require.Greater(t, more, m.policy.SegmentsPerDay)
				return
			}
			require.Equal(t, want, m.refusal(number, c, at+after-1, more), "%d ms are too long", after)
			require.NotEqual(t, want, m.refusal(number, c, at+after, more), "%d ms are too short", after)
			open = at + after
		}
		for i := range rapid.IntRange(1, 60).Draw(r, "steps") {
			number := rapid.IntRange(0, 5).Draw(r, "number")
			c := rapid.SampledFrom(list).Draw(r, "campaign")
			when := time.UnixMilli(at)
			switch rapid.SampledFrom([]string{"send", "send", "send", "call", "uncount", "wait", "wait long", "wait until then"}).Draw(r, "step") {
			case "send":
				x := text{number, c, at, strconv.Itoa(i), rapid.IntRange(1, 4).Draw(r, "parts")}
				want := m.refusal(number, c, at, x.segments)
				same(want, send(t, g, when, c, m.number(number), x.id, x.segments, NotExempt), number, c, x.segments)
				if want.None() {
					m.texts = append(m.texts, x)
				}
			case "call":
				args, err := g.appendArgs([]any{at, strconv.Itoa(i)}, c, m.number(number), NotExempt)
				require.NoError(t, err)
				m.calls = append(m.calls, call{number, at})
				same(m.refusal(number, c, at, 1), ran(t, callScript, g, args), number, c, 1)
			case "uncount":
				if len(m.texts) == 0 {
					continue
				}
				k := rapid.IntRange(0, len(m.texts)-1).Draw(r, "text")
				x := m.texts[k]
				m.texts = append(m.texts[:k:k], m.texts[k+1:]...)
				uncount(t, g, time.UnixMilli(x.at), x.campaign.ID, m.number(x.number), x.id, x.segments)
			case "wait":
				at += rapid.Int64Range(0, 20*60*second).Draw(r, "ms")
			case "wait until then":
				at = max(at, open)
			case "wait long":
				at += rapid.Int64Range(0, 30).Draw(r, "hours") * hour
			}
		}
		everythingExpires(t)
	})
}

// everythingExpires checks that nothing is kept longer than it is needed, which
// is the longest cooldown.
func everythingExpires(t *testing.T) {
	t.Helper()
	rdb := labtest.Dial(t, server, patience)
	for _, key := range keys(t) {
		left, err := rdb.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		assert.Positive(t, left, key)
		assert.LessOrEqual(t, left, 50*time.Hour, key)
	}
}

// What a limit needs to know is not gone before it is needed no more.
func TestWhatIsKnownIsKeptLongEnough(t *testing.T) {
	rdb := connect(t)
	g := newGuards(t, rdb, Policy{Cooldown: time.Hour, PerCallerPerDay: 9, PerPrefixPerHour: 9, SegmentsPerDay: 99, SurgeCalls: 9})
	long := campaign("long", &campaigns.Limits{Cooldown: ptr(campaigns.Pause(90 * time.Hour)), PerDay: ptr(9)})
	_, err := g.Check(t.Context(), long, us(1), 1)
	require.NoError(t, err)
	for i, c := range []*campaigns.Campaign{long, campaign("short", nil)} { // the short one does not shorten it
		require.True(t, send(t, g, time.Time{}, c, us(1), strconv.Itoa(i), 1, NotExempt).None())
	}
	p := campaigns.Pseudonym(secret, prefix(us(1).E164))
	for key, least := range map[string]time.Duration{
		"cooldown:" + person(us(1)): 90 * time.Hour,
		"caller:" + person(us(1)):   24 * time.Hour,
		"prefix:" + p:               time.Hour,
		"campaign:long":             25 * time.Hour,
		"segments":                  25 * time.Hour,
		"calls":                     10 * time.Minute,
		"calls:" + person(us(1)):    10 * time.Minute,
	} {
		left, err := rdb.PTTL(t.Context(), campaigns.Key("guard", key)).Result()
		require.NoError(t, err)
		assert.Greater(t, left, least-time.Minute, key)
		assert.LessOrEqual(t, left, least, key)
	}
	assert.Len(t, keys(t), 7)
}

// What is lowered holds for what was sent before, and what is new knows nothing
// of it.
func TestLimitsThatChange(t *testing.T) {
	begin := time.UnixMilli(1_700_000_000_000)
	limits := func(n int) Policy { return Policy{PerCallerPerDay: n, PerPrefixPerHour: 2 * n, SegmentsPerDay: 20} }
	rdb := connect(t)
	before := newGuards(t, rdb, limits(5))
	for i := range 4 {
		require.True(t, send(t, before, begin.Add(time.Duration(i)*time.Minute), campaign("a", nil), us(1), strconv.Itoa(i), 2, NotExempt).None())
	}
	at := begin.Add(10 * time.Minute)
	after := newGuards(t, rdb, limits(2))
	assert.Equal(t, Refusal{Reason: Capped, Limit: LimitCaller, RetryAfter: 24*time.Hour - 8*time.Minute},
		send(t, after, at, campaign("a", nil), us(1), "m", 1, NotExempt), "until the last but one is a day old")
	assert.Equal(t, Refusal{Reason: Capped, Limit: LimitPrefix, RetryAfter: time.Hour - 10*time.Minute},
		send(t, after, at, campaign("a", nil), us(2), "m", 1, NotExempt))
	own := campaign("a", &campaigns.Limits{PerCallerPerDay: ptr(1), PerDay: ptr(3)})
	assert.Equal(t, Refusal{Reason: Capped, Limit: LimitCampaignCaller, RetryAfter: 24*time.Hour - 7*time.Minute},
		send(t, before, at, own, us(1), "m", 1, NotExempt), "until the last is a day old")

	// Texts of before were not counted for the campaign: taking them back takes
	// no others back.
	for i := range 3 {
		require.True(t, send(t, before, at, own, us(5+i), "n"+strconv.Itoa(i), 1, NotExempt).None())
	}
	for i := range 4 {
		uncount(t, before, begin.Add(time.Duration(i)*time.Minute), "b", us(1), strconv.Itoa(i), 50)
	}
	assert.Equal(t, LimitCampaign, send(t, before, at, own, us(9), "m", 1, NotExempt).Limit)
	for range 4 {
		uncount(t, before, at, "a", us(5), "n0", 1)
	}
	for i := range 3 {
		require.True(t, send(t, before, at, own, us(10+i), "o"+strconv.Itoa(i), 1, NotExempt).None(), "never less than nothing")
	}
	assert.Equal(t, LimitCampaign, send(t, before, at, own, us(14), "m", 1, NotExempt).Limit)
}

// surge plays calls of one number and of others, and says at which call of the
// number it was refused; 0 for never.
func surge(t *testing.T, limit, calls, othersEach int) (refusedAt int) {
	t.Helper()
	rdb := connect(t)
	g := newGuards(t, rdb, Policy{SurgeCalls: limit})
	at := int64(1_700_000_000_000)
	c := campaign("a", nil)
	ring := func(n phone.Number) Refusal {
		at += 100
		args, err := g.appendArgs([]any{at, strconv.FormatInt(at, 10)}, c, n, NotExempt)
		require.NoError(t, err)
		return ran(t, callScript, g, args)
	}
	for i := 1; i <= calls; i++ {
		for other := range othersEach {
			require.True(t, ring(us(100+i*10+other)).None())
		}
		r := ring(us(1))
		if r.None() {
			continue
		}
		require.Equal(t, Refusal{Reason: ANIUntrusted, Limit: LimitSurge, RetryAfter: r.RetryAfter}, r)
		require.True(t, ring(us(2)).None(), "others are not concerned")
		return i
	}
	return 0
}

func TestASurgeIsManyCallsOfOneNumberAmongFewOthers(t *testing.T) {
	assert.Equal(t, 20, surge(t, 20, 30, 0), "alone")
	assert.Equal(t, 20, surge(t, 20, 30, 4), "every fifth call")
	assert.Zero(t, surge(t, 20, 30, 5), "every sixth call")
	assert.Zero(t, surge(t, 20, 19, 0), "a few calls")
	assert.Zero(t, surge(t, 0, 100, 0), "where there is no such limit")
}
