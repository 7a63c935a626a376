package message

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/link"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// linkRequest asks for a short link for the caller of the tests.
func linkRequest() LinkRequest {
	return LinkRequest{Campaign: testCampaign(), To: &phone.Number{E164: caller, Region: "US"}, Shorten: true, By: "ops"}
}

// opened is what the public listener answers who opens a link.
func opened(rdb redis.UniversalClient, code string) (status int, location string) {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/"+code, nil)
	link.NewHandler(link.HandlerOptions{Redis: rdb, Timeout: patience}).ServeHTTP(w, r)
	return w.Code, w.Header().Get("Location")
}

const interaction = "https://visual.example.com/start?interaction=pay"

func TestALinkAlone(t *testing.T) {
	rdb := connect(t, startRedis(t))
	p := &provider{}
	policy := home()
	policy.PerCallerPerDay = 1
	o := newOutbox(t, rdb, p, guarded(t, rdb, policy))
	for range 3 { // it is no text: no limit holds
		l, err := o.Link(t.Context(), linkRequest())
		require.NoError(t, err)
		assert.Equal(t, "https://txt.example.com/"+l.Code, l.URL)
		assert.Equal(t, interaction+"&callerId=%2B14155550132", l.InteractionURL)
		assert.WithinDuration(t, time.Now().Add(72*time.Hour), l.ExpiresAt, time.Minute)
		status, location := opened(rdb, l.Code)
		assert.Equal(t, http.StatusFound, status)
		assert.Equal(t, l.InteractionURL, location)
		kept := rdb.HGetAll(t.Context(), link.Key(l.Code)).Val()
		assert.Equal(t, "billing", kept[link.FieldCampaign])
		assert.Equal(t, "ops", kept[link.FieldBy])
		assert.NotContains(t, kept, link.FieldMessage)
		assert.InDelta(t, link.TTL(72*time.Hour), rdb.PTTL(t.Context(), link.Key(l.Code)).Val(), float64(time.Minute))
		assert.InDelta(t, 72*time.Hour, rdb.PTTL(t.Context(), link.URLKey(l.Code)).Val(), float64(time.Minute))
	}
	assert.Equal(t, of(0, 0, 0, 0), recent(t, o))
	assert.Empty(t, p.texts())
	for _, key := range keys(t, "*") {
		assert.Positive(t, rdb.PTTL(t.Context(), key).Val(), "%s is forgotten some day", key)
	}

	r := linkRequest()
	r.To = nil // nobody in particular: there is no number in it
	r.Campaign.Interaction.Params = map[string]string{"lang": "en"}
	r.Params = map[string]string{"lang": "de"}
	l, err := o.Link(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, interaction+"&lang=de", l.InteractionURL)

	before := len(keys(t, "*"))
	r = linkRequest()
	r.Shorten = false
	l, err = o.Link(t.Context(), r)
	require.NoError(t, err)
	assert.Equal(t, Link{URL: l.InteractionURL, InteractionURL: interaction + "&callerId=%2B14155550132"}, l)
	assert.Len(t, keys(t, "*"), before, "there is nothing to be kept of it")
}

func TestALinkThatIsRefused(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, home()))
	for name, c := range map[string]struct {
		change  func(*LinkRequest)
		pointer string
	}{
		"no campaign": {func(r *LinkRequest) { r.Campaign = nil }, "/campaign"},
		"no E.164":    {func(r *LinkRequest) { r.To.E164 = "911" }, "/to"},
		"params":      {func(r *LinkRequest) { r.Params = map[string]string{"nosuch": "x"} }, "/params/nosuch"},
		"URL":         {func(r *LinkRequest) { r.Campaign.Interaction.URL = "http://[::1" }, "/interaction/url"},
	} {
		r := linkRequest()
		c.change(&r)
		_, err := o.Link(t.Context(), r)
		var invalid campaigns.Invalid
		require.ErrorAs(t, err, &invalid, name)
		require.Len(t, invalid, 1, name)
		assert.Equal(t, c.pointer, invalid[0].Pointer)
	}
	assert.Empty(t, keys(t, "*"))

	r := linkRequest()
	r.Key = "key"
	first, err := o.Link(t.Context(), r)
	require.NoError(t, err)
	optsOut(t, o, caller)
	for _, shorten := range []bool{false, true} {
		q := linkRequest()
		q.Shorten = shorten
		_, err := o.Link(t.Context(), q)
		assert.Equal(t, guard.Refusal{Reason: guard.OptedOut}, refusal(t, err))
	}
	again, err := o.Link(t.Context(), r)
	require.NoError(t, err, "a known key is answered before")
	assert.Equal(t, first, again)
	r.To = nil
	r.Key = ""
	_, err = o.Link(t.Context(), r)
	require.NoError(t, err, "it is nobody's")

	_, err = o.opts.OptOuts.Remove(t.Context(), caller)
	require.NoError(t, err)
	o.opts.OptOuts.Later(optout.Entry{Number: caller, Source: optout.Keypress}) // nothing writes it: no Run
	_, err = o.Link(t.Context(), linkRequest())
	assert.Equal(t, guard.OptedOut, refusal(t, err).Reason, "also while it waits to be written")

	unready := newOutbox(t, rdb, &provider{}, func(o *Options) { o.Secret = func() []byte { return nil } })
	_, err = unready.Link(t.Context(), linkRequest())
	require.ErrorIs(t, err, ErrStore)
}

