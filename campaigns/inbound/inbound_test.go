package inbound

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
)

// counted is how many texts of a kind were counted.
func (b *box) counted(k kind) int {
	return int(testutil.ToFloat64(b.took.WithLabelValues(string(k))))
}

func TestStopStartHelp(t *testing.T) {
	b := newBox(t, connect(t))
	ctx := t.Context()
	require.NoError(t, b.Receive(ctx, text("Stop texting me!")))
	e, err := b.list.Get(ctx, person)
	require.NoError(t, err)
	assert.Equal(t, optout.Inbound, e.Source)
	assert.Equal(t, person, e.Number)
	require.Len(t, b.replies, 1)
	confirmation := b.replies[0]
	assert.Equal(t, person, confirmation.To.E164)
	assert.Equal(t, "US", confirmation.To.Region)
	assert.Equal(t, ours, confirmation.Originator, "it comes from the number that was texted")
	assert.Equal(t, "You will get no more texts.", confirmation.Text)
	assert.NotContains(t, confirmation.Key, person[1:])

	require.NoError(t, b.Receive(ctx, text("STOP")))
	require.NoError(t, b.Receive(ctx, text("unsubscribe")))
	assert.Len(t, b.replies, 1, "one confirmation at most")

	require.NoError(t, b.Receive(ctx, text("what do you want")))
	assert.True(t, b.listed(t, person))
	require.NoError(t, b.Receive(ctx, text("start")))
	assert.False(t, b.listed(t, person))
	require.NoError(t, b.Receive(ctx, text("START")))
	assert.Equal(t, []string{"You will get no more texts.", "Welcome back."}, b.said(), "there was nothing to take back the second time")

	for range 3 {
		require.NoError(t, b.Receive(ctx, text("Help?")))
	}
	assert.Equal(t, []string{"You will get no more texts.", "Welcome back.", "Acme, call +1 800 555 0100."}, b.said())
	assert.Equal(t, map[kind]int{stop: 3, start: 2, help: 3, other: 1, ignored: 0}, map[kind]int{
		stop: b.counted(stop), start: b.counted(start), help: b.counted(help), other: b.counted(other), ignored: b.counted(ignored),
	})
	problems, err := testutil.GatherAndLint(b.metrics)
	require.NoError(t, err)
	assert.Empty(t, problems)
	assert.NoError(t, testutil.GatherAndCompare(b.metrics, strings.NewReader(`
# HELP deflectd_optouts_total Numbers put on the list of those never to be texted, by source.
# TYPE deflectd_optouts_total counter
deflectd_optouts_total{source="inbound"} 1
`), "deflectd_optouts_total"))
}

// Whatever put the number on the list, START takes it off.
func TestStartTakesBackWhateverItWas(t *testing.T) {
	b := newBox(t, connect(t))
	for _, source := range optout.Sources() {
		_, err := b.list.Add(t.Context(), optout.Entry{Number: person, Source: source})
		require.NoError(t, err)
		time.Sleep(2 * time.Millisecond) // of two in one millisecond the opt-out counts
		require.NoError(t, b.Receive(t.Context(), text("START")))
		assert.False(t, b.listed(t, person), source)
	}
	// An opt-out that is there already is not confirmed, for nothing is new.
	_, err := b.list.Add(t.Context(), optout.Entry{Number: person, Source: optout.API})
	require.NoError(t, err)
	require.NoError(t, b.Receive(t.Context(), text("STOP")))
	assert.NotContains(t, b.said(), "You will get no more texts.")
	e, err := b.list.Get(t.Context(), person)
	require.NoError(t, err)
	assert.Equal(t, optout.API, e.Source, "the first entry stays")
}

func TestEmptyRepliesAreNotSent(t *testing.T) {
	b := newBox(t, connect(t), func(o *Options) { o.Replies = Replies{} })
	for _, body := range []string{"STOP", "START", "HELP"} {
		require.NoError(t, b.Receive(t.Context(), text(body)))
		assert.Equal(t, body == "STOP", b.listed(t, person))
	}
	assert.Empty(t, b.replies)
}

