package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// Whatever comes through the event stream, calls go on: those under way, and
// those that come.
func TestFaultOddEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	l := w.withLine(t)
	d := w.serve(t)
	c, after := w.campaign(t, prompting), w.campaign(t)
	call := w.place(t, c, lab.Caller{Steps: pressesAfter(3*time.Second, "1")}).at(t, "prompt offer")

	unknown := []string{
		`{"type":"RESTResponse","application":"deflectd","status_code":200}`,
		`{"type":"CallBroadcast","application":"deflectd","channel":{"id":"1.1"}}`,
		`{"type":"ChannelToneDetected","application":"deflectd","channel":{"id":"1.1"}}`,
		`{"type":"FromTheFuture","application":"deflectd","future":{"deep":[1,2,{"type":"StasisStart"}]}}`,
	}
	malformed := []string{
		``, `this is not JSON`, `{"type":"StasisStart","channel":{"id":`, `[]`, `null`, `7`, `"StasisStart"`, `{}`,
		`{"type":7}`, `{"type":""}`, `{"type":"StasisStart","channel":"none","application":"deflectd"}`,
		`{"type":"StasisStart","application":"deflectd"}`, `{"type":"StasisStart","channel":{}}`,
		"\x00\x01\xff\xfe", "\xff\xfe{", strings.Repeat(`{"a":`, 20_000),
	}
	harmless := []string{
		`{"type":"StasisEnd"}`, `{"type":"StasisEnd","channel":{"id":"nobody"}}`,
		`{"type":"ChannelDtmfReceived","digit":"1","channel":{"id":"nobody"}}`,
		`{"type":"PlaybackFinished","playback":{"id":"x","target_uri":"bridge:y"}}`,
		`{"type":"PlaybackFinished"}`, `{"type":"ChannelHangupRequest"}`,
	}
	l.inject(t, unknown...)
	l.inject(t, malformed...)
	l.inject(t, harmless...)
	eventually(t, func() error {
		if n := w.metric(t, `deflectd_asterisk_events_unknown_total{node="pbx"}`); n < float64(len(unknown)) {
			return errNotYet
		}
		return nil
	})
	require.InDelta(t, len(unknown), w.metric(t, `deflectd_asterisk_events_unknown_total{node="pbx"}`), 0)
	eventually(t, func() error {
		if n := w.metric(t, `deflectd_asterisk_events_malformed_total{node="pbx"}`); n < float64(len(malformed)) {
			return errNotYet
		}
		return nil
	})

	w.released(t, call.over(t))
	call.recorded(t, report.Deflected, report.Released)
	next := w.place(t, after, lab.Caller{Steps: presses("1")})
	w.released(t, next.over(t))
	next.recorded(t, report.Deflected, report.Released)
	w.onceEach(t, []string{call.caller, next.caller}, nil)
	require.Zero(t, w.metric(t, `deflectd_asterisk_reconnects_total{node="pbx"}`), "the stream did not break")
	w.audit(t, d, 0)
}

// When the event stream breaks and is back at once, calls go on, with what was
// missed found out.
func TestFaultEventStreamBreaks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	l := w.withLine(t)
	d := w.serve(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	calls := []*ongoing{
		w.place(t, prompt, lab.Caller{Steps: pressesAfter(8*time.Second, "1")}).at(t, "prompt offer"),
		w.place(t, told, lab.Caller{Steps: givesUp(8 * time.Second)}).at(t, "prompt sent"),
		// The end of this one's prompt falls into the gap, or near it.
		w.place(t, listen, lab.Caller{Steps: pressesAfter(8*time.Second, "1")}).at(t, "prompt offer"),
	}
	for n := range 3 {
		l.drop(false)
		broken := time.Now()
		eventually(t, func() error {
			if w.metric(t, `deflectd_asterisk_reconnects_total{node="pbx"}`) <= float64(n) {
				return errNotYet
			}
			return nil
		})
		t.Logf("measured: the event stream breaks: made again after %.1f s", time.Since(broken).Seconds())
	}
	for _, c := range []*ongoing{calls[0], calls[2]} {
		w.released(t, c.over(t))
		c.recorded(t, report.Deflected, report.Released)
	}
	require.Equal(t, lab.ByCaller, calls[1].over(t).HungUpBy)
	calls[1].recorded(t, report.Deflected, report.CallerHungUp)
	w.onceEach(t, []string{calls[0].caller, calls[1].caller, calls[2].caller}, nil)
	w.audit(t, d, 0)
}

// When the event stream stays away, calls are let go over HTTP; those that
// come meanwhile are past deflectd at once.
func TestFaultEventStreamStaysAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	l := w.withLine(t)
	d := w.serve(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	calls := []*ongoing{
		w.place(t, prompt, lab.Caller{}).at(t, "prompt offer"),
		w.place(t, listen, lab.Caller{}).at(t, "prompt offer"),
		w.place(t, told, lab.Caller{}).at(t, "prompt sent"),
	}
	l.drop(true)
	broken := time.Now()
	for i, where := range []string{"in a prompt of a minute", "waiting for a key", "in the prompt after the text"} {
		calls[i].inIVR(t, "the event stream stays away, "+where, broken)
		calls[i].recorded(t, report.Failed, report.SwitchLost)
	}
	w.empty(t)
	placed := time.Now()
	past := w.place(t, w.campaign(t), lab.Caller{})
	a := past.inIVR(t, "a new call while the event stream is away", placed)
	require.Equal(t, "FAILED", a.StasisStatus)

	l.restore()
	eventually(t, func() error { return w.readyz(t, 200, `"ready"`) })
	w.serves(t)
	w.onceEach(t, []string{calls[2].caller}, []string{calls[0].caller, calls[1].caller, past.caller})
	w.audit(t, d, 1)
}

// A command that Asterisk takes and never answers does not hold the caller.
func TestFaultCommandsHang(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	l := w.withLine(t)
	d := w.serve(t)
	for _, test := range []struct{ command, path string }{
		{"answer", "/answer"}, {"play", ".0"} /* the number of the playback */, {"set", "/variable"}, {"continue", "/continue"},
	} {
		c := w.campaign(t)
		l.hang(test.path)
		if test.command == "continue" { // no way out but this one: it must work at last
			time.AfterFunc(2*time.Second, l.restore)
		}
		placed := time.Now()
		call := w.place(t, c, lab.Caller{Steps: presses("2")})
		call.inIVR(t, "the command "+test.command+" is never answered", placed)
		l.restore()
		eventually(t, func() error { return w.readyz(t, 200, `"ready"`) })
		record := w.record(t, url.Values{"campaign": {c.ID}})
		require.Contains(t, []report.Reason{report.SwitchLost, report.KeypressDecline, report.PromptFailed}, record.Reason)
		w.noText(t, call.caller)
	}
	w.serves(t)
	w.audit(t, d, 0)
}
