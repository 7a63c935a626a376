package intercept

import (
	"sync"

	"deflectd/campaigns"
)

// segments knows how many segments the texts of the campaigns take. To measure
// one is much work beside the rest of a decision, so it is done once for each
// campaign as it is, not for each call.
type segments struct {
	measure func(c *campaigns.Campaign) int

	mu    sync.RWMutex
	known map[string]measured // by the campaign's id
}

// measured is how many segments the text of a campaign takes. A campaign in
// memory is not changed, another takes its place.
type measured struct {
	campaign *campaigns.Campaign
	segments int
}

// mostMeasured bounds what is known of campaigns that have been deleted since.
const mostMeasured = 10_000

// of answers how many segments the campaign's text takes.
func (s *segments) of(c *campaigns.Campaign) int {
	s.mu.RLock()
	m := s.known[c.ID]
	s.mu.RUnlock()
	if m.campaign == c {
		return m.segments
	}
	m = measured{c, s.measure(c)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= mostMeasured {
		clear(s.known)
	}
	s.known[c.ID] = m
	return m.segments
}
