package ari

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// orphansOf are the orphans that a client will tell of.
func orphansOf(o *Options) <-chan Orphan {
	orphans := make(chan Orphan, 10)
	o.Orphan = func(_ context.Context, found Orphan) { orphans <- found }
	return orphans
}

func TestOrphan(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	orphans := make(chan Orphan, 10)
	o := f.options(handle)
	o.Orphan = func(_ context.Context, o Orphan) { orphans <- o; panic("on purpose") }
	c := newClient(t, o)
	var refusals atomic.Int64
	f.set(func() {
		f.channels = []string{"old"}
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, "/continue") || refusals.Add(1) > 2 {
				return false
			}
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
	})
	run(t, c)
	require.Equal(t, Orphan{
		Node: "fake", Channel: "old", Args: []string{"dnis=2", "pres=x"}, Extension: "2", CallerNumber: "1", RDNIS: "3",
		Presentation: "allowed_not_screened",
		Created:      time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC),
	}, receive(t, orphans))
	require.True(t, f.inDialplan("old"), "told when it is let go, not before")
	require.Equal(t, 3*maxPlaybacks, f.asked("DELETE /playbacks/deflectd.old."))
	require.Equal(t, 3, f.asked("POST /channels/old/variable"))
	require.Empty(t, orphans, "told once")
	require.InDelta(t, 1, testutil.ToFloat64(c.m.orphans), 0)
	f.come("new")
	require.Equal(t, "new", receive(t, calls).ID())
}

// An orphan that has left without an answer that says so is told of all the same,
// unless it turns out to have an owner.
func TestOrphanThatLeavesWithoutAnAnswer(t *testing.T) {
	for name, owned := range map[string]bool{"nobody's": false, "somebody's": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			handle, _ := taken()
			o := f.options(handle)
			orphans := orphansOf(&o)
			c := newClient(t, o)
			f.set(func() {
				f.channels = []string{"old"}
				f.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
					if !strings.HasSuffix(r.URL.Path, "/continue") {
						return false
					}
					if owned {
						f.send(event("StasisStart", "old"))
						assert.Eventually(t, func() bool { return c.call("old") != nil }, time.Minute, time.Millisecond)
					}
					f.mu.Lock()
					f.channels, f.dialplan["old"] = nil, true
					f.mu.Unlock()
					panic(http.ErrAbortHandler)
				}
			})
			run(t, c)
			if owned {
				eventually(t, func() bool { return f.inDialplan("old") && c.call("old") == nil }, "it has ended")
			} else {
				require.Equal(t, "old", receive(t, orphans).Channel)
			}
			looks := f.asked("GET /applications")
			eventually(t, func() bool { return f.asked("GET /applications") > looks+3 }, "it has looked again")
			require.Empty(t, orphans)
		})
	}
}

// What of an orphan could not be read when it was first tried to let it go is read
// when that is tried again, and what was read is kept.
func TestOrphanIsReadWhenItCanBe(t *testing.T) {
	for name, unread := range map[string]int64{"the first time": 1, "the second time": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			handle, _ := taken()
			o := f.options(handle)
			orphans := orphansOf(&o)
			c := newClient(t, o)
			var reads, tries atomic.Int64
			f.set(func() {
				f.channels = []string{"old"}
				f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
					described := r.Method == http.MethodGet && r.URL.Path == "/ari/channels/old" && reads.Add(1) == unread
					refused := strings.HasSuffix(r.URL.Path, "/continue") && tries.Add(1) == 1
					if described || refused {
						w.WriteHeader(http.StatusInternalServerError)
					}
					return described || refused
				}
			})
			run(t, c)
			require.Equal(t, "1", receive(t, orphans).CallerNumber)
		})
	}
}

// An orphan is let go whatever fails before that, and within seconds.
func TestOrphanWithFaults(t *testing.T) {
	for name, broken := range map[string]func(r *http.Request) bool{
		"description": func(r *http.Request) bool { return r.Method == http.MethodGet && strings.Count(r.URL.Path, "/") == 3 },
		"presentation": func(r *http.Request) bool {
			return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/variable")
		},
		"variables": func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/variable")
		},
		"playbacks": func(r *http.Request) bool { return r.Method == http.MethodDelete },
	} {
		for _, hangs := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				handle, _ := taken()
				o := f.options(handle)
				o.CommandTimeout = 2 * time.Second
				orphans := orphansOf(&o)
				f.set(func() {
					f.channels = []string{"old"}
					f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
						onChannel := strings.HasPrefix(r.URL.Path, "/ari/channels/") || strings.HasPrefix(r.URL.Path, "/ari/playbacks/")
						if !onChannel || !broken(r) {
							return false
						}
						if hangs {
							<-r.Context().Done()
						} else {
							w.WriteHeader(http.StatusInternalServerError)
						}
						return true
					}
				})
				c := newClient(t, o)
				run(t, c)
				began := time.Now()
				got := receive(t, orphans)
				require.Less(t, time.Since(began), 10*prepareFor)
				require.True(t, f.inDialplan("old"))
				require.Equal(t, name == "description", got.CallerNumber == "")
				require.Equal(t, name == "description", len(got.Args) == 0)
				require.Equal(t, name == "description" || name == "presentation", got.Presentation == "")
				require.InDelta(t, 1, testutil.ToFloat64(c.m.orphans), 0)
			})
		}
	}
}

// An orphan that gets its call while it is looked at is left to it, and one
// that is gone by then is told of.
func TestOrphanChanges(t *testing.T) {
	f := newFake(t)
	handle, calls := taken()
	o := f.options(handle)
	orphans := orphansOf(&o)
	c := newClient(t, o)
	var started atomic.Bool
	f.set(func() {
		f.channels = []string{"late", "goes"}
		f.refuse = func(w http.ResponseWriter, r *http.Request) bool {
			switch r.URL.Path {
			case "/ari/channels/late":
				if started.CompareAndSwap(false, true) {
					f.send(event("StasisStart", "late"))
					assert.Eventually(t, func() bool { return c.call("late") != nil }, time.Minute, time.Millisecond)
				}
			case "/ari/channels/goes/continue":
				f.leave("goes")
				w.WriteHeader(http.StatusNotFound)
				return true
			}
			return false
		}
	})
	run(t, c)
	require.Equal(t, "goes", receive(t, orphans).Channel)
	ch := receive(t, calls)
	require.Equal(t, "late", ch.ID())
	looks := f.asked("GET /applications")
	eventually(t, func() bool { return f.asked("GET /applications") > looks+3 }, "more looks")
	require.Zero(t, f.asked("POST /channels/late/"))
	require.Zero(t, f.asked("DELETE /playbacks/deflectd.late."))
	require.Empty(t, orphans)
}
