package inbound

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// connect is a client to an empty Redis.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return labtest.Connect(t, server)
}

var testSecret = []byte("0123456789abcdef0123456789abcdef")

func secret() []byte { return testSecret }

// box is an Inbox, its list of opt-outs and what it has replied.
type box struct {
	*Inbox
	rdb     redis.UniversalClient
	list    *optout.List
	metrics *prometheus.Registry

	mu      sync.Mutex
	replies []message.Reply     // by key, as the outbox does
	failing error               // what the next replies end with
	sent    func(message.Reply) // also told
}

func newBox(t testing.TB, rdb redis.UniversalClient, change ...func(*Options)) *box {
	t.Helper()
	b := &box{rdb: rdb, metrics: prometheus.NewPedanticRegistry()}
	b.list = optout.New(optout.Options{Redis: rdb, Secret: secret, StoreTimeout: labtest.Patience, Registerer: b.metrics})
	o := Options{
		Redis: rdb, Secret: secret, OptOuts: b.list, Reply: b.reply, Region: "US", StoreTimeout: labtest.Patience, Registerer: b.metrics,
		Replies: Replies{Stopped: "You will get no more texts.", Started: "Welcome back.", Help: "Acme, call +1 800 555 0100."},
	}
	for _, f := range change {
		f(&o)
	}
	b.Inbox = New(o)
	return b
}

func (b *box) reply(_ context.Context, r message.Reply) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing != nil {
		return b.failing
	}
	for _, earlier := range b.replies {
		if earlier.Key == r.Key {
			if earlier != r {
				return message.ErrConflict
			}
			return nil
		}
	}
	b.replies = append(b.replies, r)
	if b.sent != nil {
		b.sent(r)
	}
	return nil
}

// said is the text of every reply so far.
func (b *box) said() (texts []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.replies {
		texts = append(texts, r.Text)
	}
	return texts
}

func (b *box) fails(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failing = err
}

// pseudonym is the person's.
func (b *box) pseudonym() string { return campaigns.Pseudonym(testSecret, person) }

// listed says whether a number has opted out.
func (b *box) listed(t testing.TB, number string) bool {
	t.Helper()
	_, err := b.list.Get(t.Context(), number)
	if err != nil {
		require.ErrorIs(t, err, optout.ErrNotFound)
	}
	return err == nil
}

const (
	person = "+14155550132"
	ours   = "+18005550100"
)

var texts int

// text is one the person sends to us, other than every one before.
func text(body string) Text {
	texts++
	return Text{ID: fmt.Sprint("text-", texts), From: person[1:], To: ours[1:], Body: body}
}

// at is the same text, sent at another time.
func (t Text) at(when time.Time) Text {
	t.At = when
	return t
}
