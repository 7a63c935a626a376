package main

import (
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"deflectd/campaigns/message"
	"deflectd/deploy/lab"
)

// moodyProvider is the provider of the crash test: it answers each request as
// chance will have it, and reports in disorder.
type moodyProvider struct {
	*lab.Provider

	mu      sync.Mutex
	random  *rand.Rand
	asked   map[string]int // requests by message
	reports map[string]due // by its own id of the text
}

// due is what was, or will be, reported of a text.
type due struct {
	state message.State // "" where nothing is
}

// moods are the answers, with how many of a hundred requests get each.
var moods = []struct {
	share  int
	answer func(*rand.Rand) lab.Behaviour
}{
	{8, func(*rand.Rand) lab.Behaviour { return lab.TooMany(1) }},
	{7, func(*rand.Rand) lab.Behaviour { return lab.Breaks(http.StatusServiceUnavailable) }},
	{4, func(*rand.Rand) lab.Behaviour { return lab.Rejects(9, "no (correct) recipients found", "recipients") }},
	{4, func(*rand.Rand) lab.Behaviour { return lab.Breaks(http.StatusInternalServerError) }},
	{4, func(*rand.Rand) lab.Behaviour { return lab.Taking(lab.Breaks(http.StatusInternalServerError)) }},
	{2, func(*rand.Rand) lab.Behaviour { return lab.HangsUp() }},
	{2, func(*rand.Rand) lab.Behaviour { return lab.Taking(lab.HangsUp()) }},
	{1, func(*rand.Rand) lab.Behaviour { return lab.Silent() }},
	{2, func(*rand.Rand) lab.Behaviour { return lab.Taking(lab.Silent()) }},
	{9, func(r *rand.Rand) lab.Behaviour { return lab.Slow(upTo(r, time.Second)) }},
	{9, func(r *rand.Rand) lab.Behaviour { return lab.Taking(lab.Slow(upTo(r, time.Second))) }},
}

// moody is how often the provider is so to one message before it just takes it:
// the test is to end.
const moody = 3

func newMoodyProvider(t *testing.T, p *lab.Provider, seed uint64) *moodyProvider {
	m := &moodyProvider{
		Provider: p, random: rand.New(rand.NewPCG(seed, 1<<32)),
		asked: map[string]int{}, reports: map[string]due{},
	}
	p.Choose(m.behave)
	p.ReportBy(t.Context(), m.plan)
	return m
}

func (m *moodyProvider) behave(text lab.TextRequest) lab.Behaviour {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[text.Reference]++
	if m.asked[text.Reference] > moody {
		return lab.Behaviour{}
	}
	chance := m.random.IntN(100)
	for _, mood := range moods {
		if chance -= mood.share; chance < 0 {
			return mood.answer(m.random)
		}
	}
	return lab.Behaviour{}
}

// plan says what is reported of a text that was taken, and when: the way is
// reported after the arrival as often as before it, and both may come twice.
func (m *moodyProvider) plan(text lab.TextRequest) []lab.PlannedReport {
	m.mu.Lock()
	defer m.mu.Unlock()
	report := func(status, reason string) lab.PlannedReport {
		return lab.PlannedReport{
			DeliveryReport: lab.DeliveryReport{Status: status, StatusReason: reason},
			After:          upTo(m.random, 2*time.Second), Times: 1 + m.random.IntN(2),
		}
	}
	switch chance := m.random.IntN(100); {
	case chance < 10: // nothing is ever heard of it
		m.reports[text.ID] = due{}
		return nil
	case chance < 20:
		m.reports[text.ID] = due{message.Accepted}
		return []lab.PlannedReport{report("sent", "")}
	case chance < 85:
		m.reports[text.ID] = due{message.Delivered}
		return []lab.PlannedReport{
			report("delivered", "successfully delivered"), report("sent", ""), report("buffered", ""),
		}
	default:
		m.reports[text.ID] = due{message.Failed}
		return []lab.PlannedReport{report("sent", ""), report("delivery_failed", "carrier rejected")}
	}
}

func upTo(r *rand.Rand, d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