// Who has sent a text may be written in several ways, and be nobody.
func TestSenders(t *testing.T) {
	b := newBox(t, connect(t))
	for from, number := range map[string]string{
		"14155550132": "+14155550132", "+14155550133": "+14155550133", " 14155550134 ": "+14155550134",
		"31612345678": "+31612345678", "+31 6 12345679": "+31612345679", "(415) 555-0135": "+14155550135",
	} {
		m := text("stop")
		m.From = from
		require.NoError(t, b.Receive(t.Context(), m), from)
		assert.True(t, b.listed(t, number), from)
	}
	before := len(b.replies)
	nobody := []string{"", "Acme", "12345", "911", "anonymous", "+0", "0000000000", strings.Repeat("1", 1000), "\xff", "+14155550132 14155550133 14155550134", ours}
	for _, from := range nobody {
		m := text("stop")
		m.From = from
		require.NoError(t, b.Receive(t.Context(), m), from)
	}
	assert.Len(t, b.replies, before)
	assert.Equal(t, len(nobody), b.counted(ignored))
}

func TestRepliesComeFromWhatWasTexted(t *testing.T) {
	rdb := connect(t)
	own := "+18885550100"
	with := newBox(t, rdb, func(o *Options) {
		o.Originator = func(to phone.Number) string {
			assert.Equal(t, person, to.E164)
			return own
		}
	})
	for to, originator := range map[string]string{"18005550100": ours, "+18005550100": ours, "12345": "12345", "Acme": own, "": own} {
		require.NoError(t, server.Flush(t.Context()))
		m := text("HELP")
		m.To = to
		require.NoError(t, with.Receive(t.Context(), m))
		assert.Equal(t, originator, with.replies[len(with.replies)-1].Originator, to)
	}
	assert.Len(t, with.replies, 5)
	require.NoError(t, server.Flush(t.Context()))
	for _, b := range []*box{newBox(t, rdb), newBox(t, rdb, func(o *Options) { o.Originator = func(phone.Number) string { return "" } })} {
		m := text("STOP")
		m.To = ""
		require.NoError(t, b.Receive(t.Context(), m))
		assert.True(t, b.listed(t, person), "what was asked for is done")
		assert.Empty(t, b.replies, "with nothing to send it from")
	}
}

// Each new opt-out is confirmed, however soon after the last.
func TestStopAgainIsConfirmed(t *testing.T) {
	b := newBox(t, connect(t))
	for range 2 {
		for _, body := range []string{"STOP", "STOP", "START", "START"} {
			m := text(body)
			require.NoError(t, b.Receive(t.Context(), m))
			require.NoError(t, b.Receive(t.Context(), m))
		}
	}
	assert.Equal(t, []string{"You will get no more texts.", "Welcome back.", "You will get no more texts.", "Welcome back."}, b.said())
}

// A text that is handed over twice is done once, and changes nothing later.
func TestDuplicates(t *testing.T) {
	for name, change := range map[string]func(Text) Text{
		"as it is": func(m Text) Text { return m },
		"no id":    func(m Text) Text { m.ID = ""; return m },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, connect(t))
			sent := time.Now().Add(-time.Minute)
			first := change(text("STOP").at(sent))
			second := change(text("START").at(sent.Add(time.Second)))
			third := change(text("help").at(sent.Add(2 * time.Second)))
			for range 3 {
				require.NoError(t, b.Receive(t.Context(), first))
			}
			for range 3 {
				require.NoError(t, b.Receive(t.Context(), second))
				require.NoError(t, b.Receive(t.Context(), third))
			}
			require.NoError(t, b.Receive(t.Context(), first))
			assert.False(t, b.listed(t, person), "the first text again is not a new one")
			assert.Len(t, b.replies, 3)
			assert.Equal(t, 1, b.counted(ignored))
		})
	}
}

