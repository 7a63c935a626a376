package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// The end-to-end tests run deflectd between real neighbours. A test
//
//	w := newWorld(t, worldOptions{})       // Asterisk, Redis, the provider's stand-in; all end with the test
//	w.serve(t)                             // deflectd in this process (fast, -race, goleak), or
//	d := w.spawn(t)                        // the real program, to be killed, frozen or told to stop
//	c := w.campaign(t, func(c *campaigns.Campaign) { … })   // made over the API
//	r := w.call(t, lab.Caller{DNIS: c.DNIS[0], From: w.number(), Steps: …})
//
// and then asserts what the caller saw (the Result, w.arrival), what the
// provider got (w.text, w.noText), what was recorded (w.record) and what was
// counted (w.metric); w.ended does the last two at once. w.audit, at the end,
// holds all calls of the world to what deflectd promises of any.
//
// A world is for many tests where each has a campaign and callers of its own;
// whoever breaks something takes one for itself, which costs about a second.

// soon bounds what follows by itself from what has happened: generous, for
// machines that have much else to do.
const soon = 30 * time.Second

// world is a deflectd's surroundings, and whatever daemon runs in them.
type world struct {
	asterisk *lab.Asterisk
	redis    *lab.Redis
	provider *lab.Provider
	admin    string // URLs of the two listeners
	public   string
	token    string // of the API

	dir     string
	environ []string
	counter atomic.Int64

	mu     sync.Mutex
	placed []string // SIP Call-IDs of the calls made with call
}

// worldOptions say what is special about a world.
type worldOptions struct {
	asterisk lab.AsteriskOptions
	redis    []string // arguments of redis-server
	// environ are settings of deflectd over those of the harness, as
	// NAME=value; the last of a name counts.
	environ []string
}

// newWorld starts deflectd's neighbours. They are stopped when the test and
// its subtests have ended.
func newWorld(t *testing.T, o worldOptions) *world {
	t.Helper()
	w := &world{token: "end-to-end-tests-token", dir: t.TempDir()}
	var err error
	w.redis, err = lab.StartRedis(t.Context(), w.dir+"/redis", o.redis...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.redis.Stop()) })
	w.provider, err = lab.StartProvider()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.provider.Stop()) })
	o.asterisk.Dir = w.dir + "/asterisk"
	w.asterisk, err = lab.StartAsterisk(t.Context(), o.asterisk)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("Asterisk says:\n" + w.asterisk.Logs())
		}
		require.NoError(t, w.asterisk.Stop())
	})
	ports, err := lab.FreePorts(2)
	require.NoError(t, err)
	w.configure(t, ports, o.environ)
	return w
}

// configure writes the settings of deflectd down, as environment variables.
func (w *world) configure(t *testing.T, ports []int, more []string) {
	t.Helper()
	admin, public := "127.0.0.1:"+strconv.Itoa(ports[0]), "127.0.0.1:"+strconv.Itoa(ports[1])
	w.admin, w.public = "http://"+admin, "http://"+public
	nodes, err := json.Marshal([]map[string]string{{
		"name": "pbx", "url": w.asterisk.ARIURL, "username": w.asterisk.Username, "password": w.asterisk.Password,
	}})
	require.NoError(t, err)
	w.environ = append([]string{
		"DEFLECTD_ASTERISK_NODES=" + string(nodes),
		"DEFLECTD_REDIS_URL=" + w.redis.URL(),
		"DEFLECTD_ADMIN_LISTEN=" + admin,
		"DEFLECTD_ADMIN_TOKEN=" + w.token,
		"DEFLECTD_PUBLIC_LISTEN=" + public,
		"DEFLECTD_PUBLIC_URL=" + w.public,
		"DEFLECTD_SMS_ORIGINATOR=Acme",
		"DEFLECTD_SMS_MESSAGEBIRD_ACCESS_KEY=" + w.provider.AccessKey,
		"DEFLECTD_SMS_MESSAGEBIRD_URL=" + w.provider.URL,
		"DEFLECTD_SMS_MESSAGEBIRD_NUMBERS_URL=" + w.provider.URL + "/v1",
		"DEFLECTD_SMS_MESSAGEBIRD_SIGNING_KEY=" + signingKey,
		"DEFLECTD_NUMBERS_REGION=US",
		"DEFLECTD_NUMBERS_COUNTRIES=US",
		"DEFLECTD_NUMBERS_OWN=" + ownNumber,
		"DEFLECTD_LOG_LEVEL=debug",
		// The callers of most tests come from few ranges and call often.
		"DEFLECTD_LIMITS_COOLDOWN=0s", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY=0", "DEFLECTD_LIMITS_PER_PREFIX_PER_HOUR=0",
		"DEFLECTD_LIMITS_SEGMENTS_PER_DAY=0", "DEFLECTD_LIMITS_SURGE_CALLS=0",
		// A machine that runs all tests at once may be slow.
		"DEFLECTD_LIMITS_LOOKUP=1s",
	}, more...)
}

