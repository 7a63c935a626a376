package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"deflectd/campaigns/message"
	"deflectd/campaigns/message/messagebird"
	"deflectd/campaigns/message/sandbox"
	"deflectd/campaigns/sender"
	"deflectd/config"
)

// provider is who carries the texts, and what it needs around it.
type provider struct {
	message.Provider
	// numbers are what it lets to be texted from.
	numbers sender.Numbers
	// run lives as long as the daemon, beside the outbox it reports to.
	run func(ctx context.Context, outbox *message.Outbox) error
	// mount puts what the provider calls on the public listener.
	mount func(mux *http.ServeMux, d *daemon) error
	// inboundURL is where it is to send what people text back; "" while that is
	// not known, or where nobody can.
	inboundURL func() string
}

// newProvider makes the provider of the configuration.
func newProvider(cfg *config.Config, secret func() []byte, logger *slog.Logger) (provider, error) {
	switch cfg.SMS.Provider {
	case config.ProviderSandbox:
		return sandboxProvider(logger), nil
	case config.ProviderMessageBird:
		return messageBirdProvider(cfg, secret)
	default:
		return provider{}, fmt.Errorf("sms.provider %q is not known", cfg.SMS.Provider)
	}
}

func sandboxProvider(logger *slog.Logger) provider {
	box := sandbox.New(logger)
	return provider{
		Provider: box,
		numbers:  sandbox.NewNumbers(),
		run: func(ctx context.Context, outbox *message.Outbox) error {
			return box.Run(ctx, outbox.Report)
		},
		mount:      func(*http.ServeMux, *daemon) error { return nil },
		inboundURL: func() string { return "" },
	}
}

func messageBirdProvider(cfg *config.Config, secret func() []byte) (provider, error) {
	account := cfg.SMS.MessageBird
	client, err := messagebird.NewClient(messagebird.Options{
		AccessKey: account.AccessKey.Reveal(), URL: account.URL, NumbersURL: account.NumbersURL,
	})
	if err != nil {
		return provider{}, err
	}
	return provider{
		Provider: messagebird.NewProvider(client, cfg.Public.URL, secret),
		numbers:  messagebird.NewNumbers(client),
		run: func(ctx context.Context, _ *message.Outbox) error {
			<-ctx.Done()
			client.Close()
			return nil
		},
		mount: mountMessageBird,
		inboundURL: func() string {
			if key := secret(); len(key) > 0 {
				return cfg.Public.URL + messagebird.InboundPath + messagebird.InboundToken(key)
			}
			return ""
		},
	}, nil
}

// mountMessageBird takes delivery reports and what people text back.
func mountMessageBird(mux *http.ServeMux, d *daemon) error {
	o := messagebird.WebhookOptions{
		PublicURL: d.cfg.Public.URL, Secret: d.secret.value, SigningKey: d.cfg.SMS.MessageBird.SigningKey.Reveal(),
		Redis: d.redis, Logger: d.logger, Registerer: d.registry,
	}
	reports, err := messagebird.NewReports(o, d.outbox.Report)
	if err != nil {
		return fmt.Errorf("take delivery reports: %w", err)
	}
	texts, err := messagebird.NewInbound(o, d.inbox.Receive)
	if err != nil {
		return fmt.Errorf("take inbound texts: %w", err)
	}
	mux.Handle(messagebird.ReportPattern, reports)
	mux.Handle(messagebird.InboundPattern, texts)
	return nil
}
