package inbound

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns/optout"
)

// optsOut puts the person on the list some other way than by a text.
func (b *box) optsOut(t *testing.T, since time.Time) {
	t.Helper()
	_, err := b.list.Add(t.Context(), optout.Entry{Number: person, Source: optout.Keypress, Since: since})
	require.NoError(t, err)
}

// forgets is what is left of the person's words after that: nothing.
func (b *box) forgets(t *testing.T) {
	t.Helper()
	require.NoError(t, b.Forget(t.Context(), person))
	_, err := b.list.Forget(t.Context(), person)
	require.NoError(t, err)
}

// A START that is handed over again takes back no opt-out that was made after it,
// however that was made and whatever is still known of the words.
func TestAStartThatComesAgain(t *testing.T) {
	minute := time.Now().Add(-time.Minute).Truncate(time.Second)
	for name, sent := range map[string]time.Time{"with its time": minute, "without": {}} {
		for way, again := range map[string]func(t *testing.T, b *box){
			"an opt-out by key": func(t *testing.T, b *box) { t.Helper(); b.optsOut(t, time.Time{}) },
			"a STOP": func(t *testing.T, b *box) {
				t.Helper()
				require.NoError(t, b.Receive(t.Context(), text("STOP")))
			},
			"a STOP and an opt-out by key": func(t *testing.T, b *box) {
				t.Helper()
				require.NoError(t, b.Receive(t.Context(), text("STOP")))
				b.optsOut(t, time.Time{})
			},
		} {
			t.Run(way+", "+name, func(t *testing.T) {
				b := newBox(t, connect(t))
				b.optsOut(t, minute.Add(-time.Hour))
				first := text("START").at(sent)
				require.NoError(t, b.Receive(t.Context(), first))
				require.False(t, b.listed(t, person))
				again(t, b)
				before := len(b.said())
				for range 2 {
					require.NoError(t, b.Receive(t.Context(), first))
				}
				assert.True(t, b.listed(t, person))
				assert.Len(t, b.said(), before, "and it is not said that it does")
				assert.Equal(t, 2, b.counted(ignored))
				if !sent.IsZero() {
					b.forgets(t)
					require.NoError(t, b.Receive(t.Context(), first))
					assert.True(t, b.listed(t, person), "though nothing but the opt-out is known any more")
				}
				time.Sleep(2 * time.Millisecond) // of two in one millisecond the opt-out counts
				require.NoError(t, b.Receive(t.Context(), text("START")))
				assert.False(t, b.listed(t, person), "a new one does")
			})
		}
	}
}

// A START that was held up takes back no opt-out that was made meanwhile, also
// where the person was on the list before.
func TestAStartThatComesLate(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	for name, c := range map[string]struct {
		optOuts []time.Time
		start   time.Time
		listed  bool
	}{
		"later":              {[]time.Time{now.Add(-30 * time.Second)}, now.Add(-time.Minute), true},
		"earlier":            {[]time.Time{now.Add(-time.Minute)}, now.Add(-30 * time.Second), false},
		"in the same second": {[]time.Time{now.Add(-time.Minute + 900*time.Millisecond)}, now.Add(-time.Minute), false},
		"earlier and later":  {[]time.Time{now.Add(-time.Hour), now.Add(-30 * time.Second)}, now.Add(-time.Minute), true},
		"the other way":      {[]time.Time{now.Add(-30 * time.Second), now.Add(-time.Hour)}, now.Add(-time.Minute), true},
		"earlier, twice":     {[]time.Time{now.Add(-time.Hour), now.Add(-time.Minute)}, now.Add(-30 * time.Second), false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, connect(t))
			for _, since := range c.optOuts {
				b.optsOut(t, since)
			}
			b.forgets(t)
			require.NoError(t, b.Receive(t.Context(), text("START").at(c.start)))
			assert.Equal(t, c.listed, b.listed(t, person))
		})
	}
}

