package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"deflectd/ari"
	"deflectd/campaigns"
	"deflectd/campaigns/admin"
	"deflectd/campaigns/admin/page"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/inbound"
	"deflectd/campaigns/link"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/report"
	"deflectd/campaigns/sender"
	"deflectd/config"
	"deflectd/intercept"
)

// Addresses are where a running daemon listens: what the configuration says,
// with the port the system chose where it says 0.
type Addresses struct {
	Admin, Public net.Addr
}

// Run is the whole daemon. It starts the parts in order, calls ready (which
// may be nil) when both listeners answer, and returns when ctx ends or a part
// fails. Before it returns, calls under way have been finished or let go to
// the dialplan, texts in flight have been answered or left to their leases,
// and records are written. Its error is nil when all of that went well.
//
// It starts also while Asterisk, Redis or the provider are away, and waits for
// them: calls are not taken until they can be served.
func Run(ctx context.Context, cfg *config.Config, logger *slog.Logger, ready func(Addresses)) error {
	d, err := assemble(ctx, cfg, logger)
	if err != nil {
		return err
	}
	defer func() { _ = d.redis.Close() }()

	ps := newParts(logger)
	for _, p := range d.parts() {
		ps.start(ctx, p)
	}
	if ready != nil {
		ready(Addresses{Admin: d.admin.socket.Addr(), Public: d.public.socket.Addr()})
	}
	logger.Info("deflectd is running", "version", version, "application", cfg.Asterisk.Application,
		"admin", d.admin.socket.Addr().String(), "public", d.public.socket.Addr().String())

	var failure error
	select {
	case <-ctx.Done():
		logger.Info("deflectd is stopping")
	case failure = <-ps.failed:
		logger.Error("deflectd is stopping because a part of it failed", "error", failure)
	}
	d.health.stopping.Store(true)
	// The live calls first, while all that they need still runs.
	left := d.calls.Drain(context.WithoutCancel(ctx))
	if left != nil {
		logger.Error("calls are left to the switch", "error", left)
	}
	return errors.Join(failure, left, ps.stop())
}

// daemon is the assembled parts.
type daemon struct {
	cfg      *config.Config
	logger   *slog.Logger
	registry *prometheus.Registry

	redis     redis.UniversalClient
	secret    *secret
	store     *campaigns.Store
	directory *campaigns.Directory
	provider  provider
	senders   *sender.Senders
	optOuts   *optout.List
	guards    *guard.Guards
	outbox    *message.Outbox
	inbox     *inbound.Inbox
	recorder  *report.Recorder
	calls     *intercept.Interceptor
	nodes     []node
	health    *health
	admin     *listener
	public    *listener
}

// node is one Asterisk.
type node struct {
	name string
	*ari.Client
}

// parts lists what runs, in the order in which it starts. Stopping goes the
// other way: the switch lets go of its calls first, the records are written
// last.
func (d *daemon) parts() []part {
	return []part{
		{name: "service secret", run: d.secret.run, budget: time.Second},
		{name: "redis probe", run: d.health.run, budget: time.Second},
		{name: "call records", run: d.recorder.Run, budget: 7 * time.Second},
		{name: "campaign directory", run: d.directory.Run, budget: 2 * time.Second},
		{name: "senders", run: d.senders.Run, budget: 2 * time.Second},
		{name: "opt-outs", run: d.optOuts.Run, budget: 3 * time.Second},
		{name: "guards", run: d.guards.Run, budget: 2 * time.Second},
		{name: "sms provider", run: d.runProvider, budget: 2 * time.Second},
		{name: "outbox", run: d.outbox.Run, budget: 7 * time.Second},
		{name: "admin listener", run: d.admin.serve, budget: 3 * time.Second},
		{name: "public listener", run: d.public.serve, budget: 3 * time.Second},
		{name: "asterisk", run: d.runNodes, budget: 11 * time.Second},
	}
}

// A call that comes before the campaigns and the service secret have been read
// could only be let go, so the switch waits for them; but not longer than this,
// for calls that a dead daemon left behind wait as well.
const readFirst = 2 * time.Second

// runNodes keeps the connections to all Asterisks; they end together.
func (d *daemon) runNodes(ctx context.Context) error {
	d.awaitRead(ctx)
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range d.nodes {
		g.Go(func() error {
			if err := n.Run(ctx); err != nil {
				return fmt.Errorf("node %s: %w", n.name, err)
			}
			return nil
		})
	}
	return g.Wait()
}

