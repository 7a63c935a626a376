package message

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cenkalti/backoff/v5"

	"deflectd/campaigns"
	"deflectd/campaigns/link"
)

const (
	// codeTries is how many codes are made before it is given up: one that is
	// taken is as rare as they come, two in a row are a fault.
	codeTries = 3
	// keyKept is how long an idempotency key is remembered.
	keyKept = 24 * time.Hour
)

// Send makes a text durable with its link, in one step, and begins its first
// attempt at once. When it has answered, the text is neither lost nor sent
// twice, whatever breaks.
//
// The errors are campaigns.Invalid (it names the fields), ErrServiceOff,
// ErrConflict, ErrClosed, and ErrStore; after that last one a text without a
// Key is not sent any more, and one with a Key is asked for again.
func (o *Outbox) Send(ctx context.Context, r Request) (*Pending, error) {
	m, err := o.compose(r)
	if err != nil {
		return nil, err
	}
	if o.stopping() {
		return nil, fmt.Errorf("make the text durable: %w", ErrClosed)
	}
	withDefaults := *r.Campaign
	withDefaults.SetDefaults()
	r.Campaign = &withDefaults
	holder := o.unique()
	for range codeTries {
		if err := o.addLink(&m, r.Campaign); err != nil {
			return nil, err
		}
		notAfter := o.clock.at(o.givesUp(ctx))
		answer, err := o.enqueue(ctx, &m, r, holder, notAfter)
		if err != nil {
			if r.Key == "" && errors.Is(err, ErrStore) {
				o.revoke(ctx, m, r.Campaign, notAfter)
			}
			return nil, err
		}
		switch answer.string(0) {
		case "ok":
			return o.enqueued(ctx, m, holder), nil
		case "collision", "late":
			// Late, though it is waited for, is it only where Redis' clock was
			// not known, or has changed: its answer says what it is.
			continue
		case "repeat":
			return o.repeated(ctx, answer.string(1))
		case "conflict":
			return nil, fmt.Errorf("make the text durable: %w", ErrConflict)
		case "off":
			return nil, fmt.Errorf("make the text durable: %w", ErrServiceOff)
		default:
			return nil, storeError("make the text durable", errAnswer)
		}
	}
	return nil, storeError("make the text durable", errors.New("no try succeeded"))
}