// The latest word counts, by when it was sent: in whatever order they come.
func TestDisorder(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	word := func(body string, second int) Text {
		return text(body).at(now.Add(time.Duration(second-60) * time.Second))
	}
	for name, c := range map[string]struct {
		texts  []Text
		listed bool
	}{
		"in order":                {[]Text{word("STOP", 1), word("START", 2)}, false},
		"a START comes late":      {[]Text{word("STOP", 2), word("START", 1)}, true},
		"a STOP comes late":       {[]Text{word("START", 2), word("STOP", 1)}, false},
		"both at the same second": {[]Text{word("STOP", 1), word("START", 1)}, true},
		"the other way round":     {[]Text{word("START", 1), word("STOP", 1)}, true},
		"three":                   {[]Text{word("STOP", 3), word("STOP", 1), word("START", 2)}, true},
		"help does not matter":    {[]Text{word("HELP", 9), word("STOP", 1), word("START", 2)}, false},
		"nobody says when":        {[]Text{text("STOP"), text("START")}, false},
		"nor the other time":      {[]Text{text("START"), text("STOP")}, true},
		"sent in the future":      {[]Text{text("STOP").at(now.Add(24 * time.Hour)), text("STOP").at(now.Add(48 * time.Hour))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, connect(t))
			for _, m := range c.texts {
				require.NoError(t, b.Receive(t.Context(), m))
			}
			assert.Equal(t, c.listed, b.listed(t, person))
		})
	}
}

// Of many texts at once, whoever takes them, the latest word counts.
func TestManyAtOnce(t *testing.T) {
	rdb := connect(t)
	b := newBox(t, rdb)
	start := time.Now().Add(-time.Hour)
	var all []Text
	for n := range 40 {
		body := "START"
		if n%2 == 1 {
			body = "STOP"
		}
		m := text(body).at(start.Add(time.Duration(n) * time.Second))
		all = append(all, m, m)
	}
	var wg sync.WaitGroup
	for _, m := range all {
		wg.Go(func() { assert.NoError(t, b.Receive(t.Context(), m)) })
	}
	wg.Wait()
	assert.True(t, b.listed(t, person), "the last one was a STOP")
	assert.LessOrEqual(t, len(b.replies), repliesPerDay)
}

// A reply that cannot be sent now makes the text come again, and is sent then,
// once; one that may not be sent does not.
func TestRepliesThatFail(t *testing.T) {
	b := newBox(t, connect(t))
	for n, body := range []string{"STOP", "START", "HELP"} {
		m := text(body)
		for _, err := range []error{message.ErrStore, message.ErrClosed} {
			b.fails(err)
			err := b.Receive(t.Context(), m)
			require.ErrorIs(t, err, ErrStore)
			assert.Equal(t, body == "STOP", b.listed(t, person), "what was asked for is done")
		}
		b.fails(nil)
		require.NoError(t, b.Receive(t.Context(), m))
		require.NoError(t, b.Receive(t.Context(), m))
		assert.Len(t, b.replies, n+1, body)
	}
	require.NoError(t, server.Flush(t.Context()))
	for _, err := range []error{message.ErrServiceOff, message.ErrNoSender, errors.New("not to that country")} {
		b.fails(err)
		require.NoError(t, b.Receive(t.Context(), text("STOP")))
		assert.True(t, b.listed(t, person))
	}
}

// Two machines that answer each other, with words that mean something to the
// other one, fall silent.
func TestMachinesFallSilent(t *testing.T) {
	rdb := connect(t)
	for name, replies := range map[string]Replies{
		"help helps":       {Stopped: "STOP", Started: "START", Help: "HELP"},
		"back and forth":   {Stopped: "START", Started: "STOP", Help: "START"},
		"round and round":  {Stopped: "HELP", Started: "STOP", Help: "START"},
		"stop begins it":   {Stopped: "Stop received. Reply START", Started: "Start received", Help: "Reply STOP"},
		"nothing is empty": {Help: "INFO"},
	} {
		for _, first := range []string{"STOP", "START", "HELP"} {
			t.Run(name+" "+first, func(t *testing.T) {
				require.NoError(t, server.Flush(t.Context()))
				var boxes [2]*box
				numbers := [2]string{person, ours}
				var post []Text // on the way
				for n := range boxes {
					boxes[n] = newBox(t, rdb, func(o *Options) { o.Replies = replies })
					boxes[n].sent = func(r message.Reply) {
						m := text(r.Text)
						m.From, m.To = r.Originator, r.To.E164
						post = append(post, m)
					}
				}
				m := text(first)
				m.From, m.To = numbers[0], numbers[1]
				post = append(post, m)
				delivered := 0
				for len(post) > 0 {
					m, post = post[0], post[1:]
					to := 0
					if m.To == numbers[1] {
						to = 1
					}
					require.NoError(t, boxes[to].Receive(t.Context(), m))
					delivered++
					require.LessOrEqual(t, delivered, 2*repliesPerDay+1, "they never stop")
				}
			})
		}
	}
}

