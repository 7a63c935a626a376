package messagebird

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/deploy/lab/labtest"
)

// A signed request is taken once, at whatever daemon and webhook.
func TestASignatureIsGoodForOnce(t *testing.T) {
	rdb := connect(t, server)
	l, other := listen(t, rdb), listen(t, rdb)
	everyWebhook(t, func(t *testing.T, c call) {
		before := l.taken()
		c = c.signed(t)
		assert.Equal(t, 200, l.do(t, c))
		for _, again := range []*listener{l, other, l} {
			assert.Equal(t, 401, again.do(t, c))
		}
		assert.Equal(t, before+1, l.taken())
	})
	assert.Zero(t, other.taken())
	assert.Equal(t, 4, l.counted(repeated))
	// Another request with the same jti is a repetition, too.
	same := rand.Text()
	jti := func(claims jwt.MapClaims) { claims["jti"] = same }
	assert.Equal(t, 200, l.do(t, report("status=sent").signed(t, jti)))
	assert.Equal(t, 401, l.do(t, report("status=delivered").signed(t, jti)))
	assert.Equal(t, 401, l.do(t, texting(aText).signed(t, jti)))
}

// Of many at once one is taken; whoever comes while it is being taken is asked to
// come again, for it may yet fail.
func TestASignatureManyTimesAtOnce(t *testing.T) {
	rdb := connect(t, server)
	daemons := []*listener{listen(t, rdb), listen(t, rdb)}
	everyWebhook(t, func(t *testing.T, c call) {
		before := daemons[0].taken() + daemons[1].taken()
		c = c.signed(t)
		var wg sync.WaitGroup
		var mu sync.Mutex
		statuses := map[int]int{}
		for n := range 20 {
			wg.Go(func() {
				status := daemons[n%2].do(t, c)
				mu.Lock()
				defer mu.Unlock()
				statuses[status]++
			})
		}
		wg.Wait()
		assert.Equal(t, 1, statuses[200], "%v", statuses)
		assert.Equal(t, 19, statuses[401]+statuses[503], "%v", statuses)
		assert.Equal(t, before+1, daemons[0].taken()+daemons[1].taken())
		assert.Equal(t, 401, daemons[1].do(t, c), "afterwards")
	})
}

func TestWhileARequestIsBeingTaken(t *testing.T) {
	l := listen(t, connect(t, server))
	inside, goOn := make(chan struct{}), make(chan struct{})
	l.hold = func() { close(inside); <-goOn }
	c := texting(aText).signed(t)
	var wg sync.WaitGroup
	wg.Go(func() { assert.Equal(t, 200, l.do(t, c)) })
	<-inside
	assert.Equal(t, 503, l.do(t, c))
	close(goOn)
	wg.Wait()
	assert.Equal(t, 401, l.do(t, c))
	assert.Equal(t, 1, l.counted(inFlight))
	assert.Equal(t, 1, l.taken())
}

// What was answered 503 was not taken: it may come again as it was.
func TestASignatureIsReleasedWhereNothingWasTaken(t *testing.T) {
	l := listen(t, connect(t, server))
	everyWebhook(t, func(t *testing.T, c call) {
		before := l.taken()
		c = c.signed(t)
		for _, err := range []error{message.ErrStore, errors.New("?")} {
			l.fails(err)
			assert.Equal(t, http.StatusServiceUnavailable, l.do(t, c))
		}
		l.fails(nil)
		assert.Equal(t, 200, l.do(t, c))
		assert.Equal(t, 401, l.do(t, c))
		assert.Equal(t, before+1, l.taken())
	})
}

// A claim is one request's, ends by itself where nobody ends it, and is given
// back by nobody else.
func TestClaims(t *testing.T) {
	s := newSignatures(signingKey, connect(t, server))
	q := signed{id: rand.Text(), expires: time.Now().Add(time.Minute)}
	s.claimTime = 100 * time.Millisecond
	lost, whose, err := s.claim(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, ours, whose)
	s.claimTime = time.Hour
	var mine claim
	require.Eventually(t, func() bool {
		mine, whose, err = s.claim(t.Context(), q)
		return err == nil && whose == ours
	}, time.Minute, 10*time.Millisecond, "the process that had it is gone")
	s.release(t.Context(), lost)
	_, whose, err = s.claim(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, another, whose, "it is not given back by whoever had it before")
	require.NoError(t, s.settle(t.Context(), mine, q))
	s.release(t.Context(), mine)
	_, whose, err = s.claim(t.Context(), q)
	require.NoError(t, err)
	assert.Equal(t, over, whose)
	ttl, err := s.rdb.PTTL(t.Context(), mine.key).Result()
	require.NoError(t, err)
	assert.Greater(t, ttl, time.Minute+leeway, "it is known for as long as the signature is good")
	assert.Less(t, ttl, 3*time.Minute)
}

// The client of Redis repeats a command where a connection breaks: a claim that
// is asked for twice is one claim.
func TestAClaimThatIsAskedForTwice(t *testing.T) {
	rdb := connect(t, server)
	s := newSignatures(signingKey, rdb)
	rdb.AddHook(labtest.Twice{})
	_, whose, err := s.claim(t.Context(), signed{id: rand.Text(), expires: time.Now().Add(time.Minute)})
	require.NoError(t, err)
	assert.Equal(t, ours, whose)
}
