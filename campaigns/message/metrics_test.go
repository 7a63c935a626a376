package message

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The first text of a campaign that enters any state is seen as an increase: all
// states are there before, and only they.
func TestAllStatesOfACampaignAreThereFromItsFirstText(t *testing.T) {
	reg := prometheus.NewRegistry()
	o := newOutbox(t, connect(t, startRedis(t)), &provider{}, func(o *Options) { o.Registerer = reg })
	assert.Zero(t, testutil.CollectAndCount(o.metrics.messages))
	r := request()
	r.Test = true
	pending, err := o.Send(t.Context(), r)
	require.NoError(t, err)
	states(t, pending)
	assert.Zero(t, testutil.CollectAndCount(o.metrics.messages))
	r.Test = false
	pending, err = o.Send(t.Context(), r)
	require.NoError(t, err)
	states(t, pending)
	assert.Equal(t, len(States()), testutil.CollectAndCount(o.metrics.messages))
	for s, n := range map[State]float64{Queued: 1, Sending: 1, Accepted: 1, Unknown: 0, Failed: 0} {
		assert.InDelta(t, n, testutil.ToFloat64(o.metrics.messages.WithLabelValues("billing", string(s))), 0, s)
	}
}