// awaitRead waits until Redis is known to be there, and campaigns, senders and
// secret have been read.
func (d *daemon) awaitRead(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readFirst)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !d.health.redisUp.Load() || !d.directory.Ready() || !d.senders.Ready() || d.secret.value() == nil {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}

func (d *daemon) runProvider(ctx context.Context) error { return d.provider.run(ctx, d.outbox) }

// assemble makes all parts and opens the listeners; nothing runs yet.
func assemble(ctx context.Context, cfg *config.Config, logger *slog.Logger) (*daemon, error) {
	rdb, err := openRedis(cfg.Redis)
	if err != nil {
		return nil, err
	}
	d := &daemon{
		cfg: cfg, logger: logger, registry: prometheus.NewRegistry(),
		redis: rdb, secret: newSecret(rdb, logger), store: campaigns.NewStore(rdb),
	}
	d.registry.MustRegister(buildInfo(), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, step := range []func(context.Context) error{d.makeRules, d.makeTexts, d.makeCalls, d.makeNodes, d.listen} {
		if err := step(ctx); err != nil {
			_ = rdb.Close()
			return nil, err
		}
	}
	return d, nil
}

// makeRules makes what says who is texted, how often, and from which number.
func (d *daemon) makeRules(context.Context) (err error) {
	d.directory = campaigns.NewDirectory(d.store, campaigns.DirectoryOptions{
		Region: d.cfg.Numbers.Region, Own: d.cfg.Numbers.Own, Logger: d.logger, Registerer: d.registry,
	})
	d.provider, err = newProvider(d.cfg, d.secret.value, d.logger)
	if err != nil {
		return err
	}
	d.senders = sender.New(sender.Options{
		Redis: d.redis, Configured: d.cfg.SMS.Originator, Numbers: d.provider.numbers, Campaigns: d.store,
		Logger: d.logger, Registerer: d.registry,
	})
	d.optOuts = optout.New(optout.Options{
		Redis: d.redis, Secret: d.secret.value, Logger: d.logger, Registerer: d.registry,
	})
	d.guards, err = guard.New(guard.Options{
		Redis: d.redis, Policy: d.policy(), Own: d.own, OptOuts: d.optOuts, Secret: d.secret.value,
		Timeout: d.cfg.Limits.Lookup,
		Logger:  d.logger, Registerer: d.registry,
	})
	return err
}

// own says whether a number is one of ours: one that is called, or one that
// texts come from.
func (d *daemon) own(e164 string) bool { return d.directory.Own(e164) || d.senders.Own(e164) }

// policy is what the configuration says of where and how often texts may go.
func (d *daemon) policy() guard.Policy {
	limits := d.cfg.Limits
	from, to := limits.Marketing()
	return guard.Policy{
		Countries: d.cfg.Numbers.Countries, Cooldown: limits.Cooldown,
		PerCallerPerDay: limits.PerCallerPerDay, PerPrefixPerHour: limits.PerPrefixPerHour,
		SegmentsPerDay: limits.SegmentsPerDay, SurgeCalls: limits.SurgeCalls, Suppress: limits.Suppression,
		MarketingHours: guard.Hours{From: from, To: to},
	}
}

// makeTexts makes what sends texts, and what takes those that people send back.
func (d *daemon) makeTexts(context.Context) (err error) {
	d.outbox, err = message.NewOutbox(message.Options{
		Redis: d.redis, Provider: d.provider, PublicURL: d.cfg.Public.URL,
		Guards: d.guards, OptOuts: d.optOuts, Senders: d.senders, Secret: d.secret.value,
		TextsPerSecond: float64(d.cfg.SMS.TextsPerSecond), Retention: d.cfg.Retention.Messages,
		Logger: d.logger, Registerer: d.registry,
	})
	if err != nil {
		return err
	}
	replies := d.cfg.SMS.Replies
	d.inbox = inbound.New(inbound.Options{
		Redis: d.redis, Secret: d.secret.value, OptOuts: d.optOuts, Reply: d.outbox.Reply, Region: d.cfg.Numbers.Region,
		Originator: func(to phone.Number) string { return d.senders.For(nil, "", to) },
		Replies:    inbound.Replies{Stopped: replies.Stopped, Started: replies.Started, Help: replies.Help},
		Logger:     d.logger, Registerer: d.registry,
	})
	return nil
}

// makeCalls makes what handles calls.
func (d *daemon) makeCalls(context.Context) error {
	d.recorder = report.NewRecorder(report.Options{
		Redis: d.redis, Retention: d.cfg.Retention.Calls, Logger: d.logger, Registerer: d.registry,
	})
	d.calls = intercept.New(intercept.Options{
		Directory: d.directory, Outbox: d.outbox, Recorder: d.recorder, Secret: d.secret.value,
		Guards: d.guards, OptOuts: d.optOuts, Senders: d.senders, Region: d.cfg.Numbers.Region,
		MaxCalls: d.cfg.Calls.Max, Grace: d.cfg.Calls.Drain, Latency: d.latency,
		StoreUp: func() bool { return d.health.redisUp.Load() },
		Logger:  d.logger, Registerer: d.registry,
	})
	return nil
}

// makeNodes makes a client for each Asterisk, whose calls go to intercept.
func (d *daemon) makeNodes(context.Context) error {
	for _, n := range d.cfg.Asterisk.Nodes {
		client, err := ari.New(ari.Options{
			Name: n.Name, URL: n.URL, Username: n.Username, Password: n.Password.Reveal(),
			Application: d.cfg.Asterisk.Application, CommandTimeout: d.cfg.Asterisk.CommandTimeout,
			Logger: d.logger, Registerer: d.registry, Handle: d.handle, Orphan: d.orphan,
		})
		if err != nil {
			return err
		}
		d.nodes = append(d.nodes, node{n.Name, client})
	}
	return nil
}

// handle hands a channel that has arrived to intercept, in its words.
func (d *daemon) handle(ctx context.Context, ch *ari.Channel) {
	start := ch.Start()
	d.calls.Handle(ctx, ch, intercept.Arrival{
		Channel: ch.ID(), Node: ch.Node(), Args: start.Args, Extension: start.Extension,
		CallerNumber: start.CallerNumber, RDNIS: start.RDNIS, Created: start.Created,
	})
}

// orphan has a call recorded that was let go because nobody handled it.
func (d *daemon) orphan(ctx context.Context, o ari.Orphan) {
	d.calls.Orphaned(ctx, intercept.Arrival{
		Channel: o.Channel, Node: o.Node, Args: o.Args, Extension: o.Extension,
		CallerNumber: o.CallerNumber, RDNIS: o.RDNIS, Presentation: o.Presentation,
		Created: o.Created, Stopping: o.Stopping,
	})
}

// latency is that of the slowest node that is up.
func (d *daemon) latency() time.Duration {
	var slowest time.Duration
	for _, n := range d.nodes {
		if n.Up() { // one that is away takes no calls, and must not cost others theirs
			slowest = max(slowest, n.CommandLatency())
		}
	}
	return slowest
}

// listen opens both listeners.
func (d *daemon) listen(ctx context.Context) (err error) {
	d.health = newHealth(d)
	d.admin, err = listen(ctx, "admin", d.cfg.Admin.Listen, d.forPeople(), d.logger)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	if err := d.provider.mount(mux, d); err != nil {
		_ = d.admin.socket.Close()
		return err
	}
	mux.Handle("/", link.NewHandler(link.HandlerOptions{
		Redis: d.redis, Logger: d.logger, Registerer: d.registry,
	}))
	d.public, err = listen(ctx, "public", d.cfg.Public.Listen, mux, d.logger)
	if err != nil {
		_ = d.admin.socket.Close()
	}
	return err
}

// forPeople is what the admin listener answers: the API, and the page that is a
// client of it.
func (d *daemon) forPeople() http.Handler {
	tokens := make([]admin.Token, len(d.cfg.Admin.Tokens))
	for n, t := range d.cfg.Admin.Tokens {
		tokens[n] = admin.Token{Name: t.Name, Role: admin.Role(t.Role), Fingerprint: t.Fingerprint(), Match: t.Matches}
	}
	clients := make([]*ari.Client, len(d.nodes))
	for n, node := range d.nodes {
		clients[n] = node.Client
	}
	server := admin.New(admin.Options{
		Campaigns: d.store, Outbox: d.outbox, Recorder: d.recorder, Active: d.calls.Active,
		OptOuts: d.optOuts, Guards: d.guards, Senders: d.senders, Inbox: d.inbox, InboundURL: d.provider.inboundURL,
		Decide: d.calls.Explain, Sounds: ari.NewSounds(clients...).Sound,
		Rules:  campaigns.Rules{Region: d.cfg.Numbers.Region},
		Tokens: tokens, Health: d.health.now, Profiling: d.cfg.Admin.Pprof,
		Logger: d.logger, Registerer: d.registry, Gatherer: d.registry,
	})
	return server.Handler(page.New(page.Options{
		Server: server, Redis: d.redis, Region: d.cfg.Numbers.Region, Countries: d.cfg.Numbers.Countries,
		Version: version, Logger: d.logger, Registerer: d.registry,
	}))
}