// Asked for again with the same key, it is the same link; also when the answer was
// lost, or the script runs twice.
func TestOneKeyIsOneLink(t *testing.T) {
	for _, shorten := range []bool{true, false} {
		for _, fault := range []string{"none", "twice", "lost before", "lost after"} {
			rdb := connect(t, startRedis(t))
			require.NoError(t, linkScript.Load(t.Context(), rdb).Err())
			first := true
			rdb.AddHook(&meddler{around: func(script string, run func() error) error {
				if script != "link" || !first || fault == "none" {
					return run()
				}
				first = false
				if fault != "lost before" {
					if err := run(); err != nil {
						return err
					}
				}
				if fault == "twice" {
					return run()
				}
				return errCut
			}})
			o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, home()))
			r := linkRequest()
			r.Shorten, r.Key = shorten, "key"
			if strings.HasPrefix(fault, "lost") {
				_, err := o.Link(t.Context(), r)
				require.ErrorIs(t, err, ErrStore)
			}
			made, err := o.Link(t.Context(), r)
			require.NoError(t, err)
			before := len(keys(t, "*"))
			r.Campaign.Interaction.URL = "https://other.example.com/"
			again, err := o.Link(t.Context(), r)
			require.NoError(t, err)
			assert.Equal(t, made, again, "as it was the first time")
			assert.Len(t, keys(t, "*"), before)
			assert.Len(t, keys(t, campaigns.Key("link", "*", "url")), 1)

			for _, change := range []func(*LinkRequest){
				func(r *LinkRequest) { r.Shorten = !shorten },
				func(r *LinkRequest) { r.To = nil },
				func(r *LinkRequest) { r.To = &phone.Number{E164: "+14155550199"} },
				func(r *LinkRequest) { r.Campaign = testCampaign(); r.Campaign.ID = "other" },
			} {
				other := r
				change(&other)
				_, err = o.Link(t.Context(), other)
				require.ErrorIs(t, err, ErrConflict)
			}
			// The key of a link is none of a text.
			q := request()
			q.Key = "key"
			pending, err := o.Send(t.Context(), q)
			require.NoError(t, err)
			states(t, pending)
		}
	}
}

// Without a key a script that runs twice makes one link, and a code that is taken
// is not taken over.
func TestALinkIsMadeOnce(t *testing.T) {
	rdb := connect(t, startRedis(t))
	require.NoError(t, linkScript.Load(t.Context(), rdb).Err())
	rdb.AddHook(&meddler{around: func(script string, run func() error) error {
		if err := run(); err != nil || script != "link" {
			return err
		}
		return run()
	}})
	o := newOutbox(t, rdb, &provider{})
	made, err := o.Link(t.Context(), linkRequest())
	require.NoError(t, err)
	assert.Len(t, keys(t, campaigns.Key("link", "*", "url")), 1)
	before, behind := linkURLKey()
	answer, err := o.run(t.Context(), linkScript, "test", []string{link.Key(made.Code), link.URLKey(made.Code), linksKey("")},
		made.Code, "https://example.com", 1000, 1000, "", 0, "", 1000, before, behind, 1, "another", link.FieldCampaign, "other")
	require.NoError(t, err)
	assert.Equal(t, "collision", answer.string(0))
	_, location := opened(rdb, made.Code)
	assert.Equal(t, made.InteractionURL, location)
}

// The links of a person who is forgotten lead nowhere, and nothing tells whose they
// were; also those that were no short ones.
func TestForgettingAPersonKillsTheirLinks(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, home()))
	var codes []string
	for range forgetBatch + 20 {
		l, err := o.Link(t.Context(), linkRequest())
		require.NoError(t, err)
		codes = append(codes, l.Code)
	}
	long := linkRequest()
	long.Shorten, long.Key = false, "long"
	short := linkRequest()
	short.Key = "short"
	for _, r := range []LinkRequest{long, short} {
		_, err := o.Link(t.Context(), r)
		require.NoError(t, err)
	}
	other := linkRequest()
	other.To = &phone.Number{E164: "+14155550177"}
	kept, err := o.Link(t.Context(), other)
	require.NoError(t, err)

	for range 2 {
		n, err := o.Forget(t.Context(), caller)
		require.NoError(t, err)
		assert.Zero(t, n, "there was no message")
	}
	for _, code := range codes {
		status, _ := opened(rdb, code)
		require.Equal(t, http.StatusGone, status)
	}
	for key, value := range everything(t, rdb) {
		for _, trace := range []string{caller[1:], campaigns.Pseudonym(secret, caller)} {
			assert.NotContains(t, key, trace)
			assert.NotContains(t, value, trace, key)
		}
	}
	status, _ := opened(rdb, kept.Code)
	assert.Equal(t, http.StatusFound, status)
	for _, r := range []LinkRequest{long, short} {
		_, err := o.Link(t.Context(), r)
		require.ErrorIs(t, err, ErrNotFound)
	}
}

// A link that has expired leaves the list of its person's.
func TestTheLinksOfAPersonAreNoListForEver(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{})
	r := linkRequest()
	for _, expiry := range []time.Duration{time.Hour, time.Millisecond, 2 * time.Hour} {
		r.Campaign.Link.ExpiresAfter = campaigns.Duration(expiry)
		_, err := o.Link(t.Context(), r)
		require.NoError(t, err)
		time.Sleep(2 * time.Millisecond)
	}
	mine := linksKey(campaigns.Pseudonym(nil, caller))
	assert.EqualValues(t, 2, rdb.ZCard(t.Context(), mine).Val())
	assert.InDelta(t, 2*time.Hour, rdb.PTTL(t.Context(), mine).Val(), float64(time.Minute))
}
