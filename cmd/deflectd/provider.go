package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"deflectd/campaigns/message"
	"deflectd/campaigns/message/messagebird"
	"deflectd/campaigns/message/sandbox"
	"deflectd/config"
)

// provider is who carries the texts, and what it needs around it.
type provider struct {
	message.Provider
	// run lives as long as the daemon, beside the outbox it reports to.
	run func(ctx context.Context, outbox *message.Outbox) error
	// mount puts what the provider calls on the public listener.
	mount func(mux *http.ServeMux, outbox *message.Outbox)
}

// newProvider makes the provider of the configuration.
func newProvider(cfg *config.Config, secret func() []byte, registerer prometheus.Registerer, logger *slog.Logger) (provider, error) {
	switch cfg.SMS.Provider {
	case config.ProviderSandbox:
		box := sandbox.New(logger)
		return provider{
			Provider: box,
			run: func(ctx context.Context, outbox *message.Outbox) error {
				return box.Run(ctx, outbox.Report)
			},
			mount: func(*http.ServeMux, *message.Outbox) {},
		}, nil
	case config.ProviderMessageBird:
		client, err := messagebird.NewClient(messagebird.Options{
			AccessKey: cfg.SMS.MessageBird.AccessKey.Reveal(), URL: cfg.SMS.MessageBird.URL,
		})
		if err != nil {
			return provider{}, err
		}
		return provider{
			Provider: messagebird.NewProvider(client, cfg.Public.URL, secret),
			run: func(ctx context.Context, _ *message.Outbox) error {
				<-ctx.Done()
				client.Close()
				return nil
			},
			mount: func(mux *http.ServeMux, outbox *message.Outbox) {
				mux.Handle(messagebird.ReportPattern, messagebird.NewReports(secret, outbox.Report, logger, registerer))
			},
		}, nil
	default:
		return provider{}, fmt.Errorf("sms.provider %q is not known", cfg.SMS.Provider)
	}
}
