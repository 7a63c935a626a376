package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
)

// outage is a crash test in which deflectd lives and its neighbours do not.
func outage(t *testing.T, environ ...string) *crash {
	t.Helper()
	c := &crash{
		world: newWorld(t, worldOptions{redis: durable, environ: append(slices.Clone(noLimits), environ...)}),
		alive: time.Second,
	}
	c.spawn(t)
	c.drops = c.campaign(t, lasting)
	return c
}

// allAccepted waits until all texts are accepted, and asserts that the provider
// took each of them once and no other.
func (c *crash) allAccepted(t *testing.T, texts int) {
	t.Helper()
	require.Len(t, c.asking.promised, texts)
	eventuallyWithin(t, settling, func() error {
		time.Sleep(500 * time.Millisecond)
		messages, err := c.messages(t)
		if err != nil {
			return err
		}
		states := map[message.State]int{}
		for _, m := range messages {
			states[m.State]++
		}
		if states[message.Accepted] != texts || len(states) != 1 {
			return fmt.Errorf("not all of %d texts are accepted: %v", texts, states)
		}
		return nil
	})
	taken := map[string]int{}
	for _, text := range c.provider.Texts() {
		taken[text.Reference]++
	}
	for id := range c.asking.promised {
		assert.Equal(t, 1, taken[id], "message %s", id)
	}
	assert.Len(t, taken, texts)
}

// The provider is away for a while. Everything is kept meanwhile, and anybody
// can see how much waits and for how long; when it is back, the texts go out by
// themselves, and no faster than one sender may.
func TestProviderBackAtALimitedRate(t *testing.T) {
	t.Parallel()
	const texts, rate = 60, 10
	c := outage(t, fmt.Sprintf("DEFLECTD_SMS_TEXTS_PER_SECOND=%d", rate))
	require.NoError(t, c.provider.Refuse())
	c.asking = c.beginAsking(t, texts, 1)
	c.asking.allow(texts)
	c.asking.end(t)
	eventually(t, func() error { return c.readyz(t, http.StatusOK, `"degraded"`) })
	eventuallyWithin(t, time.Minute, func() error {
		queued, age := c.metric(t, `deflectd_outbox_messages{state="queued"}`), c.metric(t, "deflectd_outbox_oldest_seconds")
		if queued != texts || age < 1 {
			return fmt.Errorf("%.0f texts wait for %.1f s", queued, age)
		}
		return nil
	})
	require.Empty(t, c.provider.Requests())

	require.NoError(t, c.provider.Accept())
	c.allAccepted(t, texts)
	all := c.provider.Texts()
	took := all[len(all)-1].At.Sub(all[0].At)
	t.Logf("%d texts went out in %.1f s; %d a second may", texts, took.Seconds(), rate)
	// The first may be held up on its way while the others follow; hence half.
	assert.Greater(t, took, texts*time.Second/rate/2)
	eventually(t, func() error {
		if queued := c.metric(t, `deflectd_outbox_messages{state="queued"}`); queued != 0 {
			return fmt.Errorf("%.0f texts still wait", queued)
		}
		return c.readyz(t, http.StatusOK, `"ready"`)
	})
}

// Redis is killed and started again and again, with what it has on disk. The
// deflectd that lives through it knows what the provider said: nothing is lost,
// doubled or unknown.
func TestRedisRestartedWhileTextsGoOut(t *testing.T) {
	t.Parallel()
	const texts, restarts = 100, 5
	c := outage(t)
	c.asking = c.beginAsking(t, texts, 2)
	for n := range restarts {
		c.asking.allow(texts * (n + 1) / restarts)
		time.Sleep(c.alive)
		require.NoError(t, c.redis.Kill())
		time.Sleep(c.alive / 2)
		require.NoError(t, c.redis.Restart(t.Context()))
	}
	c.asking.end(t)
	c.allAccepted(t, texts)
}
