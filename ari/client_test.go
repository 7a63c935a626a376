package ari

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNewRefuses(t *testing.T) {
	good := Options{Name: "n", URL: "http://127.0.0.1:8088/ari/", Username: "u", Password: "p", Application: "a"}
	for name, spoil := range map[string]func(*Options){
		"no name":        func(o *Options) { o.Name = "" },
		"no URL":         func(o *Options) { o.URL = "" },
		"scheme":         func(o *Options) { o.URL = "ws://127.0.0.1/ari" },
		"no host":        func(o *Options) { o.URL = "http:///ari" },
		"unreadable":     func(o *Options) { o.URL = "http://user:secret@host:port" },
		"password":       func(o *Options) { o.URL = "http://user:secret@127.0.0.1/ari" },
		"query":          func(o *Options) { o.URL = "http://127.0.0.1/ari?app=secret" },
		"no application": func(o *Options) { o.Application = "" },
		"two":            func(o *Options) { o.Application = "a,b" },
	} {
		t.Run(name, func(t *testing.T) {
			o := good
			spoil(&o)
			_, err := New(o)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	reg := prometheus.NewRegistry()
	good.Registerer = reg
	c, err := New(good)
	require.NoError(t, err)
	require.Equal(t, DefaultPoll, c.o.Poll)
	require.Error(t, c.Run(t.Context()), "without Handle")
	good.Name = "other"
	_, err = New(good)
	require.NoError(t, err, "two nodes share a registerer")
	_, err = New(good)
	require.Error(t, err, "the same node twice")
	got, err := reg.Gather()
	require.NoError(t, err)
	require.NotEmpty(t, got)
}

func TestOddEvents(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	c := newClient(t, f.options(handle))
	run(t, c)
	for _, message := range []string{
		``, `garbage`, `{}`, `[]`, `null`, `7`, `"StasisStart"`, `{"type":7}`, `{"type":""}`, "\xff\xfe", `{"type":"StasisStart"`,
		`{"type":"StasisStart","channel":7}`, `{"type":"StasisStart","channel":{}}`, `{"type":"ChannelDtmfReceived","digit":{}}`,
	} {
		f.send(message)
	}
	require.NoError(t, f.ws.Write(t.Context(), websocket.MessageBinary, []byte(event("StasisStart", "binary"))))
	for _, kind := range []string{
		"ApplicationRegistered", "ApplicationUnregistered", "CallBroadcast", "CallClaimed", "ChannelToneDetected",
		"ChannelTransfer", "RESTResponse", "Nonsense", strings.Repeat("x", 100_000),
	} {
		f.send(event(kind, "1"))
	}
	for _, kind := range []string{"StasisEnd", "ChannelDtmfReceived", "ChannelHangupRequest", "ChannelVarset", "ChannelStateChange"} {
		f.send(event(kind, "nobody"))
	}
	f.send(playbackEvent("nobody", "x", "done"))
	f.send(strings.Replace(playbackEvent("nobody", "x", "done"), "channel:", "bridge:", 1))
	f.send(`{"type":"ChannelUserevent","eventname":"somebody else's"}`)
	f.come("one")
	ch := receive(t, calls)
	require.Equal(t, "one", ch.ID())
	require.Equal(t, "+14155550999", ch.Start().RDNIS)
	require.InDelta(t, 9, testutil.ToFloat64(c.m.unknown), 0)
	require.InDelta(t, 15, testutil.ToFloat64(c.m.malformed), 0)
	require.Zero(t, testutil.ToFloat64(c.m.reconnects))

	// What is longer than any event ends the connection, not the call.
	receive(t, f.sockets)
	f.send(`{"type":"` + strings.Repeat("x", readLimit) + `"}`)
	receive(t, f.sockets)
	eventually(t, func() bool { return testutil.ToFloat64(c.m.reconnects) == 1 }, "connected again")
	f.send(event("ChannelDtmfReceived", "one"))
	require.Equal(t, "1", next[*arilib.ChannelDtmfReceived](t, ch).Digit)
}

func TestSecrets(t *testing.T) {
	f := newFake(t)
	var log bytes.Buffer
	o := f.options(func(context.Context, *Channel) {})
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Password = "wr0ng-secret"
	c, err := New(o)
	require.NoError(t, err)
	_, err = c.Info(t.Context())
	var refused *StatusError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, http.StatusUnauthorized, refused.Status)
	require.NotContains(t, err.Error(), "wr0ng-secret")
	stop := start(t, c)
	eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return f.turned > 3 }, "refused again and again")
	stop()
	require.Zero(t, f.asked(""))
	require.Zero(t, testutil.ToFloat64(c.m.up))
	require.Contains(t, log.String(), "refuses the username or password")
	require.Equal(t, 1, strings.Count(log.String(), "trying again"), "said once")
	require.NotContains(t, log.String(), "wr0ng-secret")
}

func TestBackoff(t *testing.T) {
	for failures := range 100 {
		limit := min(firstBackoff<<min(failures, 20), maxBackoff)
		for range 100 {
			d := backoff(failures)
			assert.Greater(t, d, time.Duration(0))
			assert.LessOrEqual(t, d, limit+time.Millisecond)
		}
	}
}
