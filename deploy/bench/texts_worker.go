package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/message"
	"deflectd/campaigns/message/messagebird"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
)

// worker is what one process is to send, and measure itself at.
type worker struct {
	Way      string // barePosts or wholePath
	Provider string // URL
	Redis    string // host:port
	First    int    // the number of its first text; none is texted twice
	Texts    int    // to measure; a tenth of it comes before, to warm up
	Hands    int    // at once
}

// serveWorker does as the order, a worker in JSON, says.
func serveWorker(ctx context.Context, order string) error {
	var w worker
	if err := json.Unmarshal([]byte(order), &w); err != nil {
		return fmt.Errorf("reading the order: %w", err)
	}
	return w.run(ctx)
}

// run sends and prints a textSample.
func (w worker) run(ctx context.Context) error {
	send, stop, err := w.sender(ctx)
	if err != nil {
		return err
	}
	warm := w.Texts / 10
	if err := w.all(w.First, warm, send); err != nil {
		return err
	}
	before, began := ownCPU(), time.Now()
	err = w.all(w.First+warm, w.Texts, send)
	s := textSample{Texts: w.Texts, Took: time.Since(began), CPU: ownCPU() - before}
	if err = errors.Join(err, stop()); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// all sends texts with as many hands as there are.
func (w worker) all(first, texts int, send func(n int) error) error {
	var hands sync.WaitGroup
	next, failed := make(chan int), make(chan error, w.Hands)
	for range w.Hands {
		hands.Go(func() {
			for n := range next {
				if err := send(n); err != nil {
					select {
					case failed <- err:
					default:
					}
				}
			}
		})
	}
	for n := range texts {
		next <- first + n
	}
	close(next)
	hands.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// sender is how one text is sent, and what is to be done in the end.
func (w worker) sender(ctx context.Context) (send func(n int) error, stop func() error, err error) {
	if w.Way == barePosts {
		return w.posts(ctx)
	}
	return w.path(ctx)
}

// posts is the bare loop: what the library would post, and the answer read.
func (w worker) posts(ctx context.Context) (send func(n int) error, stop func() error, err error) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 256}}
	body := []byte(`{"originator":"Acme","body":"Acme: pay your bill here https://txt.example.com/8kWq3vZt1Ab","type":"",` +
		`"reference":"3u6jkbfsd7lvyv4ggnjcq7zdqu","validity":900,"gateway":0,"typeDetails":null,"datacoding":"plain","mclass":1,` +
		`"recipients":["14155550132"],"reportUrl":"https://txt.example.com/webhooks/messagebird/report/Jm6q0rR2w9fX1uE8a7bCdQ"}`)
	send = func(int) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.Provider+"/messages", bytes.NewReader(body))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "AccessKey "+token)
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		return errors.Join(err, answer.Body.Close())
	}
	stop = func() error {
		client.CloseIdleConnections()
		return nil
	}
	return send, stop, nil
}

// path is the whole of what the daemon does with a text that a caller waits
// for, with the parts of the daemon, and limits that are kept but not reached.
func (w worker) path(ctx context.Context) (send func(n int) error, stop func() error, err error) {
	rdb := redis.NewClient(&redis.Options{Addr: w.Redis, ContextTimeoutEnabled: true, PoolSize: 64, MaxRetries: 1})
	secret, err := campaigns.ServiceSecret(ctx, rdb)
	if err != nil {
		return nil, nil, err
	}
	senders := sender.New(sender.Options{Redis: rdb, Configured: "+18005550199"})
	outbox, client, err := w.outbox(rdb, senders, func() []byte { return secret })
	if err != nil {
		return nil, nil, err
	}
	running, end := context.WithCancel(ctx)
	ended := make(chan error, 2)
	go func() { ended <- senders.Run(running) }()
	go func() { ended <- outbox.Run(running) }()
	for !senders.Ready() && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	campaign := &campaigns.Campaign{
		ID: "billing", DNIS: []string{textedDNIS}, Text: "Acme: pay your bill here {link}",
		Interaction: campaigns.Interaction{
			ID: "pay-a-bill", URL: "https://visual.example.com/start?interaction={interaction_id}", Params: map[string]string{"lang": "en"},
		},
	}
	campaign.SetDefaults()
	send = func(n int) error {
		to, err := phone.Parse(recipient(n), "US")
		if err != nil {
			return err
		}
		pending, err := outbox.Send(ctx, message.Request{Campaign: campaign, To: to})
		if err != nil {
			return err
		}
		var last message.State
		for state := range pending.States() {
			last = state
		}
		if last != message.Accepted {
			return fmt.Errorf("a text is %s, not accepted", last)
		}
		return nil
	}
	stop = func() error {
		end()
		err := errors.Join(<-ended, <-ended)
		client.Close()
		return errors.Join(err, rdb.Close())
	}
	return send, stop, nil
}

func (w worker) outbox(
	rdb redis.UniversalClient, senders *sender.Senders, secret func() []byte,
) (*message.Outbox, *messagebird.Client, error) {
	const publicURL = "https://txt.example.com"
	const enough = 1 << 30 // a limit that is kept, and never reached
	logger, registry := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), prometheus.NewRegistry()
	client, err := messagebird.NewClient(messagebird.Options{AccessKey: token, URL: w.Provider})
	if err != nil {
		return nil, nil, err
	}
	guards, err := guard.New(guard.Options{
		Redis: rdb, Secret: secret, Logger: logger, Registerer: registry,
		Policy: guard.Policy{
			Countries: []string{"US"}, Cooldown: time.Hour, PerCallerPerDay: 3,
			PerPrefixPerHour: enough, SegmentsPerDay: enough, SurgeCalls: 20, Suppress: 30 * 24 * time.Hour,
		},
	})
	if err != nil {
		return nil, nil, err
	}
	outbox, err := message.NewOutbox(message.Options{
		Redis: rdb, Provider: messagebird.NewProvider(client, publicURL, secret), PublicURL: publicURL,
		Guards: guards, OptOuts: optout.New(optout.Options{Redis: rdb, Secret: secret, Logger: logger, Registerer: registry}),
		Senders: senders, Secret: secret, Logger: logger, Registerer: registry,
	})
	return outbox, client, err
}

// recipient is a number of the US that no other text has: the neighbours of a
// prefix are far apart.
func recipient(n int) string {
	areas := []string{"212", "213", "214", "215", "216", "303", "305", "312", "313", "404", "412", "415"}
	return fmt.Sprintf("+1%s5%02d%04d", areas[n%len(areas)], n/len(areas)%100, n/len(areas)/100)
}

// ownCPU is the processor time this process has used.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// serveStandIn is a provider that takes every text as fast as it can.
func serveStandIn(ctx context.Context, address string) error {
	const answer = `{"id":"e8077d803532c0b5937c639b60216938","href":"https://rest.messagebird.com/messages/e8077d803532c0b5937c639b60216938",` +
		`"direction":"mt","type":"sms","originator":"Acme","body":"Acme","reference":"m1","validity":900,"gateway":10,"typeDetails":{},` +
		`"datacoding":"plain","mclass":1,"scheduledDatetime":null,"createdDatetime":"2026-01-02T15:04:05+00:00","recipients":{"totalCount":1,` +
		`"totalSentCount":1,"totalDeliveredCount":0,"totalDeliveryFailedCount":0,"items":[{"recipient":14155550132,"status":"sent",` +
		`"statusDatetime":"2026-01-02T15:04:05+00:00","messagePartCount":1}]}}`
	var lc net.ListenConfig
	socket, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("opening the port of the stand-in: %w", err)
	}
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, answer)
	})}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
