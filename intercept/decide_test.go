package intercept

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
)

// TestDecide checks each reason, and that each gives way to those before it:
// facts are added from the last reason to the first, and each time the reason
// added last is the one that is given.
func TestDecide(t *testing.T) {
	f := facts{known: true, campaign: &campaigns.Campaign{}}
	require.Equal(t, verdict{}, decide(&f), "intercept")
	for _, next := range []struct {
		add  func()
		want verdict
	}{
		{func() { f.providerDown = true }, verdict{report.Failed, report.ProviderDown}},
		{func() { f.storeDown = true }, verdict{report.Failed, report.StoreDown}},
		{func() { f.draining = true }, verdict{report.Passed, report.ShuttingDown}},
		{func() { f.senderless = true }, verdict{report.Passed, report.ServiceOff}},
		{func() { f.serviceOff, f.senderless = true, false }, verdict{report.Passed, report.ServiceOff}},
		{func() { f.refused.Reason = guard.Capped }, verdict{report.Passed, report.Capped}},
		{func() { f.refused.Reason = guard.OptedOut }, verdict{report.Passed, report.OptedOut}},
		{func() { f.forbidden.Reason = guard.OutsideHours }, verdict{report.Passed, report.OutsideHours}},
		{func() { f.forbidden.Reason = guard.NotMobile }, verdict{report.Passed, report.NotMobile}},
		{func() { f.forbidden.Reason = guard.ANIOwnNumber }, verdict{report.Passed, report.ANIOwnNumber}},
		{func() { f.callerErr = phone.ErrInvalid }, verdict{report.Passed, report.ANIInvalid}},
		{func() { f.withheld = true }, verdict{report.Passed, report.ANIWithheld}},
		{func() { f.forwarded = true }, verdict{report.Passed, report.ANIForwarded}},
		{func() { f.campaign.Enabled = new(bool) }, verdict{report.Passed, report.CampaignDisabled}},
		{func() { f.campaign = nil }, verdict{report.Passed, report.NoCampaign}},
		{func() { f.known = false }, verdict{report.Failed, report.StoreDown}},
	} {
		next.add()
		require.Equal(t, next.want, decide(&f))
	}
}

// manyCampaigns is a directory with a thousand of them.
type manyCampaigns map[string]*campaigns.Campaign

func (m manyCampaigns) Lookup(dnis string) *campaigns.Campaign { return m[dnis] }
func (m manyCampaigns) ServiceOn() bool                        { return true }
func (m manyCampaigns) Ready() bool                            { return true }

func benchmarkRules() rules {
	many := manyCampaigns{}
	for n := range 1000 {
		c := &campaigns.Campaign{ID: fmt.Sprint(n)}
		c.SetDefaults()
		many[fmt.Sprintf("+1800555%04d", n)] = c
	}
	return rules{directory: many, guards: &doorman{}, senders: senders(true), region: "US"}
}

// BenchmarkDecision is the decision about a call that is intercepted: its
// arguments, the lookup and all checks, but for reading the caller's number.
func BenchmarkDecision(b *testing.B) {
	r := benchmarkRules()
	g := gate{latency: func() time.Duration { return 0 }}
	caller, err := phone.Parse(mobile, "US")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		id := arrival.identity()
		n := numbers{
			dialled: id.dnis, caller: caller, forwarded: id.rdnis != "",
			withheld: prohibited(id.presentation) || phone.Withheld(id.ani),
		}
		f := r.look(&n)
		if v := decide(&f); v != intercepted || g.refuses() {
			b.Fatal(v)
		}
	}
}

// BenchmarkDecisionAndNumber is the same with reading the caller's number.
func BenchmarkDecisionAndNumber(b *testing.B) {
	r := benchmarkRules()
	b.ReportAllocs()
	for b.Loop() {
		id := arrival.identity()
		n := r.read(&id)
		f := r.look(&n)
		if v := decide(&f); v != (verdict{}) {
			b.Fatal(v)
		}
	}
}

// TestDecisionAllocations holds the decision to what it may cost.
func TestDecisionAllocations(t *testing.T) {
	r := benchmarkRules()
	caller, err := phone.Parse(mobile, "US")
	require.NoError(t, err)
	allocations := testing.AllocsPerRun(100, func() {
		id := arrival.identity()
		n := numbers{dialled: id.dnis, caller: caller, withheld: phone.Withheld(id.ani)}
		f := r.look(&n)
		if v := decide(&f); v != (verdict{}) {
			t.Fatal(v)
		}
	})
	require.LessOrEqual(t, allocations, 2.0)
}

// TestCallIDWithoutSecret checks that ids cannot be guessed before the
// service's secret is known, and that they differ from those made with it.
func TestCallIDWithoutSecret(t *testing.T) {
	var secret []byte
	i := newInterceptor(Options{
		Secret: func() []byte { return secret }, Registerer: prometheus.NewRegistry(),
		Logger: slog.New(slog.DiscardHandler),
	}, &mailbox{})
	before := i.newRecord(&arrival, &identity{}, time.Now()).ID
	require.Len(t, before, 22)
	require.NotEqual(t, report.CallID(nil, arrival.Node, arrival.Channel, arrival.Created), before)
	secret = []byte("secret")
	require.NotEqual(t, before, i.newRecord(&arrival, &identity{}, time.Now()).ID)
}
