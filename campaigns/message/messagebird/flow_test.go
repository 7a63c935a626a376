package messagebird

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

const (
	person    = "+14155550132"
	ourNumber = "+18005550100"
)

// house is all of it, on a Redis of its own: MessageBird's stand-in, the outbox,
// the inbox and the webhooks, at an address that the stand-in can reach.
type house struct {
	listener
	redis    *lab.Redis
	provider *lab.Provider
	outbox   *message.Outbox
	list     *optout.List
}

func newHouse(t *testing.T) *house {
	t.Helper()
	return newHouseThatGives(t, labtest.Patience)
}

// newHouseThatGives gives its Redis so long for whatever it is asked.
func newHouseThatGives(t *testing.T, wait time.Duration) *house {
	t.Helper()
	var h house
	var err error
	h.redis, err = lab.StartTestRedis(t.Context(), t.TempDir(), "--appendonly", "yes", "--appendfsync", "no")
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.redis.Stop() })
	h.provider, err = lab.StartProvider()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.provider.Stop()) })
	rdb := labtest.Dial(t, h.redis, wait)
	mux := http.NewServeMux()
	public := httptest.NewServer(mux)
	t.Cleanup(public.Close)
	h.URL = public.URL

	client, err := NewClient(Options{AccessKey: h.provider.AccessKey, URL: h.provider.URL})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	guards, err := guard.New(guard.Options{
		Redis: rdb, Secret: secret, Policy: guard.Policy{Countries: []string{"US"}},
		Timeout: labtest.Patience, StoreTimeout: labtest.Patience,
	})
	require.NoError(t, err)
	h.list = optout.New(optout.Options{Redis: rdb, Secret: secret, StoreTimeout: labtest.Patience})
	h.outbox, err = message.NewOutbox(message.Options{
		Redis: rdb, Provider: NewProvider(client, public.URL, secret), PublicURL: public.URL, Originator: ourNumber,
		Guards: guards, OptOuts: h.list, Secret: secret,
		Backoff: message.Backoff{Initial: 20 * time.Millisecond, Max: 100 * time.Millisecond},
		Breaker: message.Breaker{Failures: 1000}, StoreTimeout: labtest.Patience,
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- h.outbox.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	inbox := inbound.New(inbound.Options{
		Redis: rdb, Secret: secret, OptOuts: h.list, Reply: h.outbox.Reply, Region: "US",
		Replies: inbound.Replies{Stopped: "You will get no more texts.", Started: "Welcome back.", Help: "Call us."}, StoreTimeout: labtest.Patience,
	})
	o := WebhookOptions{PublicURL: public.URL, Secret: secret, SigningKey: signingKey, Redis: rdb}
	h.reports, err = NewReports(o, h.outbox.Report)
	require.NoError(t, err)
	h.texts, err = NewInbound(o, inbox.Receive)
	require.NoError(t, err)
	h.reports.signatures.claimTime, h.texts.signatures.claimTime = 2*time.Second, 2*time.Second
	mux.Handle(ReportPattern, h.reports)
	mux.Handle(InboundPattern, h.texts)
	return &h
}

// send sends a text to the person.
func (h *house) send(t *testing.T) string {
	t.Helper()
	p, err := h.outbox.Send(t.Context(), h.request())
	require.NoError(t, err)
	return p.Message().ID
}

// request asks for a text to the person.
func (h *house) request() message.Request {
	return message.Request{Campaign: &campaigns.Campaign{
		ID: "billing", Text: "Acme: pay here {link}",
		Interaction: campaigns.Interaction{ID: "pay", URL: "https://visual.example.com/start?interaction={interaction_id}", CallerID: "none"},
		Validity:    campaigns.Duration(15 * time.Minute),
		Link:        campaigns.LinkPolicy{ExpiresAfter: campaigns.Duration(72 * time.Hour)},
	}, To: phone.Number{E164: person, Region: "US"}}
}

// wants waits until a message is in a state.
func (h *house) wants(t *testing.T, id string, s message.State) message.Message {
	t.Helper()
	var m message.Message
	require.Eventually(t, func() bool {
		var err error
		m, err = h.outbox.Get(context.WithoutCancel(t.Context()), id)
		return err == nil && m.State == s
	}, time.Minute, 5*time.Millisecond, "message never got %s, it is %+v", s, m)
	return m
}

// text is one of the person, as MessageBird hands it over: with a signature.
func (h *house) text(t *testing.T, body string) call {
	t.Helper()
	return h.signed(t, texting(url.Values{
		"id": {time.Now().String()}, "originator": {person[1:]}, "recipient": {ourNumber[1:]}, "payload": {body},
		"createdDatetime": {time.Now().UTC().Format(time.RFC3339Nano)},
	}.Encode()).without())
}

// signed signs a call to the address that the house is reached at.
func (h *house) signed(t *testing.T, c call) call {
	t.Helper()
	return c.signed(t, func(claims jwt.MapClaims) { claims["url_hash"] = hash([]byte(h.URL + c.target)) })
}

// sent waits until MessageBird has taken n texts, and answers their bodies.
func (h *house) sent(t *testing.T, n int) (bodies []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	texts, err := h.provider.AwaitTexts(ctx, n)
	require.NoError(t, err)
	for _, m := range texts {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// Reports repeat and come in any order: the text is what the final one says.
func TestReportsRepeatAndComeInAnyOrder(t *testing.T) {
	h := newHouse(t)
	id := h.send(t)
	h.wants(t, id, message.Accepted)
	text := h.provider.Texts()[0]
	for _, r := range []lab.DeliveryReport{
		{Status: "buffered"},
		{Status: "delivered", StatusReason: "successfully delivered"},
		{Status: "sent"},
		{Status: "delivered"},
		{Status: "buffered"},
		{Status: "delivery_failed", ErrorCode: 1},
		{Status: "expired"},
		{Status: "teleported"},
		{Status: "scheduled"},
	} {
		status, err := h.provider.Report(t.Context(), text, r)
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status, r.Status)
	}
	m := h.wants(t, id, message.Delivered)
	assert.Equal(t, text.ID, m.ProviderID)
	assert.Equal(t, 8, h.counted(taken))
	assert.Equal(t, 1, h.counted(unknownStatus))
	text.Reference += "x"
	status, err := h.provider.Report(t.Context(), text, lab.DeliveryReport{Status: "delivered"})
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, status, "the token is that of one text")
}

// Whoever has opted out at MessageBird is on the list from then on.
func TestAReportOfAnOptOut(t *testing.T) {
	h := newHouse(t)
	id := h.send(t)
	h.wants(t, id, message.Accepted)
	for range 2 {
		status, err := h.provider.Report(t.Context(), h.provider.Texts()[0], lab.DeliveryReport{Status: "delivery_failed", ErrorCode: 103})
		require.NoError(t, err)
		assert.Equal(t, http.StatusOK, status)
	}
	assert.Equal(t, "opted_out", h.wants(t, id, message.Failed).Reason)
	e, err := h.list.Get(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, optout.Provider, e.Source)
	// The person's own START takes it back.
	assert.Equal(t, http.StatusOK, h.do(t, h.text(t, "START")))
	_, err = h.list.Get(t.Context(), person)
	assert.ErrorIs(t, err, optout.ErrNotFound)
}

// So is whoever MessageBird refuses to text for that reason, and MessageBird
// counts as well: others are texted.
func TestARefusalOfAnOptOut(t *testing.T) {
	h := newHouse(t)
	h.provider.Then(lab.Rejects(103, "the recipient has opted out", "recipient"))
	m := h.wants(t, h.send(t), message.Failed)
	assert.Equal(t, "opted_out", m.Reason)
	e, err := h.list.Get(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, optout.Provider, e.Source)
	assert.Empty(t, h.provider.Texts())
	_, err = h.outbox.Send(t.Context(), h.request())
	var refused *guard.Refused
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, guard.OptedOut, refused.Reason)
}