// signingKey is what the provider signs webhooks with, where it does.
const signingKey = "end-to-end-signing-key"

// ownNumber is in numbers.own of every world.
const ownNumber = "+12025550199"

// number returns a caller's number (US, fictitious) that no other test of this
// world has.
func (w *world) number() string {
	n := int(w.counter.Add(1))
	areas := []string{"212", "213", "214", "215", "216", "303", "305", "312", "313", "404", "412", "415"}
	return fmt.Sprintf("+1%s55501%02d", areas[n/100%len(areas)], n%100)
}

// dnis returns a toll-free number that no other test of this world has.
func (w *world) dnis() string {
	n := int(w.counter.Add(1))
	codes := []string{"800", "888", "877", "866", "855", "844", "833"}
	return fmt.Sprintf("+1%s55501%02d", codes[n/100%len(codes)], n%100)
}

// call places one call and returns when it is over. No caller is ever stuck.
func (w *world) call(t *testing.T, c lab.Caller) lab.Result {
	t.Helper()
	r := w.tryCall(t, c)
	require.False(t, r.Stuck, "the caller was left waiting")
	return r
}

// tryCall is call for a caller who may be left waiting.
func (w *world) tryCall(t *testing.T, c lab.Caller) lab.Result {
	t.Helper()
	r, err := w.asterisk.Call(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("what the caller saw:\n" + r.Trace)
		}
	})
	w.mu.Lock()
	w.placed = append(w.placed, r.CallID)
	w.mu.Unlock()
	return r
}

// arrival is where a call came out that deflectd let go.
func (w *world) arrival(t *testing.T, r lab.Result, context string) lab.Arrival {
	t.Helper()
	ctx, cancel := withTimeout(t, soon)
	defer cancel()
	a, err := w.asterisk.AwaitArrival(ctx, r.CallID)
	require.NoError(t, err)
	require.Equal(t, context, a.Context)
	require.Equal(t, 200, r.Status)
	require.Equal(t, lab.BySwitch, r.HungUpBy)
	require.Equal(t, map[string]int{"ivr": lab.CauseIVR, "agents": lab.CauseAgents}[context], r.Cause)
	return a
}

// released asserts that a call was hung up by deflectd, and never came out in
// the dialplan.
func (w *world) released(t *testing.T, r lab.Result) {
	t.Helper()
	require.Equal(t, 200, r.Status)
	require.Equal(t, lab.BySwitch, r.HungUpBy)
	require.NotEqual(t, lab.CauseIVR, r.Cause)
	w.nowhere(t, r)
}

// nowhere asserts that a call never came out in the dialplan.
func (w *world) nowhere(t *testing.T, r lab.Result) {
	t.Helper()
	arrivals, err := w.asterisk.Arrivals()
	require.NoError(t, err)
	for _, a := range arrivals {
		require.NotEqual(t, r.CallID, a.CallID, "the call came out in %s", a.Context)
	}
}

// eventually waits until check stops complaining.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	eventuallyWithin(t, soon, check)
}

// eventuallyWithin is eventually with a time limit of its own.
func eventuallyWithin(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			require.NoError(t, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// withTimeout bounds what one step of a test waits for.
func withTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// httpClient keeps no connection, so that nothing outlives its test.
var httpClient = &http.Client{
	Timeout:       soon,
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// audit holds all calls of this world to what is promised of any: each that
// was placed with call or tryCall (less those that never reached deflectd) has
// one record and was counted once, no call was texted twice, none is left at
// hand or in Asterisk, and the log shows neither numbers nor texts.
func (w *world) audit(t *testing.T, d *inProcess, unreached int) {
	t.Helper()
	w.mu.Lock()
	placed := len(w.placed) - unreached
	w.mu.Unlock()
	eventually(t, func() error {
		out, err := w.asterisk.CLI(t.Context(), "core show channels count")
		if err != nil || !strings.Contains(out, "0 active channels") {
			return fmt.Errorf("Asterisk has %s (%w)", out, err)
		}
		return nil
	})
	var records []report.Call
	eventually(t, func() error {
		if records = w.records(t, nil); len(records) < placed {
			return fmt.Errorf("%d of %d calls have a record", len(records), placed)
		}
		return nil
	})
	require.Len(t, records, placed, "one record a call")
	w.counted(t, placed, "deflectd_calls_total{")
	require.Zero(t, w.metric(t, "deflectd_calls_active"))
	require.Zero(t, w.metric(t, "deflectd_calls_setting_up"))
	texted := map[string]bool{}
	for _, text := range w.provider.Texts() {
		require.False(t, texted[text.Reference], "%s was sent twice", text.Reference)
		texted[text.Reference] = true
	}
	log := d.log.String()
	for _, r := range records {
		if len(r.ANI) > 6 {
			require.NotContains(t, log, r.ANI)
		}
	}
	require.NotContains(t, log, "fault of this program")
	require.NotContains(t, log, "help is here")
}
