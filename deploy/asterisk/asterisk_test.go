package asterisk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/asterisk"
	"deflectd/deploy/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is the least a Stasis application can be: it hears of each call and does
// with it what the test says. The default does nothing, like one that hangs.
type app struct {
	t        *testing.T
	asterisk *lab.Asterisk
	starts   chan start
}

// start is the StasisStart event of a call.
type start struct {
	Type    string
	Args    []string
	Channel struct{ ID string }
}

func connect(t *testing.T, a *lab.Asterisk, name string) *app {
	t.Helper()
	target := strings.Replace(a.ARIURL, "http:", "ws:", 1) + "/events?app=" + name +
		"&api_key=" + a.Username + ":" + a.Password
	conn, res, err := websocket.Dial(t.Context(), target, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
	conn.SetReadLimit(1 << 20)
	it := &app{t: t, asterisk: a, starts: make(chan start, 100)}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		defer close(done)
		for {
			_, text, err := conn.Read(ctx)
			if err != nil {
				return
			}
			var s start
			if json.Unmarshal(text, &s) == nil && s.Type == "StasisStart" {
				it.starts <- s
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = conn.CloseNow()
	})
	return it
}

func (a *app) next() start {
	a.t.Helper()
	select {
	case s := <-a.starts:
		return s
	case <-time.After(time.Minute):
		a.t.Fatal("no StasisStart came")
	}
	return start{}
}

// do runs one command on a channel and returns the body of the answer.
func (a *app) do(method, path string, query url.Values) map[string]any {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.asterisk.ARIURL+path+"?"+query.Encode(), nil)
	require.NoError(a.t, err)
	req.SetBasicAuth(a.asterisk.Username, a.asterisk.Password)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	require.NoError(a.t, err)
	defer func() { _ = res.Body.Close() }()
	require.Less(a.t, res.StatusCode, 300, path)
	body := map[string]any{}
	_ = json.NewDecoder(res.Body).Decode(&body) // 204 has none
	return body
}

// letGo does what deflectd does: the variables in one request, then continue.
func (a *app) letGo(channel, transfer string) {
	a.t.Helper()
	names := "ARRAY(DEFLECTD_CALL,DEFLECTD_CAMPAIGN,DEFLECTD_OUTCOME,DEFLECTD_REASON,DEFLECTD_MESSAGE,DEFLECTD_TRANSFER)"
	values := `c1,billing,passed,overload,m1,` + strings.ReplaceAll(transfer, ",", `\,`)
	a.do(http.MethodPost, "/channels/"+channel+"/variable", url.Values{"variable": {names}, "value": {values}})
	a.do(http.MethodPost, "/channels/"+channel+"/continue", nil)
}

func startAsterisk(t *testing.T, o lab.AsteriskOptions) *lab.Asterisk {
	t.Helper()
	o.Dir = t.TempDir()
	a, err := lab.StartAsterisk(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, a.Stop())
		if t.Failed() {
			t.Log(a.Logs())
		}
	})
	return a
}

// ring places a call in the background.
func ring(t *testing.T, a *lab.Asterisk, c lab.Caller) <-chan lab.Result {
	t.Helper()
	done := make(chan lab.Result, 1)
	if c.DNIS == "" {
		c.DNIS = "+18005550100"
	}
	if c.From == "" {
		c.From = "+14155550123"
	}
	go func() {
		r, err := a.Call(t.Context(), c)
		if err != nil {
			t.Errorf("call: %v", err)
		}
		done <- r
	}()
	return done
}

func arrival(t *testing.T, a *lab.Asterisk, r lab.Result) lab.Arrival {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	arrival, err := a.AwaitArrival(ctx, r.CallID)
	require.NoError(t, err, r.Trace)
	return arrival
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, lab.AsteriskOptions{})
	r := <-ring(t, a, lab.Caller{})
	require.Equal(t, lab.CauseIVR, r.Cause, r.Trace)
	require.Less(t, r.Setup(), 10*time.Second)
	got := arrival(t, a, r)
	require.Equal(t, "ivr", got.Context)
	require.Equal(t, "+18005550100", got.Extension)
	require.Equal(t, "FAILED", got.StasisStatus)
	require.Equal(t, "Ring", got.State, "a call that nobody took must not have been answered")
	require.NotContains(t, a.Logs(), "DIALPLAN_EXISTS")
}

