package intercept

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/ari"
	"deflectd/ari/aritest"
	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// within is what every caller is promised: whatever breaks, the call is hung
// up by decision or back in the dialplan.
const within = 5 * time.Second

// patience bounds what is waited for in real time, on a machine that may be busy:
// that callers get what they are promised is for the tests in fake time to say.
const patience = 4 * within

// gateway is a provider that takes every text, or does what the test says.
type gateway struct {
	taken atomic.Int64
	mu    sync.Mutex
	do    func(ctx context.Context) error
}

func (g *gateway) Name() string { return "test" }

func (g *gateway) behave(do func(context.Context) error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.do = do
}

func (g *gateway) Send(ctx context.Context, _ message.Text) (string, error) {
	g.mu.Lock()
	do := g.do
	g.mu.Unlock()
	if do != nil {
		if err := do(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprint(g.taken.Add(1)), nil
}

// exchange is an interceptor between a simulated Asterisk and a real Redis.
type exchange struct {
	t        *testing.T
	pbx      *aritest.Server
	client   *ari.Client
	redis    *lab.Redis
	optOuts  *optout.List
	gateway  *gateway
	campaign *campaigns.Campaign
	book     *phoneBook
	ledger   *ledger
	i        *Interceptor
	stop     func()
}

func newExchange(t *testing.T, change ...func(*guard.Policy)) *exchange {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	if os.Getenv("DEFLECTD_TEST_LOG") != "" {
		logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	c := &campaigns.Campaign{
		ID: "billing", DNIS: []string{dialled}, Originator: "Acme",
		Interaction: campaigns.Interaction{URL: "https://visual.example.com/start"}, Text: "Pay here {link}",
	}
	c.SetDefaults()
	x := &exchange{
		t: t, pbx: aritest.New(), gateway: &gateway{}, campaign: c, book: &phoneBook{campaign: c}, ledger: &ledger{},
	}
	t.Cleanup(x.pbx.Close)
	x.pbx.AddSound("deflectd/offer", 300*time.Millisecond)
	x.pbx.AddSound("deflectd/long", time.Minute)

	var err error
	x.redis, err = lab.StartRedis(t.Context(), filepath.Join(t.TempDir(), "redis"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.redis.Kill()) })
	rdb := redis.NewClient(&redis.Options{Addr: x.redis.Addr, ContextTimeoutEnabled: true, MaxRetries: 1})
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	secret := func() []byte { return []byte("secret") }
	x.optOuts = optout.New(optout.Options{
		Redis: rdb, Secret: secret, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	policy := guard.Policy{Countries: []string{"US"}}
	for _, f := range change {
		f(&policy)
	}
	guards, err := guard.New(guard.Options{
		Redis: rdb, Policy: policy, Secret: secret, Logger: logger,
		Timeout:    time.Second, // a busy machine is no frozen store
		Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	box, err := message.NewOutbox(message.Options{
		Redis: rdb, Provider: x.gateway, PublicURL: "https://txt.example.com", Logger: logger,
		Guards: guards, OptOuts: x.optOuts, Secret: secret, Registerer: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	x.client, err = ari.New(ari.Options{
		Name: "pbx1", URL: x.pbx.URL, Username: x.pbx.Username, Password: x.pbx.Password,
		Application: aritest.Application, Logger: logger, Handle: x.handle, Orphan: x.orphan,
		Poll: time.Second,
	})
	require.NoError(t, err)
	x.i = New(Options{
		Directory: x.book, Guards: guards, OptOuts: x.optOuts, Outbox: box, Recorder: x.ledger, Region: "US",
		Secret: secret, Latency: x.client.CommandLatency, Logger: logger, Registerer: prometheus.NewRegistry(),
	})
	x.run(box)
	return x
}

// run runs the parts until the test is over, or stop is called.
func (x *exchange) run(box *message.Outbox) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(x.t.Context()))
	var parts sync.WaitGroup
	parts.Go(func() { _ = x.client.Run(ctx) })
	parts.Go(func() { _ = box.Run(ctx) })
	parts.Go(func() { _ = x.optOuts.Run(ctx) })
	x.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
	})
	x.t.Cleanup(x.stop)
	require.Eventually(x.t, x.client.Up, patience, 5*time.Millisecond)
}

func (x *exchange) handle(ctx context.Context, ch *ari.Channel) {
	s := ch.Start()
	x.i.Handle(ctx, ch, Arrival{
		Channel: ch.ID(), Node: ch.Node(), Args: s.Args, Extension: s.Extension,
		CallerNumber: s.CallerNumber, RDNIS: s.RDNIS, Created: s.Created,
	})
}

func (x *exchange) orphan(ctx context.Context, o ari.Orphan) {
	x.i.Orphaned(ctx, Arrival{
		Channel: o.Channel, Node: o.Node, Args: o.Args, Extension: o.Extension,
		CallerNumber: o.CallerNumber, Created: o.Created,
	})
}

// call places a call.
func (x *exchange) call() *aritest.Call {
	return x.pbx.Call(aritest.Caller{Number: mobile, DNIS: dialled})
}

// out waits until the call is out of our hands, and says where it is.
func (x *exchange) out(call *aritest.Call) aritest.State {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	require.NoError(x.t, call.Wait(ctx, func(s aritest.State) bool { return s.Where != aritest.InStasis }))
	return call.State()
}

// playing waits until the call hears the sound; a short one may be over by then.
func (x *exchange) playing(call *aritest.Call, sound string) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	require.NoError(x.t, call.Wait(ctx, func(s aritest.State) bool { return heard(s, sound) }))
}

// heard tells whether a call hears a sound, or has heard it.
func heard(s aritest.State, sound string) bool {
	return slices.ContainsFunc(s.Heard, func(h aritest.Heard) bool { return h.Media == sound })
}

// record waits for the one record of a call.
func (x *exchange) record(channel string) report.Call {
	x.t.Helper()
	var found []report.Call
	require.Eventually(x.t, func() bool {
		x.ledger.mu.Lock()
		defer x.ledger.mu.Unlock()
		found = nil
		for _, c := range x.ledger.records {
			if c.Channel == channel {
				found = append(found, c)
			}
		}
		return len(found) > 0
	}, patience, 5*time.Millisecond)
	require.Len(x.t, found, 1)
	return found[0]
}

// ended checks how a call has ended.
func (x *exchange) ended(call *aritest.Call, where aritest.Place, outcome report.Outcome, reason report.Reason) report.Call {
	x.t.Helper()
	state := x.out(call)
	require.Equal(x.t, where, state.Where)
	got := x.record(call.ID())
	require.Equal(x.t, outcome, got.Outcome)
	require.Equal(x.t, reason, got.Reason)
	return got
}

// TestSwitch takes calls through a simulated Asterisk, a real Redis, and what
// breaks them.
func TestSwitch(t *testing.T) {
	const offer, long = "sound:deflectd/offer", "sound:deflectd/long"
	for _, test := range []struct {
		name string
		play func(x *exchange)
	}{
		{"deflected", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			got := x.ended(call, aritest.Gone, report.Deflected, report.Released)
			require.NotEmpty(x.t, got.Message)
			require.Equal(x.t, "application", call.State().EndedBy)
			require.EqualValues(x.t, 1, x.gateway.taken.Load())
		}},
		{"transfer", func(x *exchange) {
			x.campaign.Release.Action = campaigns.ActionTransfer
			x.campaign.Release.Transfer = campaigns.Transfer{Context: "queues", Extension: "billing", Priority: 1}
			x.pbx.AllowTransfer("queues,billing,1")
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			got := x.ended(call, aritest.InDialplan, report.Texted, report.ToTransfer)
			require.Equal(x.t, "queues", call.State().Context)
			require.Equal(x.t, got.Message, call.Variable("DEFLECTD_MESSAGE"))
			require.Equal(x.t, got.ID, call.Variable("DEFLECTD_CALL"))
		}},
		{"out of a long prompt", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			call.Press("2")
			x.ended(call, aritest.InDialplan, report.Declined, report.KeypressDecline)
			require.Equal(x.t, "declined", call.Variable("DEFLECTD_OUTCOME"))
		}},
		{"a prompt that does not exist", func(x *exchange) {
			x.campaign.Offer.Prompt = "sound:not-there"
			x.ended(x.call(), aritest.InDialplan, report.Failed, report.PromptFailed)
		}},
		{"accepts and hangs up", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			call.Hangup()
			x.ended(call, aritest.Gone, report.Deflected, report.CallerHungUp)
			require.Eventually(x.t, func() bool { return x.gateway.taken.Load() == 1 }, patience, 5*time.Millisecond)
		}},
		{"hangs up in the prompt", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			call.Hangup()
			x.ended(call, aritest.Gone, report.Abandoned, report.CallerHungUp)
		}},
		{"the dead man's switch", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			x.pbx.SetDeadMan(time.Second)
			x.ended(x.call(), aritest.InDialplan, report.Failed, report.SwitchLost)
		}},
		{"without arguments", func(x *exchange) {
			call := x.pbx.Call(aritest.Caller{Number: mobile, DNIS: dialled, Presentation: "prohib", Args: []string{}})
			x.ended(call, aritest.InDialplan, report.Passed, report.ANIWithheld)
			require.Equal(x.t, 1, x.pbx.Requests(aritest.VerbGet))
		}},
		{"two requests to pass", func(x *exchange) {
			x.book.off = true
			x.ended(x.call(), aritest.InDialplan, report.Passed, report.ServiceOff)
			require.Equal(x.t, 1, x.pbx.Requests(aritest.VerbSet))
			require.Equal(x.t, 1, x.pbx.Requests(aritest.VerbContinue))
			require.Equal(x.t, 0, x.pbx.Requests(aritest.VerbAnswer))
		}},
		{"the answer hangs", func(x *exchange) {
			x.pbx.Fail(aritest.VerbAnswer, aritest.Fault{Hang: true})
			x.ended(x.call(), aritest.InDialplan, report.Failed, report.SwitchLost)
		}},
		{"the prompt plays and is never answered for", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			x.pbx.Fail(aritest.VerbPlay, aritest.Fault{Mute: true})
			x.ended(x.call(), aritest.InDialplan, report.Failed, report.SwitchLost)
		}},
		{"the variables are refused", func(x *exchange) {
			x.book.off = true
			x.pbx.Fail(aritest.VerbSet, aritest.Fault{Status: 500})
			x.ended(x.call(), aritest.InDialplan, report.Passed, report.ServiceOff)
		}},
		{"the way back hangs once", func(x *exchange) {
			x.book.off = true
			x.pbx.Fail(aritest.VerbContinue, aritest.Fault{Hang: true, Times: 1})
			x.ended(x.call(), aritest.InDialplan, report.Passed, report.ServiceOff)
		}},
		{"the events are lost for a moment", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			x.pbx.DropWebsockets()
			require.Eventually(x.t, func() bool { return x.pbx.Connected(aritest.Application) }, patience, 5*time.Millisecond)
			time.Sleep(time.Second)
			call.Press("1")
			x.ended(call, aritest.Gone, report.Deflected, report.Released)
		}},
		{"the switch is frozen for a moment", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			x.pbx.Freeze()
			time.Sleep(time.Second)
			x.pbx.Thaw()
			call.Press("1")
			x.ended(call, aritest.Gone, report.Deflected, report.Released)
		}},
		{"the switch is frozen for long", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			x.pbx.Freeze()
			require.Equal(x.t, report.SwitchLost, x.record(call.ID()).Reason)
			x.pbx.Thaw()
			require.Equal(x.t, aritest.InDialplan, x.out(call).Where)
		}},
		{"the switch is restarted", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			require.NoError(x.t, x.pbx.Restart())
			x.ended(call, aritest.Gone, report.Failed, report.SwitchLost)
		}},
		{"the provider refuses", func(x *exchange) {
			x.gateway.behave(func(context.Context) error {
				return &message.SendError{Verdict: message.Refused, Reason: "test"}
			})
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			x.ended(call, aritest.InDialplan, report.Failed, report.MessageRejected)
		}},
		{"the provider hangs", func(x *exchange) {
			x.campaign.Release.Wait = campaigns.Duration(time.Second)
			x.gateway.behave(hang)
			call := x.call()
			x.playing(call, offer)
			call.Press("1")
			x.ended(call, aritest.InDialplan, report.Failed, report.MessageTimeout)
		}},
		{"the store is frozen", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			require.NoError(x.t, x.redis.Freeze())
			call.Press("1")
			x.ended(call, aritest.InDialplan, report.Failed, report.StoreDown)
			require.NoError(x.t, x.redis.Thaw())
			time.Sleep(time.Second)
			require.Zero(x.t, x.gateway.taken.Load(), "who was told no gets no text")
		}},
		{"the store is gone", func(x *exchange) {
			call := x.call()
			x.playing(call, offer)
			require.NoError(x.t, x.redis.Kill())
			call.Press("1")
			x.ended(call, aritest.InDialplan, report.Failed, report.StoreDown)
		}},
		{"stopped in a long prompt", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			require.NoError(x.t, x.i.Drain(x.t.Context()))
			x.ended(call, aritest.InDialplan, report.Passed, report.ShuttingDown)
		}},
		{"stopped at once", func(x *exchange) {
			x.campaign.Offer.Prompt = long
			call := x.call()
			x.playing(call, long)
			go x.stop()
			x.ended(call, aritest.InDialplan, report.Passed, report.ShuttingDown)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			test.play(newExchange(t))
		})
	}
}