// So it is with a STOP that was texted, by when it was texted, to the second.
func TestAStartAfterAStopThatIsForgotten(t *testing.T) {
	at := time.Now().Add(-time.Minute).Truncate(time.Second)
	for after, listed := range map[time.Duration]bool{-time.Second: true, 0: true, time.Second: false} {
		b := newBox(t, connect(t))
		require.NoError(t, b.Receive(t.Context(), text("STOP").at(at)))
		b.forgets(t)
		require.NoError(t, b.Receive(t.Context(), text("START").at(at.Add(after))))
		assert.Equal(t, listed, b.listed(t, person), after)
	}
}

// A STOP that is handed over again does not opt out anew.
func TestAStopThatComesAgain(t *testing.T) {
	b := newBox(t, connect(t))
	first := text("STOP")
	for _, m := range []Text{first, text("START"), text("START"), first} {
		require.NoError(t, b.Receive(t.Context(), m))
	}
	assert.False(t, b.listed(t, person))
	assert.Len(t, b.said(), 2)
	// One that nothing tells from another is a new one.
	nameless := text("STOP")
	nameless.ID = ""
	for range 2 {
		require.NoError(t, b.Receive(t.Context(), nameless))
		assert.True(t, b.listed(t, person))
		require.NoError(t, b.Receive(t.Context(), text("START")))
		assert.False(t, b.listed(t, person))
	}
}

// What is remembered of the words of a person is bounded.
func TestTheLastFewAreRemembered(t *testing.T) {
	rdb := connect(t)
	b := newBox(t, rdb)
	var starts []Text
	for range 8 {
		m := text("START")
		starts = append(starts, m)
		require.NoError(t, b.Receive(t.Context(), m))
		for range 20 {
			require.NoError(t, b.Receive(t.Context(), text("HELP")))
		}
	}
	b.optsOut(t, time.Time{})
	for _, m := range starts {
		require.NoError(t, b.Receive(t.Context(), m))
		assert.True(t, b.listed(t, person))
	}
	fields, err := rdb.HGetAll(t.Context(), wordsKey(b.pseudonym())).Result()
	require.NoError(t, err)
	for name, value := range fields {
		assert.Less(t, len(value), 9*33, name)
	}
}

// A time without a zone may be hours off: by it a START can be late, which the
// person can text again, but not a STOP.
func TestATimeWithoutAZone(t *testing.T) {
	now := time.Now()
	local := func(body string, at time.Time) Text {
		m := text(body).at(at)
		m.Local = true
		return m
	}
	for _, off := range []time.Duration{-12 * time.Hour, -time.Hour, 0, 14 * time.Hour} {
		t.Run(off.String(), func(t *testing.T) {
			b := newBox(t, connect(t))
			require.NoError(t, b.Receive(t.Context(), text("START").at(now)))
			stop := local("STOP", now.Add(off))
			require.NoError(t, b.Receive(t.Context(), stop))
			assert.True(t, b.listed(t, person))
			e, err := b.list.Get(t.Context(), person)
			require.NoError(t, err)
			assert.WithinDuration(t, now, e.Since, time.Minute)
			time.Sleep(2 * time.Millisecond) // of two in one millisecond the STOP counts
			require.NoError(t, b.Receive(t.Context(), local("START", now.Add(off-time.Hour).Add(-time.Minute))))
			assert.Equal(t, off <= time.Hour, b.listed(t, person), "it is taken for UTC")
			require.NoError(t, b.Receive(t.Context(), text("START")))
			assert.False(t, b.listed(t, person))
			require.NoError(t, b.Receive(t.Context(), stop))
			assert.False(t, b.listed(t, person), "the same one again is not a new one")
		})
	}
}

// An answer that could not be sent is not sent when what it says is over.
func TestAnAnswerThatIsOver(t *testing.T) {
	b := newBox(t, connect(t))
	m := text("STOP")
	b.fails(errNoSecret)
	require.NoError(t, b.Receive(t.Context(), m))
	b.fails(nil)
	require.NoError(t, b.Receive(t.Context(), text("START")))
	require.NoError(t, b.Receive(t.Context(), m))
	assert.Equal(t, []string{"Welcome back."}, b.said())
	fields, err := b.rdb.HGetAll(t.Context(), wordsKey(b.pseudonym())).Result()
	require.NoError(t, err)
	at, err := strconv.ParseFloat(fields["at"], 64)
	require.NoError(t, err)
	assert.InDelta(t, time.Now().UnixMilli(), at, 60_000)
}