func TestDeadManSwitch(t *testing.T) {
	t.Parallel()
	const patience, stay = 2 * time.Second, 3 * time.Second
	a := startAsterisk(t, lab.AsteriskOptions{Patience: patience, Stay: stay})
	app := connect(t, a, "deflectd")
	tests := map[string]func(channel string){
		"unanswered": func(string) {},
		"answered":   func(channel string) { app.do(http.MethodPost, "/channels/"+channel+"/answer", nil) },
		"in a prompt": func(channel string) {
			app.do(http.MethodPost, "/channels/"+channel+"/answer", nil)
			app.do(http.MethodPost, "/channels/"+channel+"/play", url.Values{"media": {lab.SoundMinute}})
		},
	}
	for name, before := range tests {
		t.Run(name, func(t *testing.T) { // one at a time: each takes the next call
			done := ring(t, a, lab.Caller{})
			before(app.next().Channel.ID) // and then never again
			r := <-done
			require.False(t, r.Stuck)
			require.Equal(t, lab.CauseIVR, r.Cause, r.Trace)
			got := arrival(t, a, r)
			require.Equal(t, "+18005550100", got.Extension)
			require.GreaterOrEqual(t, got.At.Sub(r.Invited), patience-50*time.Millisecond)
			require.Less(t, got.At.Sub(r.Invited), patience+10*time.Second)
			require.GreaterOrEqual(t, r.Ended.Sub(got.At), stay-50*time.Millisecond,
				"the switch must be off once the call is let go")
		})
	}
}

func TestLetGo(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, lab.AsteriskOptions{})
	app := connect(t, a, "deflectd")
	tests := map[string]struct {
		transfer string
		context  string
		exten    string
		cause    int
	}{
		"to the next priority":           {"", "ivr", "+18005550100", lab.CauseIVR},
		"to agents":                      {"agents,77,1", "agents", "77", lab.CauseAgents},
		"to no context":                  {"nowhere,77,1", "ivr", "+18005550100", lab.CauseIVR},
		"to no extension":                {"agents,sales,1", "ivr", "+18005550100", lab.CauseIVR},
		"to no priority":                 {"agents,77,9", "ivr", "+18005550100", lab.CauseIVR},
		"to nonsense":                    {`,,$[`, "ivr", "+18005550100", lab.CauseIVR},
		"back into deflectd":             {"deflectd,+18005550100,1", "ivr", "+18005550100", lab.CauseIVR},
		"back into deflectd by a detour": {"loop,+18005550111,1", "loop", "+18005550111", lab.CauseIVR},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { // one at a time: each takes the next call
			done := ring(t, a, lab.Caller{})
			app.letGo(app.next().Channel.ID, test.transfer)
			r := <-done
			require.Equal(t, test.cause, r.Cause, r.Trace)
			got := arrival(t, a, r)
			require.Equal(t, test.context, got.Context)
			require.Equal(t, test.exten, got.Extension)
			require.Equal(t, "SUCCESS", got.StasisStatus)
			require.Equal(t, "Ring", got.State)
			require.Equal(t, map[string]string{
				"DEFLECTD_DNIS": "+18005550100", "DEFLECTD_CALL": "c1", "DEFLECTD_CAMPAIGN": "billing",
				"DEFLECTD_OUTCOME": "passed", "DEFLECTD_REASON": "overload", "DEFLECTD_MESSAGE": "m1",
				"DEFLECTD_TRANSFER": test.transfer,
			}, got.Variables)
			require.Empty(t, app.starts, "a call must not come to deflectd twice")
		})
	}
}

// A call that nobody marked comes back all the same: the dead man's switch took
// it, and the operator's dialplan sends it here again.
func TestNeverTwiceUnmarked(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, lab.AsteriskOptions{
		Patience: time.Second,
		Dialplan: "[ivr](+)\nexten => 7100,1,Goto(deflectd,7101,1)\n",
	})
	app := connect(t, a, "deflectd")
	r := <-ring(t, a, lab.Caller{DNIS: "7100"})
	require.Equal(t, lab.CauseIVR, r.Cause, r.Trace)
	require.Equal(t, "7101", arrival(t, a, r).Extension)
	app.next()
	require.Empty(t, app.starts)
}

