package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The whole demo, as it runs where there is no terminal.
func TestStory(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	var out strings.Builder
	err := run(t.Context(), &teller{out: &out}, false)
	t.Log(out.String())
	require.NoError(t, err)
	for _, part := range []string{
		"dials +18005550100", "hears the key 1", "is hung up on", "outcome deflected, reason released",
		"to +14155550123: Acme: pay your bill here http://", "callerId=%2B14155550123", "Hello, caller +14155550123",
		`deflectd_calls_total{campaign="billing",outcome="deflected",reason="released"} 1`, "nothing is left behind",
	} {
		require.Contains(t, out.String(), part)
	}
	requireNothingLeft(t, temp)
}

// Ctrl-C in the middle of the story, and while it waits for calls.
func TestInterrupted(t *testing.T) {
	for part, want := range map[string]error{"dials": errInterrupted, "Ctrl-C ends it": nil} {
		t.Run(part, func(t *testing.T) {
			temp := t.TempDir()
			t.Setenv("TMPDIR", temp)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			out := &trap{until: regexp.MustCompile(regexp.QuoteMeta(part)), then: cancel}
			require.ErrorIs(t, run(ctx, &teller{out: out}, true), want, out.String())
			require.Contains(t, out.String(), part)
			requireNothingLeft(t, temp)
		})
	}
}

// trap calls a function once a text was written.
type trap struct {
	strings.Builder
	until *regexp.Regexp
	then  func()
}

func (c *trap) Write(p []byte) (int, error) {
	if c.until.Match(p) {
		c.then()
	}
	return c.Builder.Write(p)
}

// requireNothingLeft looks for files, and for processes that use them.
func requireNothingLeft(t *testing.T, temp string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(temp, "deflectd-demo-*"))
	require.NoError(t, err)
	require.Empty(t, left)
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	require.NoError(t, err)
	for _, path := range commands {
		command, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		require.NotContains(t, string(command), temp)
	}
}
