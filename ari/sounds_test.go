package ari

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/ari/aritest"
)

// simulated is a client of a simulated Asterisk, connected.
func simulated(t *testing.T, name string) (*aritest.Server, *Client, func()) {
	t.Helper()
	srv := aritest.New()
	t.Cleanup(srv.Close)
	c := newClient(t, Options{
		Name: name, URL: srv.URL, Username: srv.Username, Password: srv.Password, Application: application,
		Handle: func(ctx context.Context, _ *Channel) { <-ctx.Done() },
	})
	return srv, c, run(t, c)
}

func TestASoundIsKnownToOneNodeAtLeast(t *testing.T) {
	one, first, stopFirst := simulated(t, "one")
	two, second, stopSecond := simulated(t, "two")
	one.AddSound("acme/first", time.Second)
	two.AddSound("acme/second", time.Second)
	s := NewSounds(first, second)
	knows := func(name string) bool { t.Helper(); return answer(t, s, name) }
	assert.True(t, knows("sound:acme/first"))
	assert.True(t, knows("acme/second"))
	assert.False(t, knows("acme/third"))
	assert.False(t, knows("first"))

	// It is remembered for a while, and then asked for again.
	asked := func() int { return one.Requests(aritest.VerbSound) }
	before := asked()
	one.AddSound("acme/third", time.Second)
	assert.False(t, knows("acme/third"))
	assert.Equal(t, before, asked())
	s.age(time.Minute)
	assert.True(t, knows("acme/third"))
	assert.Greater(t, asked(), before)

	// A node that is away is not asked; where none is there, nobody knows.
	stopFirst()
	s.age(time.Minute)
	before = asked()
	assert.False(t, knows("acme/first"))
	assert.Equal(t, before, asked())
	stopSecond()
	s.age(time.Minute)
	_, err := s.Sound(t.Context(), "acme/first")
	require.ErrorIs(t, err, ErrNotConnected)
	_, err = NewSounds().Sound(t.Context(), "acme/first")
	require.ErrorIs(t, err, ErrNotConnected)
}

// answer is what is said of a sound. Where a busy machine has no time to say it, it
// is asked for again.
func answer(t *testing.T, s *Sounds, name string) bool {
	t.Helper()
	for began := time.Now(); ; s.age(soundsDoubted) {
		known, err := s.Sound(t.Context(), name)
		if errors.Is(err, context.DeadlineExceeded) && time.Since(began) < patience {
			continue
		}
		require.NoError(t, err)
		return known
	}
}

// age makes what is remembered older.
func (s *Sounds) age(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, a := range s.known {
		a.until = a.until.Add(-by)
		s.known[name] = a
	}
}

// Where Asterisk cannot say it, that is not taken for a no, and not remembered for
// long.
func TestASoundThatIsNotKnownOf(t *testing.T) {
	srv, c, _ := simulated(t, "one")
	srv.AddSound("acme/offer", time.Second)
	fails := func(ctx context.Context, s *Sounds, name string) {
		t.Helper()
		known, err := s.Sound(ctx, name)
		require.Error(t, err)
		assert.False(t, known)
	}
	for _, name := range []string{"", "sound:", "/var/spool/offer", "sound:/var/spool/offer"} {
		fails(t.Context(), NewSounds(c), name)
	}
	require.Zero(t, srv.Requests(aritest.VerbSound))
	for name, fault := range map[string]aritest.Fault{
		"no such module": {Status: http.StatusNotFound, Message: "Resource not found"},
		"broken":         {Status: http.StatusInternalServerError},
		"silent":         {Hang: true},
		"cut off":        {Cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			srv.Fail(aritest.VerbSound, fault)
			s := NewSounds(c)
			began := time.Now()
			fails(t.Context(), s, "acme/offer")
			assert.Less(t, time.Since(began), patience, "whoever saves does not wait for ever")
			before := srv.Requests(aritest.VerbSound)
			fails(t.Context(), s, "acme/offer")
			assert.Equal(t, before, srv.Requests(aritest.VerbSound), "nobody waits twice")
			srv.Heal()
			s.age(soundsDoubted)
			assert.True(t, answer(t, s, "acme/offer"))
		})
	}

	// Whoever goes away before the answer leaves nothing behind.
	s := NewSounds(c)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	fails(ctx, s, "acme/offer")
	assert.True(t, answer(t, s, "acme/offer"))
}

// patience bounds what a test waits for.
const patience = 30 * time.Second

// What is remembered is bounded, whatever names are asked for.
func TestSoundsRememberSoMuch(t *testing.T) {
	_, c, _ := simulated(t, "one")
	s := NewSounds(c)
	for i := range mostSounds {
		s.known[string(rune(i))] = soundAnswer{until: time.Now().Add(time.Hour)}
	}
	answer(t, s, "acme/offer")
	assert.Len(t, s.known, 1)
}

// A slow look for a sound is no slow switch: calls are not let go for it.
func TestALookForASoundIsNoSignOfABusySwitch(t *testing.T) {
	_, c, _ := simulated(t, "one")
	c.measure(verbSound, 24*time.Hour, c.serving.Load())
	assert.Less(t, c.CommandLatency(), time.Hour)
	c.measure(verbAnswer, 24*time.Hour, c.serving.Load())
	assert.Greater(t, c.CommandLatency(), time.Hour)
}