func TestArguments(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, lab.AsteriskOptions{})
	app := connect(t, a, "deflectd")
	tests := map[string]struct {
		caller lab.Caller
		args   string
	}{
		"plain":    {lab.Caller{}, "dnis=+18005550100 ani=+14155550123 pres=allowed_not_screened rdnis="},
		"short":    {lab.Caller{DNIS: "611"}, "dnis=611 ani=+14155550123 pres=allowed_not_screened rdnis="},
		"asserted": {lab.Caller{PAI: "+14155550199"}, "dnis=+18005550100 ani=+14155550199 pres=allowed_not_screened rdnis="},
		"withheld": {
			lab.Caller{PAI: "+14155550199", From: "anonymous", Privacy: "id"},
			"dnis=+18005550100 ani=+14155550199 pres=prohib_not_screened rdnis=",
		},
		"forwarded": {
			lab.Caller{Diversion: "+14155550177"},
			"dnis=+18005550100 ani=+14155550123 pres=allowed_not_screened rdnis=+14155550177",
		},
		"hostile": {
			lab.Caller{
				DNIS: "+1800,dnis=5", From: `0,dnis=6,ani="7"`, DisplayName: `",dnis=8`, Diversion: "9,rdnis=10,x",
			},
			"dnis=+18005 ani=0dnis6ani7 pres=allowed_not_screened rdnis=910",
		},
		"letters":   {lab.Caller{From: "alice"}, "dnis=+18005550100 ani=alice pres=allowed_not_screened rdnis="},
		"anonymous": {lab.Caller{From: "anonymous"}, "dnis=+18005550100 ani=anonymous pres=allowed_not_screened rdnis="},
		"letters and digits": {
			lab.Caller{From: "User19075550121"}, "dnis=+18005550100 ani=User19075550121 pres=allowed_not_screened rdnis=",
		},
		"long": {
			lab.Caller{From: strings.Repeat("1", 200)},
			"dnis=+18005550100 ani=" + strings.Repeat("1", 79) + " pres=allowed_not_screened rdnis=",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { // one at a time: each takes the next call
			done := ring(t, a, test.caller)
			s := app.next()
			app.letGo(s.Channel.ID, "")
			require.Equal(t, lab.CauseIVR, (<-done).Cause)
			require.Equal(t, test.args, strings.Join(s.Args, " "))
		})
	}
}

func TestPatienceByDefault(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, lab.AsteriskOptions{Application: "deflectd-b"})
	app := connect(t, a, "deflectd-b")
	done := ring(t, a, lab.Caller{})
	channel := app.next().Channel.ID
	left := app.do(http.MethodGet, "/channels/"+channel+"/variable", url.Values{"variable": {"TIMEOUT(absolute)"}})
	seconds, err := strconv.ParseFloat(fmt.Sprint(left["value"]), 64)
	require.NoError(t, err)
	require.Greater(t, seconds, 30.0)
	require.LessOrEqual(t, seconds, 45.0)
	app.letGo(channel, "")
	require.Equal(t, lab.CauseIVR, (<-done).Cause)
}

// The prompts that ship are heard by a caller, to their end.
func TestPrompts(t *testing.T) {
	t.Parallel()
	prompts := []string{"offer", "sent", "failed", "opted-out"}
	var dialplan strings.Builder
	dialplan.WriteString("[ivr](+)\n")
	for i, prompt := range prompts {
		fmt.Fprintf(&dialplan, "exten => 720%d,1,Answer()\n same => n,Playback(deflectd/%s)\n same => n,Hangup(16)\n", i, prompt)
	}
	a := startAsterisk(t, lab.AsteriskOptions{Dialplan: dialplan.String()})
	for i, prompt := range prompts {
		t.Run(prompt, func(t *testing.T) {
			t.Parallel()
			info, err := fs.Stat(asterisk.Files, "sounds/en/"+prompt+".wav")
			require.NoError(t, err)
			length := time.Duration(info.Size()-44) * time.Second / 16000
			r := <-ring(t, a, lab.Caller{DNIS: fmt.Sprintf("720%d", i)})
			require.Equal(t, 16, r.Cause, r.Trace)
			require.Greater(t, r.Talk(), length-200*time.Millisecond)
			require.Less(t, r.Talk(), length+20*time.Second) // a busy Asterisk speaks slowly
			require.Greater(t, r.Heard, length/2)
		})
	}
}
