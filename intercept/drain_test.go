package intercept

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/message"
	"deflectd/campaigns/report"
)

// TestDrain tells the interceptor to stop while a call is in some step.
func TestDrain(t *testing.T) {
	for _, test := range []struct {
		name   string
		setUp  func(s *scene)
		after  time.Duration // when it is told to stop
		want   report.Reason
		within time.Duration
	}{
		{"out of a long prompt", func(s *scene) { s.length = time.Minute }, time.Second, report.ShuttingDown, 3 * time.Second},
		{"while waiting for a key", func(*scene) {}, 3 * time.Second, report.ShuttingDown, 3 * time.Second},
		{
			"the caller decides in the grace", func(s *scene) { s.after(3*time.Second, func() { s.key("2") }) },
			2 * time.Second, report.KeypressDecline, time.Second,
		},
		{
			"the text is under way",
			func(s *scene) {
				s.key("1")
				s.box.states = []message.State{message.Sending}
				s.box.cancelled = message.Sending
			},
			time.Second, report.MessageTimeout, 3 * time.Second,
		},
		{
			"the text is taken in the grace",
			func(s *scene) {
				s.key("1")
				s.box.every = time.Second
			},
			time.Second, report.Released, time.Second,
		},
		{
			"in the last prompt",
			func(s *scene) {
				s.key("1")
				s.campaign.Prompts.Sent, s.length = "sound:sent", time.Minute
			},
			time.Second, report.Released, 3 * time.Second,
		},
		{
			"while the store hangs",
			func(s *scene) {
				s.box.slow = true
				s.after(3900*time.Millisecond, func() { s.key("1") })
			},
			time.Second, report.StoreDown, 4 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				test.setUp(s)
				s.start()
				var drained error
				var took time.Duration
				s.after(test.after, func() {
					began := time.Now()
					drained = s.i.Drain(s.ctx)
					took = time.Since(began)
				})
				call, _ := s.play(t)
				synctest.Wait()
				require.NoError(t, drained)
				require.Equal(t, test.want, call.Reason)
				require.LessOrEqual(t, took, test.within)
				time.Sleep(time.Minute)
			})
		})
	}
}

// TestDrainNamesWhoIsLeft checks that Drain ends in time and says which calls
// did not.
func TestDrainNamesWhoIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.length = time.Minute
		s.instead["set"], s.instead["continue"], s.instead["stop"] = hang, hang, hang
		i := s.start()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.play(t)
		}()
		time.Sleep(time.Second)
		began := time.Now()
		err := i.Drain(s.ctx)
		require.ErrorContains(t, err, "1 calls are still at hand: ")
		require.ErrorContains(t, err, i.Active()[0].ID)
		require.Equal(t, 5*time.Second, time.Since(began))
		<-done
		require.Equal(t, report.ShuttingDown, s.ledger.records[0].Reason)
	})
}

// TestDrainAtOnce checks that the end of the context ends the grace.
func TestDrainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.start()
		s.after(time.Second, func() {
			ctx, cancel := context.WithTimeout(s.ctx, 100*time.Millisecond)
			defer cancel()
			require.NoError(t, s.i.Drain(ctx))
		})
		_, took := s.play(t)
		require.Equal(t, 1100*time.Millisecond, took)
		synctest.Wait()
		require.NoError(t, s.i.Drain(s.ctx), "a second time")
	})
}
