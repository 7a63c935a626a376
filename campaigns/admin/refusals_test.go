package admin

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/phone"
)

// Who opted out gets nothing, not even a test.
func TestOptOutHolds(t *testing.T) {
	f := newFixture(t)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	f.do("PUT", optOutsPath+"/+14155550132", "").want(http.StatusCreated)
	for _, body := range []string{`{"to":"+14155550132"}`, `{"to":"415-555-0132","test":true}`} {
		f.unchanged(body, func() {
			r := f.do("POST", sendBilling, body, "Idempotency-Key: "+body).want(http.StatusConflict)
			require.Equal(t, "opted_out", r.problem().Reason)
			require.Empty(t, r.header.Get("Retry-After"))
		})
	}
	f.do("DELETE", optOutsPath+"/+14155550132", "").want(http.StatusNoContent)
	f.do("POST", sendBilling, `{"to":"+14155550132"}`, `Idempotency-Key: {"to":"+14155550132"}`).want(http.StatusAccepted)
}

// A limit refuses with a word and with the time to wait; tests count nowhere.
func TestLimitsRefuse(t *testing.T) {
	policy := guard.Policy{Countries: []string{"US"}, Cooldown: time.Hour, PerCallerPerDay: 2, PerPrefixPerHour: 5, SegmentsPerDay: 7}
	f := newGuarded(t, policy)
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	f.do("POST", campaignsPath, strings.TrimSuffix(campaign("second", "+18005550102"), "}")+
		`,"limits":{"cooldown":"0s","per_day":4}}`).want(http.StatusCreated)
	refused := func(path, to, reason, word string, longest time.Duration) {
		t.Helper()
		f.unchanged(to, func() {
			r := f.do("POST", path, `{"to":"`+to+`"}`).want(http.StatusConflict)
			require.Equal(t, reason, r.problem().Reason, r.body)
			require.Contains(t, r.problem().Detail, word)
			after, err := strconv.Atoi(r.header.Get("Retry-After"))
			require.NoError(t, err)
			require.Positive(t, after)
			require.LessOrEqual(t, time.Duration(after)*time.Second, longest+time.Second)
		})
	}
	const second = "/v1/campaigns/second/messages"
	for range 3 {
		f.do("POST", sendBilling, `{"to":"+14155550132","test":true}`).want(http.StatusAccepted)
	}
	f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(http.StatusAccepted)
	refused(sendBilling, "+14155550132", "cooldown", "short while", time.Hour)
	f.do("POST", second, `{"to":"+14155550132"}`).want(http.StatusAccepted)
	refused(second, "+14155550132", "capped", "limits.per_caller_per_day of the configuration", 24*time.Hour)
	for _, to := range []string{"+14155550133", "+14155550134", "+14155550135"} {
		f.do("POST", second, `{"to":"`+to+`"}`).want(http.StatusAccepted)
	}
	refused(second, "+14155550136", "capped", "last four digits", time.Hour)
	refused(second, "+12125550136", "capped", "limits.per_day", 24*time.Hour)
	f.do("POST", sendBilling, `{"to":"+12125550137"}`).want(http.StatusAccepted)
	f.do("POST", sendBilling, `{"to":"+12135550137"}`).want(http.StatusAccepted)
	refused(sendBilling, "+12135550138", "capped", "limits.segments_per_day", 24*time.Hour)
	f.do("POST", sendBilling, `{"to":"+12135550138","test":true}`).want(http.StatusAccepted)
}

// A number that calls too often is not texted.
func TestSurgeRefuses(t *testing.T) {
	f := newGuarded(t, guard.Policy{Countries: []string{"US"}, SurgeCalls: 3})
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	n, err := phone.Parse("+14155550132", "US")
	require.NoError(t, err)
	c, err := f.options.Campaigns.Get(t.Context(), "billing")
	require.NoError(t, err)
	for range 4 {
		_, err := f.options.Guards.Check(t.Context(), c, n, 1)
		require.NoError(t, err)
	}
	r := f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(http.StatusConflict)
	require.Equal(t, "ani_untrusted", r.problem().Reason)
	f.do("POST", sendBilling, `{"to":"+14155550133"}`).want(http.StatusAccepted)
}