// compose checks a request and makes the message of it, all but its link.
func (o *Outbox) compose(r Request) (Message, error) {
	var problems campaigns.Invalid
	if r.Campaign == nil {
		return Message{}, campaigns.Invalid{{Pointer: "/campaign", Message: "a campaign is needed"}}
	}
	m := Message{
		ID: strings.ToLower(rand.Text()), Campaign: r.Campaign.ID, Call: r.Call, To: r.To.E164, Test: r.Test,
		Originator: firstOf(r.Originator, r.Campaign.Originator, o.opts.Originator),
		State:      Queued,
	}
	if len(m.To) < 4 || m.To[0] != '+' {
		problems = append(problems, campaigns.Problem{Pointer: "/to", Message: "a number in E.164 is needed"})
	}
	if m.Originator == "" {
		problems = append(problems, campaigns.Problem{Pointer: "/originator", Message: "neither the campaign nor the service names one"})
	} else if !campaigns.ValidOriginator(m.Originator) {
		problems = append(problems, campaigns.Problem{
			Pointer: "/originator",
			Message: "must be a name of at most 11 letters and digits, with a letter, or a number of at most 17 digits",
		})
	}
	if !utf8.ValidString(r.Campaign.Text) || strings.TrimSpace(r.Campaign.Text) == "" {
		problems = append(problems, campaigns.Problem{Pointer: "/text", Message: "a text in valid UTF-8 is needed"})
	}
	if problems != nil {
		return Message{}, problems
	}
	return m, nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// addLink gives the message a new short link, and its text with it.
func (o *Outbox) addLink(m *Message, c *campaigns.Campaign) error {
	m.Link = link.NewCode()
	m.URL = o.opts.PublicURL + "/" + m.Link
	m.Text = Compose(c, m.URL)
	m.Encoding, m.Segments = Measure(m.Text)
	if m.Segments < 1 || m.Segments > MaxSegments {
		return campaigns.Invalid{{
			Pointer: "/text",
			Message: fmt.Sprintf("with its link the text takes %d segments; at most %d can be sent", m.Segments, MaxSegments),
		}}
	}
	return nil
}

// enqueue runs the script that makes the message durable, unless it is later
// than notAfter by Redis' clock.
func (o *Outbox) enqueue(ctx context.Context, m *Message, r Request, holder string, notAfter int64) (reply, error) {
	target, err := link.InteractionURL(r.Campaign.Interaction, m.To)
	if err != nil {
		return nil, campaigns.Invalid{{Pointer: "/interaction/url", Message: err.Error()}}
	}
	validity, leads := time.Duration(r.Campaign.Validity), time.Duration(r.Campaign.Link.ExpiresAfter)

	keys := []string{
		messageKey(m.ID), link.Key(m.Link), link.URLKey(m.Link), outboxKey, queuedKey, indexKey, numberKey(m.To),
		campaigns.ServiceKey,
	}
	marker := ""
	if r.Key != "" {
		keys = append(keys, idempotencyKey(r.Key))
		marker = m.ID + " " + digest(r, m)
	}
	test := ""
	if m.Test {
		test = "1"
	}
	answer, err := o.run(
		ctx, enqueueScript, "make the text durable", keys,
		m.ID, holder, o.opts.Lease.Milliseconds(), validity.Milliseconds(), (validity + o.opts.Retention).Milliseconds(),
		target, leads.Milliseconds(), link.TTL(leads).Milliseconds(), marker, keyKept.Milliseconds(),
		notAfter, 4, link.FieldCampaign, m.Campaign, link.FieldMessage, m.ID,
		"campaign", m.Campaign, "call", m.Call, "to", m.To, "originator", m.Originator, "text", m.Text,
		"link", m.Link, "url", m.URL, "encoding", m.Encoding, "segments", m.Segments, "test", test,
	)
	if err != nil {
		return nil, err
	}
	if s := answer.string(0); s == "ok" || s == "late" {
		o.clock.learn(answer.int(1))
	}
	m.Created = time.UnixMilli(answer.int(1)).UTC()
	m.Updated, m.Expires = m.Created, m.Created.Add(validity)
	return answer, nil
}

// digest tells requests with the same idempotency key apart.
func digest(r Request, m *Message) string {
	return hashed(fmt.Sprintf("%q", []string{m.Campaign, m.To, m.Call, r.Originator, strconv.FormatBool(m.Test)}))
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// enqueued begins the first attempt of a message that is durable now.
func (o *Outbox) enqueued(ctx context.Context, m Message, holder string) *Pending {
	m.History = []Change{{At: m.Created, State: Queued, Cause: "requested"}}
	o.count(change{campaign: m.Campaign, state: Queued, test: m.Test})
	p := o.follow(m)
	f := &flight{message: m, holder: holder, first: true}
	ctx = context.WithoutCancel(ctx)
	if !o.begin(func() { o.fly(ctx, f) }) {
		// It is durable, so another worker takes it up; this process will not
		// see what becomes of it.
		o.giveBack(ctx, f, 0, "shutdown")
		o.drop(m.ID)
	}
	return p
}

// repeated answers a request whose idempotency key is known.
func (o *Outbox) repeated(ctx context.Context, id string) (*Pending, error) {
	m, err := o.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("repeat a request: %w", err)
	}
	return settledPending(m), nil
}

// patience spaces what is repeated until Redis answers.
func (o *Outbox) patience() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier = 50*time.Millisecond, 2*time.Second, 2
	return b
}

// pause waits, and answers false when the outbox is told to end at once.
func (o *Outbox) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o.killed:
		return false
	}
}
