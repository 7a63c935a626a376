package sandbox

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/campaigns/message"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextsAreTakenAndReported(t *testing.T) { synctest.Test(t, takenAndReported) }

func takenAndReported(t *testing.T) {
	p := New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan message.Report, 10)
	done := make(chan error, 1)
	go func() {
		done <- p.Run(ctx, func(_ context.Context, r message.Report) error {
			reports <- r
			return message.ErrNotFound // whatever the answer is, it goes on
		})
	}()
	begun := time.Now()
	first, err := p.Send(ctx, message.Text{Reference: "a", To: "+14155550132"})
	require.NoError(t, err)
	second, err := p.Send(ctx, message.Text{Reference: "b", To: "+14155550001"})
	require.NoError(t, err)
	assert.Equal(t, message.Report{Message: "a", ProviderID: first, State: message.Delivered}, <-reports)
	assert.GreaterOrEqual(t, time.Since(begun), Delay)
	assert.Equal(t, message.Report{Message: "b", ProviderID: second, State: message.Failed, Reason: "undelivered"}, <-reports)

	_, err = p.Send(ctx, message.Text{Reference: "c", To: "+14155550000"})
	var failure *message.SendError
	require.ErrorAs(t, err, &failure)
	assert.Equal(t, message.Refused, failure.Verdict)

	_, err = p.Send(ctx, message.Text{Reference: "d", To: "+14155550132"})
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-done)
	assert.Empty(t, reports)
}

func TestTooManyReportsAreLeftOut(t *testing.T) {
	p := New(nil)
	for range backlog + 1 {
		_, err := p.Send(t.Context(), message.Text{Reference: "a", To: "+14155550132"})
		require.NoError(t, err)
	}
	assert.Len(t, p.reports, backlog)
}
