package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

// asking are the clients that ask for the texts of the crash test. Each asks for
// one text after the other, and asks again with the same key until it is
// answered 202, as clients do that may not lose a text; and now and then once
// more after that, as clients do that lost the answer.
type asking struct {
	*crash
	begin chan int // the number of a text that may be asked for now
	given int
	close func() // nothing more is begun
	wg    sync.WaitGroup

	requests, unanswered, again atomic.Int64

	mu       sync.Mutex
	promised map[string]int // message id → the number of its text
}

// beginAsking starts the clients; a text is asked for when it is allowed.
func (c *crash) beginAsking(t *testing.T, texts int, seed uint64) *asking {
	a := &asking{crash: c, begin: make(chan int, texts), promised: map[string]int{}}
	for client := range clients {
		random := rand.New(rand.NewPCG(seed, uint64(client)+1))
		a.wg.Go(func() {
			for n := range a.begin {
				a.text(t, n, random)
			}
		})
	}
	a.close = sync.OnceFunc(func() { close(a.begin) })
	t.Cleanup(func() {
		a.close()
		a.wg.Wait()
	})
	return a
}

// allow lets the texts below n be asked for.
func (a *asking) allow(n int) {
	for ; a.given < n; a.given++ {
		a.begin <- a.given
	}
}

// end waits until all texts are promised.
func (a *asking) end(t *testing.T) {
	t.Helper()
	a.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.wg.Wait()
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		require.Fail(t, "texts are not promised though deflectd lives")
	}
}

// text asks for the nth text until it is promised.
func (a *asking) text(t *testing.T, n int, random *rand.Rand) {
	var first string
	for pause := upTo(random, a.alive/2); ; pause = upTo(random, a.alive/4) {
		select {
		case <-t.Context().Done():
			return
		case <-time.After(pause):
		}
		id, err := a.ask(t, n)
		switch {
		case err != nil:
			a.unanswered.Add(1)
		case first == "":
			first = id
			a.mu.Lock()
			other, taken := a.promised[id]
			a.promised[id] = n
			a.mu.Unlock()
			assert.False(t, taken, "texts %d and %d are the one message %s", n, other, id)
			if random.IntN(3) > 0 {
				return
			}
			a.again.Add(1)
		default:
			assert.Equal(t, first, id, "one key, two messages")
			return
		}
	}
}

// ask asks once. The error says that there was no answer, or that there will be
// another one.
func (a *asking) ask(t *testing.T, n int) (id string, err error) {
	a.requests.Add(1)
	body, err := json.Marshal(map[string]string{"to": recipient(n)})
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		a.admin+"/v1/campaigns/"+a.campaignOf(n)+"/messages", bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", "text "+strconv.Itoa(n))
	res, err := httpClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusAccepted {
		assert.GreaterOrEqual(t, res.StatusCode, 500, "text %d is refused: %s", n, text)
		return "", fmt.Errorf("it answers %d", res.StatusCode)
	}
	var m message.Message
	if err := json.Unmarshal(text, &m); err != nil {
		return "", err
	}
	return m.ID, nil
}

// campaignOf is the campaign of the nth text: each fifth may be sent once more.
func (c *crash) campaignOf(n int) string {
	if c.long && n%5 == 4 {
		return c.resends.ID
	}
	return c.drops.ID
}