// A permanent failure keeps a number from being texted until its time is over
// or an admin says otherwise.
func TestSuppression(t *testing.T) {
	f := newGuarded(t, guard.Policy{Countries: []string{"US"}, Suppress: 24 * time.Hour})
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	f.failed("+14155550132")
	r := f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(http.StatusConflict)
	require.Equal(t, "suppressed", r.problem().Reason)
	require.NotEmpty(t, r.header.Get("Retry-After"))
	f.do("DELETE", "/v1/suppressions/4155550132", "").want(http.StatusNoContent)
	f.do("DELETE", "/v1/suppressions/4155550132", "").want(http.StatusNotFound)
	f.do("POST", sendBilling, `{"to":"+14155550132"}`).want(http.StatusAccepted)
}

// texted sends a text and waits until the provider has it.
func (f *fixture) texted(body string) message.Message {
	f.t.Helper()
	m := read[message.Message](f.do("POST", sendBilling, body).want(http.StatusAccepted))
	require.Eventually(f.t, func() bool {
		return read[message.Message](f.do("GET", messagesPath+"/"+m.ID, "").want(200)).State == message.Accepted
	}, time.Minute, 10*time.Millisecond)
	return m
}

// One key is one text, however often and at once it is asked for; and what was
// refused may be asked for again with the same key.
func TestOneKeyIsOneText(t *testing.T) {
	f := newGuarded(t, guard.Policy{Countries: []string{"US"}, PerCallerPerDay: 1})
	f.do("POST", campaignsPath, billing).want(http.StatusCreated)
	const people = 16
	answers := make([]reply, people)
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() {
			body := `{"to":"+14155550132"}`
			if i%4 == 3 {
				body = `{"to":"+14155550133"}`
			}
			answers[i] = f.do("POST", sendBilling, body, "Idempotency-Key: k")
		})
	}
	all.Wait()
	ids := map[string]int{}
	for _, r := range answers {
		if r.code == http.StatusAccepted {
			ids[read[message.Message](r).ID]++
			continue
		}
		r.want(http.StatusConflict).names("Idempotency-Key")
	}
	require.Len(t, ids, 1)
	texts := read[List[message.Message]](f.do("GET", messagesPath, ""))
	require.Len(t, texts.Items, 1)

	f.do("POST", sendBilling, `{"to":"+14155550139"}`).want(202)
	f.do("POST", sendBilling, `{"to":"+14155550139"}`, "Idempotency-Key: later").want(409)
	require.NoError(t, f.options.Guards.Forget(t.Context(), "+14155550139"))
	f.do("POST", sendBilling, `{"to":"+14155550139"}`, "Idempotency-Key: later").want(202)
}

// Every reason a guard has is told in words.
func TestEveryReasonIsTold(t *testing.T) {
	for _, reason := range []guard.Reason{
		guard.OptedOut, guard.Suppressed, guard.Cooldown, guard.Capped, guard.ANIUntrusted, guard.NotMobile,
		guard.CountryNotAllowed, guard.ANIOwnNumber, guard.OutsideHours,
	} {
		p := refusalOf(guard.Refusal{Reason: reason, RetryAfter: 1500 * time.Millisecond}, []string{"US", "CA"})
		require.Equal(t, string(reason), p.Reason)
		require.NotEqual(t, unknownRefusal, p.Detail)
		if p.Status == http.StatusConflict {
			require.Equal(t, "2", p.Headers.Get("Retry-After"))
		} else {
			require.Equal(t, "/to", *p.Errors[0].Pointer)
		}
	}
	require.Contains(t, refusalOf(guard.Refusal{Reason: guard.CountryNotAllowed}, []string{"US", "CA"}).Errors[0].Detail, "US, CA")
	seen := map[string]bool{}
	for _, limit := range []string{guard.LimitCaller, guard.LimitCampaignCaller, guard.LimitCampaign, guard.LimitPrefix, guard.LimitSegments} {
		detail := refusalOf(guard.Refusal{Reason: guard.Capped, Limit: limit}, nil).Detail
		require.False(t, seen[detail], limit)
		seen[detail] = true
	}
	require.Len(t, seen, len(limits))
}
