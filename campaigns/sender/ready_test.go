package sender_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/sender"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// A daemon that has just started does not know yet that its configured sender
// was released.
func TestReady(t *testing.T) {
	r := newRig(t)
	before := r.daemon(configured(one))
	r.obtain(before, one)
	require.True(t, before.Ready())
	require.NoError(t, before.Release(t.Context(), one, "ops", true))

	require.NoError(t, server.Freeze())
	t.Cleanup(func() { _ = server.Thaw() })
	rdb := labtest.Dial(t, server, 2*time.Second) // it is to give up what it begins now
	away := func(o *sender.Options) { o.Redis, o.StoreTimeout = rdb, time.Second }
	s, name := r.run(r.daemon(configured(one), away)), r.run(r.daemon(configured("Acme"), away))
	nothing := func() {
		for _, s := range []*sender.Senders{s, name} {
			require.False(t, s.Ready())
			require.False(t, s.Any())
			require.Empty(t, s.For(nil, "", someone))
			require.Empty(t, s.For(&campaigns.Campaign{Originator: two}, "", someone))
			require.Empty(t, s.For(nil, two, someone))
			require.False(t, s.Sends(&campaigns.Campaign{Originator: two}))
			require.False(t, s.Sends(&campaigns.Campaign{}))
		}
	}
	nothing()
	require.True(t, s.Own(one), "nobody wants a text to it")
	eventually(t, func() bool { return containsAll(r.logs.String(), "cannot be read") })
	nothing()

	require.NoError(t, server.Thaw())
	eventually(t, func() bool { return s.Ready() && name.Ready() })
	require.False(t, s.Any(), "it was released")
	require.Equal(t, two, s.For(nil, two, someone))
	require.Equal(t, "Acme", name.For(nil, "", someone))
	require.NoError(t, server.Freeze())
	require.True(t, s.Ready(), "for good")
	require.NoError(t, server.Thaw())
}

// What the memory of a daemon learns a moment later, scripts see at once.
func TestReleasedInScripts(t *testing.T) {
	r := newRig(t)
	s := r.daemon()
	script := redis.NewScript(sender.Lua + "return sender_released(ARGV[1]) and 1 or 0")
	released := func(want bool, what string) {
		t.Helper()
		for _, id := range []string{one, one[1:]} {
			got, err := script.Run(t.Context(), r.rdb, []string{sender.ReleasedKey}, id).Bool()
			require.NoError(t, err)
			require.Equal(t, want, got, "%s: %s", what, id)
			require.Equal(t, one, sender.ID(id))
			require.Equal(t, want, s.For(&campaigns.Campaign{Originator: id}, "", someone) == "", "%s: in memory", what)
		}
		for _, other := range []string{"", two, "Acme", "12345"} {
			got, err := script.Run(t.Context(), r.rdb, []string{sender.ReleasedKey}, other).Bool()
			require.NoError(t, err)
			require.False(t, got, other)
		}
	}
	obtain := lab.NumberBehaviour{Method: "POST", HangUp: true}
	r.provider.ThenNumbers(obtain)
	_, err := s.Obtain(t.Context(), one, "US", "ops", "")
	require.ErrorIs(t, err, sender.ErrUncertain)
	released(false, "being obtained")
	r.obtain(s, one, two)
	released(false, "obtained")
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "DELETE", Status: 403})
	require.ErrorIs(t, s.Release(t.Context(), one, "ops", true), sender.ErrNotAllowed)
	released(false, "a release that was refused")
	r.provider.ThenNumbers(lab.NumberBehaviour{Method: "DELETE", Status: 500})
	require.ErrorIs(t, s.Release(t.Context(), one, "ops", true), sender.ErrUncertain)
	raw, err := r.rdb.HGet(t.Context(), sender.PendingKey, sender.ID(one)).Result()
	require.NoError(t, err)
	require.Regexp(t, "^release ", raw)
	released(true, "being released")
	require.NoError(t, s.Release(t.Context(), one, "ops", true))
	require.NoError(t, r.rdb.ZScore(t.Context(), sender.ReleasedKey, sender.ID(one)).Err())
	released(true, "released")
	r.obtain(s, one)
	released(false, "obtained again")
	require.Equal(t, "Acme", sender.ID("Acme"))
}
