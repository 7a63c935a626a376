package message

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of all tests that leave it alone.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// startRedis gives a real Redis with nothing in it, or a Cluster of such.
func startRedis(t testing.TB) *lab.Redis {
	t.Helper()
	require.NoError(t, server.Flush(t.Context()))
	return server
}

// ownRedis starts one for a test that stops or freezes it.
func ownRedis(t testing.TB, args ...string) *lab.Redis {
	t.Helper()
	r, err := lab.StartTestRedis(t.Context(), t.TempDir(), args...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Stop() })
	return r
}

// patience is how long tests wait for Redis: a busy machine must not look like
// one whose Redis is away.
const patience = labtest.Patience

// connect makes a client as the daemon has one, but patient.
func connect(t testing.TB, r *lab.Redis) redis.UniversalClient {
	t.Helper()
	return labtest.Dial(t, r, patience)
}

// sends sends a text, more than once where Redis seems to be away, until it was
// accepted.
func sends(t testing.TB, o *Outbox) {
	t.Helper()
	require.Eventually(t, func() bool {
		pending, err := o.Send(t.Context(), request())
		if err != nil {
			return false
		}
		seen := states(t, pending)
		return seen[len(seen)-1] == Accepted
	}, time.Minute, 10*time.Millisecond)
}

// provider is a scripted one that keeps what it was given.
type provider struct {
	answer func(ctx context.Context, t Text) (string, error) // nil: accepted

	mu   sync.Mutex
	took []Text
}

func (p *provider) Name() string { return "scripted" }

func (p *provider) Send(ctx context.Context, t Text) (string, error) {
	p.mu.Lock()
	p.took = append(p.took, t)
	answer := p.answer
	p.mu.Unlock()
	if answer == nil {
		return "id-" + t.Reference, nil
	}
	return answer(ctx, t)
}

func (p *provider) texts() []Text {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Text(nil), p.took...)
}

// count is how often the provider was given a message.
func (p *provider) count(id string) (n int) {
	for _, t := range p.texts() {
		if t.Reference == id {
			n++
		}
	}
	return n
}

func (p *provider) say(answer func(ctx context.Context, t Text) (string, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

func fails(e SendError) func(context.Context, Text) (string, error) {
	return func(context.Context, Text) (string, error) { return "", &e }
}

// hand gives a scripted provider what it waits for.
func hand(t testing.TB, answers chan<- error, err error) {
	t.Helper()
	select {
	case answers <- err:
	case <-time.After(patience):
		t.Fatal("the provider was not asked")
	}
}

// hangs never answers of its own accord.
func hangs(ctx context.Context, _ Text) (string, error) {
	<-ctx.Done()
	return "", ctx.Err()
}

// newOutbox makes an outbox with short times that is not running.
func newOutbox(t testing.TB, rdb redis.UniversalClient, p Provider, change ...func(*Options)) *Outbox {
	t.Helper()
	o := Options{
		Redis: rdb, Provider: p, PublicURL: "https://txt.example.com/", Originator: "Acme",
		Backoff: Backoff{Initial: 20 * time.Millisecond, Max: 100 * time.Millisecond}, StoreTimeout: patience,
		AttemptTimeout: 6 * patience, // tests that hold a provider back do not race with it
	}
	for _, f := range change {
		f(&o)
	}
	x, err := NewOutbox(o)
	require.NoError(t, err)
	t.Cleanup(func() { ended(x) })
	return x
}

// ended ends what an outbox that was never run has begun, before its Redis goes.
func ended(o *Outbox) {
	o.mu.Lock()
	closed := o.closed
	o.closed = true
	o.mu.Unlock()
	if !closed {
		close(o.draining)
		o.cutShort()
	}
	o.wg.Wait()
}

// running runs an outbox until the end of the test, or until stop is called.
func running(t testing.TB, o *Outbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func testCampaign() *campaigns.Campaign {
	return &campaigns.Campaign{
		ID: "billing", Text: "Acme: pay here {link}",
		Interaction: campaigns.Interaction{
			ID: "pay", URL: "https://visual.example.com/start?interaction={interaction_id}",
			CallerID: "plain", CallerIDParam: "callerId",
		},
		Validity: campaigns.Duration(15 * time.Minute),
		Link:     campaigns.LinkPolicy{ExpiresAfter: campaigns.Duration(72 * time.Hour)},
	}
}

func request() Request {
	return Request{Campaign: testCampaign(), To: phone.Number{E164: "+14155550132", Region: "US"}, Call: "call-1"}
}

// wants waits until a message is in a state.
func wants(t testing.TB, o *Outbox, id string, s State) Message {
	t.Helper()
	var m Message
	require.Eventually(t, func() bool {
		var err error
		m, err = o.Get(context.WithoutCancel(t.Context()), id)
		return err == nil && m.State == s
	}, time.Minute, 5*time.Millisecond, "message never got %s, it is %+v", s, m)
	return m
}

// states reads all changes of a pending message until it has settled.
func states(t testing.TB, p *Pending) (seen []State) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case s, ok := <-p.States():
			if !ok {
				return seen
			}
			seen = append(seen, s)
		case <-timeout:
			t.Fatalf("the message never settled, seen %v", seen)
		}
	}
}

// sees reads the next changes of a pending message: what this process has heard of
// it. What the record says may be news to the process yet.
func sees(t testing.TB, p *Pending, want ...State) {
	t.Helper()
	timeout := time.After(patience)
	for _, s := range want {
		select {
		case seen := <-p.States():
			require.Equal(t, s, seen)
		case <-timeout:
			t.Fatalf("the message never got %s", s)
		}
	}
}

func history(m Message) (seen []State) {
	for _, c := range m.History {
		seen = append(seen, c.State)
	}
	return seen
}

// meddler is a hook between the outbox and Redis.
type meddler struct {
	commands atomic.Int64
	// around is asked for every command that runs a script.
	around func(script string, run func() error) error
}

func (m *meddler) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (m *meddler) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		m.commands.Add(1)
		run := func() error { return next(ctx, cmd) }
		if m.around == nil || !strings.HasPrefix(cmd.Name(), "eval") {
			return run()
		}
		return m.around(scriptName(cmd), run)
	}
}

func (m *meddler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		m.commands.Add(1)
		return next(ctx, cmds)
	}
}

// allScripts are the scripts by name.
func allScripts() map[string]*redis.Script {
	return map[string]*redis.Script{
		"enqueue": enqueueScript, "sending": sendingScript, "settle": settleScript, "retry": retryScript,
		"claim": claimScript, "extend": extendScript, "cancel": cancelScript, "report": reportScript,
		"forget": forgetScript, "figures": figuresScript, "link": linkScript, "unlink": unlinkScript,
	}
}

func scriptName(cmd redis.Cmder) string {
	for name, s := range allScripts() {
		if args := cmd.Args(); len(args) > 1 && args[1] == s.Hash() {
			return name
		}
	}
	return ""
}

// keys are those in the Redis of all tests that match a pattern.
func keys(t testing.TB, pattern string) []string {
	t.Helper()
	all, err := server.Keys(t.Context(), pattern)
	require.NoError(t, err)
	return all
}