// A text that is queued for somebody who says STOP is not sent.
func TestStopWhileATextIsQueued(t *testing.T) {
	h := newHouse(t)
	require.NoError(t, h.provider.Refuse())
	id := h.send(t)
	h.wants(t, id, message.Queued)
	for range 2 {
		assert.Equal(t, http.StatusOK, h.do(t, h.text(t, "Stop it!")))
	}
	m := h.wants(t, id, message.Cancelled) // before anything can go out: an attempt may be under way
	assert.Equal(t, "opted_out", m.Reason)
	require.NoError(t, h.provider.Accept())
	assert.Equal(t, []string{"You will get no more texts."}, h.sent(t, 1))
	confirmation := h.provider.Texts()[0]
	assert.Equal(t, []string{person[1:]}, confirmation.Recipients)
	assert.Equal(t, ourNumber[1:], confirmation.Originator)

	assert.Equal(t, http.StatusOK, h.do(t, h.text(t, "start")))
	assert.Equal(t, "Welcome back.", h.sent(t, 2)[1])
	h.wants(t, h.send(t), message.Accepted)
	texts := h.sent(t, 3)
	require.Len(t, texts, 3)
	assert.True(t, strings.HasPrefix(texts[2], "Acme: pay here "), "and the one that was cancelled is not sent now")
}

// While Redis is away nothing is taken, and nothing is lost: it all comes again.
func TestStoreAway(t *testing.T) {
	for name, c := range map[string]struct {
		away, back func(h *house) error
	}{
		"frozen": {func(h *house) error { return h.redis.Freeze() }, func(h *house) error { return h.redis.Thaw() }},
		"killed": {func(h *house) error { return h.redis.Kill() }, func(h *house) error {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			return h.redis.Restart(ctx)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouseThatGives(t, time.Second)
			id := h.send(t)
			h.wants(t, id, message.Accepted)
			text := h.provider.Texts()[0]
			target, err := url.Parse(text.ReportURL)
			require.NoError(t, err)
			query := "?id=" + text.ID + "&reference=" + id + "&status=delivered"
			calls := []call{
				{method: http.MethodGet, target: target.Path + query},
				h.signed(t, call{method: http.MethodGet, target: reportPath + query}),
				h.text(t, "STOP"),
				h.text(t, "STOP"),
			}
			require.NoError(t, c.away(h))
			for _, c := range calls {
				assert.Equal(t, http.StatusServiceUnavailable, h.do(t, c))
			}
			require.NoError(t, c.back(h))
			for _, c := range calls {
				// One that was claimed by a Redis that could not say so any more
				// has to wait for the claim to end.
				require.Eventually(t, func() bool { return h.do(t, c) == http.StatusOK }, time.Minute, 50*time.Millisecond)
			}
			h.wants(t, id, message.Delivered)
			_, err = h.list.Get(t.Context(), person)
			require.NoError(t, err)
			assert.Equal(t, "You will get no more texts.", h.sent(t, 2)[1])
		})
	}
}
