package intercept

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
)

// TestGuardsAreAskedForTheWholeText checks that the history is asked whether
// there is room for all segments of the campaign's text, and that a text is
// measured once as long as the campaign stays as it is.
func TestGuardsAreAskedForTheWholeText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.campaign.Text = strings.Repeat("x", 30)
		calls := func(n int) {
			for range n {
				s.channel = newChannel()
				s.key("2")
				s.start().Handle(s.ctx, s, s.arrival)
			}
		}
		calls(3)
		require.Equal(t, []int{3, 3, 3}, s.door.asked)
		require.Equal(t, 1, s.box.measured)

		changed := *s.campaign
		changed.Text = strings.Repeat("x", 50)
		s.book.campaign = &changed
		calls(2)
		require.Equal(t, []int{3, 3, 3, 5, 5}, s.door.asked)
		require.Equal(t, 2, s.box.measured)
	})
}

// TestSegmentsOfManyCampaigns checks that campaigns do not get in each other's
// way, and that those which are gone do not pile up.
func TestSegmentsOfManyCampaigns(t *testing.T) {
	s := segments{
		measure: func(c *campaigns.Campaign) int { return len(c.Text) },
		known:   make(map[string]measured),
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := range mostMeasured + 10 {
				c := &campaigns.Campaign{ID: strconv.Itoa(n), Text: strings.Repeat("x", n%7)}
				for range 2 {
					if got := s.of(c); got != n%7 {
						t.Errorf("campaign %d takes %d segments", n, got)
					}
				}
			}
		})
	}
	all.Wait()
	require.LessOrEqual(t, len(s.known), mostMeasured)
}
