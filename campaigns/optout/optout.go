// Package optout keeps the list of numbers that must never be texted. An entry
// is found by the pseudonym of its number (see campaigns.Pseudonym) and goes on
// counting when the number itself is forgotten.
package optout

import (
	"cmp"
	_ "embed"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

var (
	// ErrNotFound says that the number is not on the list.
	ErrNotFound = errors.New("not on the list of opt-outs")
	// ErrStore says that Redis is away or too slow.
	ErrStore = errors.New("the list of opt-outs is not available")
	// ErrCursor says that a cursor was not made by List.
	ErrCursor = errors.New("not a cursor of this list")
)

// Source says how somebody opted out.
type Source string

// The sources of an opt-out.
const (
	Inbound  Source = "inbound"  // a text such as STOP
	Provider Source = "provider" // the provider says that the recipient opted out there
	Keypress Source = "keypress" // a key pressed during a call
	Page     Source = "page"     // a page
	API      Source = "api"      // an operator
	Import   Source = "import"   // a list that was imported
)

// Sources are all of them.
func Sources() []Source { return []Source{Inbound, Provider, Keypress, Page, API, Import} }

// Entry is one number that must never be texted.
type Entry struct {
	Number string    `json:"number,omitempty" doc:"The number, in E.164; absent where the person was forgotten."`
	Hash   string    `json:"hash" doc:"What stands for the number, also when the number is forgotten."`
	Since  time.Time `json:"since" doc:"When it was put on the list."`
	Source Source    `json:"source" enum:"inbound,provider,keypress,page,api,import" doc:"How: a text such as STOP, the provider, a key pressed during a call, a page, the API, an imported list."`
	Reason string    `json:"reason,omitempty" maxLength:"200" doc:"What an operator noted."`
	By     string    `json:"by,omitempty" doc:"The name of the token that put it there."`
}

// Options are what a List needs.
type Options struct {
	Redis redis.UniversalClient
	// Secret is the service secret; it answers nil until Redis was reached.
	Secret func() []byte
	// StoreTimeout is how long Redis may take to answer one request;
	// campaigns.StoreTimeout when zero.
	StoreTimeout time.Duration
	Logger       *slog.Logger
	Registerer   prometheus.Registerer
}

// List is the list of numbers that must never be texted.
type List struct {
	o     Options
	rdb   redis.UniversalClient
	added *prometheus.CounterVec

	mu      sync.Mutex
	waiting map[string]Entry // by number: what Run has yet to write
	backlog atomic.Int64     // how many wait
	wake    chan struct{}    // something was put into waiting
	closed  bool             // Run has ended
}

// New makes a List and registers its metrics.
func New(o Options) *List {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.StoreTimeout = cmp.Or(o.StoreTimeout, campaigns.StoreTimeout)
	return &List{
		o: o, rdb: o.Redis,
		waiting: make(map[string]Entry),
		wake:    make(chan struct{}, 1),
		added: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "deflectd_optouts_total",
			Help: "Numbers put on the list of those never to be texted, by source.",
		}, []string{"source"}),
	}
}

// Count counts an entry that another part's script has newly put on the list
// (see Lua).
func (l *List) Count(s Source) { l.added.WithLabelValues(string(s)).Inc() }

//go:embed scripts/optout.lua
var functions string

// Lua is put in front of scripts that must know who has opted out:
//
//	optout_has(person) -> boolean
//	optout_add(person, number, at, source, reason) -> 1 where the entry is new
//	optout_latest(person) -> when it was last asked for, source; nil where it was not
//	optout_remove(person) -> 1 where there was an entry
//
// A person is the pseudonym of a number; at is the time in Unix milliseconds.
var Lua = "local OPTOUT, OPTOUTS = '" + campaigns.Key("optout", "") + "', '" + campaigns.Key("optouts") + "'\n" + functions
