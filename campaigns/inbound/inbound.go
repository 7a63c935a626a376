// Package inbound takes what people text back, and does what they ask for.
//
// # What counts
//
// STOP, STOPALL, UNSUBSCRIBE, CANCEL, END, QUIT, REVOKE, OPT OUT, OPTOUT, REMOVE
// and ARRET, alone or at the beginning of whatever is said ("Stop texting me",
// also with "please" before it), opt out: the number gets no more texts, and
// those that are still queued for it are cancelled. START and UNSTOP, alone,
// take that back, however the number came on the list. HELP and INFO, alone, are
// answered. Capital letters, accents, punctuation, spaces and letters of other
// widths make no difference. All else is counted and left alone: nobody reads
// it.
//
// # What is sent back
//
// An opt-out is confirmed once, where it is new; so is taking it back; and help
// is sent at most once an hour to a number. Whoever has opted in again and out
// again has a new opt-out, which is confirmed. The texts are set by
// sms.replies.stopped, .started and .help; an empty one is not sent. They come
// from the number that was texted, or from the service's own sender where it
// cannot be told, and go only to the countries texts may go to. No number gets more than six replies in 24 hours, whatever it sends: two
// machines that answer each other fall silent.
//
// Someone whose texts come from a name instead of a number cannot answer them:
// they need another way to opt out, such as a key in the offer.
//
// # Repetition and disorder
//
// The provider may hand over a text twice, or late. The last few texts of each
// kind are known by their ids for two days: one that comes again changes nothing.
// A word that was sent before the one that counted last (by the provider's clock)
// does not count any more. And a START takes back no opt-out that was asked for
// after it was sent, be it by a text, a key, the API, a list or the provider:
// that holds also when its words are forgotten. A STOP is late only where the
// time it was sent is certain, to the zone; else it counts from when it came.
package inbound

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// ErrStore says that Redis is away or too slow: the text should come again.
var ErrStore = errors.New("the store is not available for inbound texts")

// Text is one text that somebody has sent to a number of ours.
type Text struct {
	ID   string    // the provider's; "" where there is none
	From string    // who sent it: an international number, with or without "+", or one of the region
	To   string    // what it was sent to, likewise, or a short code
	Body string    // in UTF-8
	At   time.Time // when it was sent, by the provider's clock; zero where nobody says
	// Local says that At was told without its zone and taken for UTC. It may be
	// hours off: a START can be late by it, a STOP cannot.
	Local bool
}

// Replies are what is sent back; an empty one is not sent.
type Replies struct {
	Stopped string // to an opt-out
	Started string // to one that is taken back
	Help    string // to HELP
}

// Options are what an Inbox needs.
type Options struct {
	Redis redis.UniversalClient
	// Secret is the service secret; nothing for as long as it is not known.
	Secret  func() []byte
	OptOuts *optout.List
	// Reply sends a reply: Outbox.Reply. It is not called twice with the same
	// key and another content.
	Reply func(context.Context, message.Reply) error
	// Originator is the service's own sender of texts to a number, "" where there
	// is none: replies come from it where nobody can tell what was texted. It may
	// be left out.
	Originator func(to phone.Number) string
	Region     string // how a number that is not international is read (ISO 3166-1 alpha-2)
	Replies    Replies

	StoreTimeout time.Duration // how long Redis may take to answer; campaigns.StoreTimeout when zero
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
}

// Inbox takes the texts that people send.
type Inbox struct {
	o    Options
	took *prometheus.CounterVec
}

// New makes an Inbox and registers its metrics.
func New(o Options) *Inbox {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.StoreTimeout = cmp.Or(o.StoreTimeout, campaigns.StoreTimeout)
	i := &Inbox{o: o, took: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
		Name: "deflectd_inbound_total",
		Help: "Texts from people, by what they ask for (stop, start, help, other; ignored: not from a number, or overtaken by something later).",
	}, []string{"kind"})}
	for _, k := range kinds() {
		i.took.WithLabelValues(string(k))
	}
	return i
}

// Receive takes one text; taking it again is harmless. The error is ErrStore:
// the text should come again.
func (i *Inbox) Receive(ctx context.Context, t Text) error {
	k, err := i.take(ctx, t)
	if err != nil {
		return err
	}
	i.took.WithLabelValues(string(k)).Inc()
	return nil
}

// take does what a text asks for, and says what it was.
func (i *Inbox) take(ctx context.Context, t Text) (kind, error) {
	from, ok := i.number(t.From)
	to, _ := i.number(t.To)
	if !ok || from.E164 == to.E164 {
		return ignored, nil
	}
	asked := read(t.Body)
	body := i.answer(asked)
	if asked == other || asked == help && body == "" {
		return asked, nil
	}
	h, err := i.heed(ctx, asked, t, from, body != "")
	switch {
	case err != nil:
		return "", fmt.Errorf("take an inbound text: %w", err)
	case !h.counts:
		return ignored, nil
	case h.reply == "":
		return asked, nil
	}
	// The confirmation of an opt-out must go out, whatever limit is reached.
	r := message.Reply{To: from, Originator: i.sender(t.To, from), Text: body, Key: h.reply, Limited: asked != stop}
	if err := i.reply(ctx, r); err != nil {
		return "", fmt.Errorf("answer an inbound text: %w", err)
	}
	return asked, nil
}

// answer is what a text of a kind is answered with; "" for nothing.
func (i *Inbox) answer(k kind) string {
	switch k {
	case stop:
		return i.o.Replies.Stopped
	case start:
		return i.o.Replies.Started
	case help:
		return i.o.Replies.Help
	default:
		return ""
	}
}

// reply sends a reply. One that cannot be sent now makes the text come again;
// one that may not be sent is left out, for what was asked for is done.
func (i *Inbox) reply(ctx context.Context, r message.Reply) error {
	if r.Originator == "" {
		i.o.Logger.WarnContext(ctx, "a reply to an inbound text is not sent: there is nothing it could come from")
		return nil
	}
	err := i.o.Reply(ctx, r)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, message.ErrStore), errors.Is(err, message.ErrClosed), ctx.Err() != nil:
		return storeError(err)
	default:
		i.o.Logger.WarnContext(ctx, "a reply to an inbound text is not sent", "error", err)
		return nil
	}
}

func storeError(err error) error { return fmt.Errorf("%w: %w", ErrStore, err) }