// What a number gets in a day is bounded, whatever it sends and over how many
// hours.
func TestRepliesPerDay(t *testing.T) {
	rdb := connect(t)
	b := newBox(t, rdb)
	key := wordsKey(campaigns.Pseudonym(testSecret, person))
	for range 4 * repliesPerDay {
		for _, body := range []string{"STOP", "START", "HELP"} {
			require.NoError(t, b.Receive(t.Context(), text(body)))
		}
		// An hour passes, as far as the replies of a kind are concerned.
		require.NoError(t, rdb.HDel(t.Context(), key, "reply:stop", "reply:start", "reply:help").Err())
	}
	assert.Len(t, b.replies, repliesPerDay)
	// A day passes.
	yesterday := time.Now().Add(-24*time.Hour - time.Minute).UnixMilli()
	require.NoError(t, rdb.HSet(t.Context(), key, "day", yesterday).Err())
	require.NoError(t, b.Receive(t.Context(), text("HELP")))
	assert.Len(t, b.replies, repliesPerDay+1)
}

func TestHelpOnceAnHour(t *testing.T) {
	rdb := connect(t)
	b := newBox(t, rdb)
	key := wordsKey(campaigns.Pseudonym(testSecret, person))
	require.NoError(t, b.Receive(t.Context(), text("HELP")))
	ago := func(d time.Duration) {
		when := time.Now().Add(-d).UnixMilli()
		require.NoError(t, rdb.HSet(t.Context(), key, "reply:help", fmt.Sprint(when, " another")).Err())
	}
	ago(time.Hour - time.Minute)
	require.NoError(t, b.Receive(t.Context(), text("HELP")))
	assert.Len(t, b.replies, 1)
	ago(time.Hour + time.Second)
	require.NoError(t, b.Receive(t.Context(), text("HELP")))
	assert.Len(t, b.replies, 2)
	ttl, err := rdb.PTTL(t.Context(), key).Result()
	require.NoError(t, err)
	assert.Positive(t, ttl, "what is known of a person's words is forgotten by itself")
	assert.LessOrEqual(t, ttl, memory)
}

func TestWithoutTheSecretTextsComeAgain(t *testing.T) {
	b := newBox(t, connect(t), func(o *Options) { o.Secret = func() []byte { return nil } })
	require.ErrorIs(t, b.Receive(t.Context(), text("STOP")), ErrStore)
	require.NoError(t, b.Receive(t.Context(), text("hello")), "nothing needs to be kept of it")
}

// Nothing of a person or of what was written is in an error or a key.
func TestNothingOfThePersonIsLeft(t *testing.T) {
	rdb := connect(t)
	b := newBox(t, rdb)
	for _, body := range []string{"STOP my secret", "START", "HELP"} {
		require.NoError(t, b.Receive(t.Context(), text(body)))
	}
	fields, err := rdb.HGetAll(t.Context(), wordsKey(campaigns.Pseudonym(testSecret, person))).Result()
	require.NoError(t, err)
	require.NotEmpty(t, fields)
	for name, value := range fields {
		assert.NotContains(t, name+value, "4155550132")
		assert.NotContains(t, name+value, "secret")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = b.Receive(ctx, text("STOP my secret"))
	require.ErrorIs(t, err, ErrStore)
	assert.NotContains(t, err.Error(), "4155550132")
	assert.NotContains(t, err.Error(), "secret")
}
