package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// Calls come all the time while one thing after another breaks and is put
// right again: nobody is stranded, nobody is texted twice, and every call that
// deflectd had in hand has one record.
func TestFaultsUnderLoad(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable, asterisk: lab.AsteriskOptions{Patience: 12 * time.Second, Calls: 150}})
	l := w.withLine(t)
	d := w.spawn(t)
	c := w.campaign(t)
	const rate, seconds = 8, 24
	result := make(chan lab.LoadResult, 1)
	failed := make(chan error, 1)
	ctx := t.Context()
	go func() {
		r, err := w.asterisk.Load(ctx, lab.Load{
			Caller: lab.Caller{
				DNIS: c.DNIS[0], From: "+12125", Timeout: 25 * time.Second,
				Steps: []lab.Step{lab.Answered(), lab.Pause(500 * time.Millisecond), lab.PressInfo("1"), lab.AwaitBye()},
			},
			Rate: rate, Calls: rate * seconds,
		})
		result <- r
		failed <- err
	}()
	steadily := func(what string, breaks func()) {
		time.Sleep(2 * time.Second)
		t.Log("now: " + what)
		breaks()
	}
	steadily("Redis is frozen for 1.5 s", func() {
		require.NoError(t, w.redis.Freeze())
		time.Sleep(1500 * time.Millisecond)
		require.NoError(t, w.redis.Thaw())
	})
	steadily("the event stream breaks", func() { l.drop(false) })
	steadily("the provider is away for 1 s", func() {
		require.NoError(t, w.provider.Refuse())
		time.Sleep(time.Second)
		require.NoError(t, w.provider.Accept())
	})
	steadily("Redis is restarted", func() { require.NoError(t, w.redis.Restart(t.Context())) })
	steadily("deflectd is told to stop, and started", func() {
		require.Equal(t, exitDone, d.terminate(t))
		d = w.spawn(t)
	})
	steadily("deflectd is killed, and started", func() {
		require.NoError(t, d.Kill())
		d = w.spawn(t)
	})
	r := <-result
	require.NoError(t, <-failed)
	w.empty(t)
	t.Logf("measured: under load: %d calls, %d good, longest %.1f s; %s", r.Calls, r.Good, r.Talks[len(r.Talks)-1].Seconds(), r.Failures)
	require.Len(t, r.Talks, r.Calls, "a caller was never answered, or never hung up")
	require.Less(t, lab.Quantile(r.Talks, 1), 12*time.Second)

	arrivals, err := w.asterisk.Arrivals()
	require.NoError(t, err)
	records := map[string]report.Call{}
	outcomes := map[string]int{}
	eventuallyWithin(t, 50*time.Second, func() error { return w.settledTexts(t) }) // a lease is 30 s
	// All records: a call that comes before a new deflectd has read the campaigns
	// has one without a campaign.
	for _, record := range w.records(t, nil) {
		require.NotContains(t, records, record.Channel, "two records of one call")
		records[record.Channel] = record
		outcomes[string(record.Outcome)+" "+string(record.Reason)]++
	}
	past := 0
	for _, a := range arrivals {
		record, ok := records[a.Channel]
		if a.StasisStatus == "FAILED" {
			past++
			require.False(t, ok)
			continue
		}
		if !ok {
			outcomes["no record: "+a.Variables["DEFLECTD_OUTCOME"]+" "+a.Variables["DEFLECTD_REASON"]]++
			continue
		}
		said := a.Variables["DEFLECTD_OUTCOME"] + a.Variables["DEFLECTD_REASON"]
		if said == "" && record.Reason == report.Orphaned {
			// No call stays longer than need be for the sake of its variables.
			outcomes["let go before its variables were set"]++
			continue
		}
		require.Equal(t, string(record.Outcome)+string(record.Reason), said)
	}
	t.Logf("measured: under load: %d records, %d past deflectd: %v", len(records), past, outcomes)
	// Records of the last milliseconds before a kill may be lost with it.
	require.InDelta(t, r.Calls, len(records)+past, 2)

	sent := map[string]int{}
	for _, text := range w.provider.Texts() {
		sent["+"+strings.TrimPrefix(text.Recipients[0], "+")]++
	}
	for number, n := range sent {
		require.Equal(t, 1, n, "%s was texted more than once", number)
	}
	for _, record := range records {
		switch {
		case record.Outcome == report.Deflected && record.Reason == report.Released:
			require.Equal(t, 1, sent[record.ANI], "who was hung up on has the text: %+v", record)
		case record.Message == "" && record.Reason != report.Orphaned:
			require.Zero(t, sent[record.ANI], "%+v", record)
		}
	}
}

// settledTexts complains while texts wait.
func (w *world) settledTexts(t *testing.T) error {
	if n := w.metric(t, `deflectd_outbox_messages{state="queued"}`); n > 0 {
		return fmt.Errorf("%g texts wait", n)
	}
	return nil
}
