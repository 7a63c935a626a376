package main

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// lives is a part that ends when it is told to, after a while.
func lives(name string, stopped *[]string, takes time.Duration, err error) part {
	return part{name: name, budget: time.Second, run: func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(takes)
		*stopped = append(*stopped, name)
		return err
	}}
}

func TestPartsStopInReverse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped []string
		ps := newParts(slog.New(slog.DiscardHandler))
		for _, name := range []string{"records", "outbox", "asterisk"} {
			ps.start(t.Context(), lives(name, &stopped, 0, nil))
		}
		require.NoError(t, ps.stop())
		require.Equal(t, []string{"asterisk", "outbox", "records"}, stopped)
	})
}

func TestPartsSayWhatDidNotEndWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped, late []string
		ps := newParts(slog.New(slog.DiscardHandler))
		ps.start(t.Context(), lives("records", &stopped, 0, errors.New("3 records could not be written")))
		ps.start(t.Context(), lives("outbox", &late, time.Minute, nil))
		err := ps.stop()
		require.ErrorContains(t, err, "records: 3 records could not be written")
		require.ErrorContains(t, err, "outbox did not stop within 1s")
		time.Sleep(time.Minute) // until the late one has ended, too
	})
}

func TestPartThatEndsByItself(t *testing.T) {
	for name, end := range map[string]error{"it ended by itself": nil, "no more of it": errors.New("no more of it")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ps := newParts(slog.New(slog.DiscardHandler))
				ps.start(t.Context(), part{name: "outbox", budget: time.Second, run: func(context.Context) error { return end }})
				require.ErrorContains(t, <-ps.failed, "outbox: "+name)
				require.NoError(t, ps.stop(), "it has been told of")
			})
		})
	}
}

// A part outlives the order to stop until its turn has come.
func TestPartsOutliveTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stopped []string
		ctx, cancel := context.WithCancel(t.Context())
		ps := newParts(slog.New(slog.DiscardHandler))
		ps.start(ctx, lives("redis probe", &stopped, 0, nil))
		cancel()
		synctest.Wait()
		require.Empty(t, stopped)
		require.NoError(t, ps.stop())
		require.Equal(t, []string{"redis probe"}, stopped)
	})
}
