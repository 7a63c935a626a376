package ari

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
)

// A client whose application was taken by another stays away until Asterisk has
// forgotten the application, however it learns of it.
func TestReplaced(t *testing.T) {
	for name, replace := range map[string]func(f *fake){
		"told":           func(f *fake) { f.send(`{"type":"ApplicationReplaced","application":"deflectd"}`) },
		"not told of it": func(f *fake) { f.set(func() { f.mute = true }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			handle, calls := taken()
			o := f.options(handle)
			o.CommandTimeout, o.LostAfter = 2*time.Second, 200*time.Millisecond
			c := newClient(t, o)
			run(t, c)
			receive(t, f.sockets)
			f.come("one")
			ch := receive(t, calls)
			replace(f)
			require.ErrorIs(t, over(t, ch), ErrSwitchLost)
			require.False(t, c.Up())
			f.set(func() { f.mute = false })
			time.Sleep(2 * time.Second)
			require.Empty(t, f.sockets, "it does not come back")
			f.set(func() {
				f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					if len(f.sockets) > 0 || r.Method != http.MethodGet || r.URL.Path != "/ari/applications/deflectd" {
						return false
					}
					w.WriteHeader(http.StatusNotFound)
					return true
				}
			})
			receive(t, f.sockets)
			f.set(func() { f.refuse = nil })
			eventually(t, c.Up, "up again")
		})
	}
}

// A websocket that has been deaf from its beginning was taken by nobody: it is
// opened again, though Asterisk keeps the application for a call that is in it.
func TestDeafFromTheStart(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.set(func() { f.mute = true })
	handle, _ := taken()
	o := f.options(handle)
	o.CommandTimeout = 500 * time.Millisecond
	c := newClient(t, o)
	start(t, c)
	receive(t, f.sockets)
	receive(t, f.sockets)
	require.False(t, c.Up())
	f.set(func() { f.mute = false })
	eventually(t, c.Up, "up")
}

// An application that Asterisk has forgotten is nobody else's: the client comes
// back at once.
func TestForgotten(t *testing.T) {
	f := newFake(t)
	handle, _ := taken()
	c := newClient(t, f.options(handle))
	run(t, c)
	receive(t, f.sockets)
	f.set(func() {
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if len(f.sockets) > 0 || r.URL.Path != "/ari/applications/deflectd" {
				return false
			}
			w.WriteHeader(http.StatusNotFound)
			return true
		}
	})
	receive(t, f.sockets) // it has noticed, and is back
	f.set(func() { f.refuse = nil })
	eventually(t, c.Up, "up again")
}

// Two clients with one application name do not take it from each other.
func TestTwoClients(t *testing.T) {
	for name, silent := range map[string]bool{"told": false, "not told": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := aritest.New()
			defer srv.Close()
			if silent {
				srv.Swallow("ApplicationReplaced")
			}
			o := Options{
				Name: "one", URL: srv.URL, Username: srv.Username, Password: srv.Password, Application: aritest.Application,
				CommandTimeout: 5 * time.Second, Poll: 100 * time.Millisecond,
				Handle: func(context.Context, *Channel) {},
			}
			first := newClient(t, o)
			run(t, first)
			o.Name = "two"
			second := newClient(t, o)
			stop := run(t, second)
			eventually(t, func() bool { return !first.Up() }, "it has noticed")
			connects := srv.Requests(aritest.VerbConnect)
			for range 30 {
				time.Sleep(100 * time.Millisecond)
				require.True(t, second.Up())
				require.False(t, first.Up())
			}
			require.Equal(t, connects, srv.Requests(aritest.VerbConnect))
			require.LessOrEqual(t, connects, 3)
			stop()
			eventually(t, first.Up, "the other has gone")
		})
	}
}

// While it stays away it goes on letting its calls go.
func TestReplacedLetsGo(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	o := f.options(func(_ context.Context, ch *Channel) { _ = drainEvents(ch) })
	o.LostAfter = 200 * time.Millisecond
	c := newClient(t, o)
	var refusals atomic.Int64
	f.set(func() {
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/ari/channels/one/continue" || refusals.Add(1) > 1 {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	run(t, c)
	f.come("one")
	f.send(`{"type":"ApplicationReplaced","application":"deflectd"}`)
	require.Eventually(t, func() bool { return f.inDialplan("one") }, time.Minute, 10*time.Millisecond)
	require.False(t, c.Up())
}
