package campaigns

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestDurationForms(t *testing.T) {
	for _, c := range []struct {
		text, want string
		d          time.Duration
	}{
		{"90s", "90s", 90 * time.Second},
		{"60s", "1m", time.Minute},
		{"15m", "15m", 15 * time.Minute},
		{"72h", "72h", 72 * time.Hour},
		{"24h", "24h", 24 * time.Hour},
		{"96h", "4d", 96 * time.Hour},
		{"90d", "90d", 90 * 24 * time.Hour},
		{"1h30m", "90m", 90 * time.Minute},
		{"1.5s", "1.5s", 1500 * time.Millisecond},
		{"", "", 0},
	} {
		var d Duration
		require.NoError(t, d.UnmarshalText([]byte(c.text)), c.text)
		require.Equal(t, c.d, time.Duration(d), c.text)
		require.Equal(t, c.want, d.String())
	}
}

func TestDurationRefuses(t *testing.T) {
	for _, text := range []string{"0s", "0d", "-1s", "-1d", "5", "five", "d", "1.5d", "99999999999d", "1w", "9223372036854775807h"} {
		var d Duration
		require.Error(t, d.UnmarshalText([]byte(text)), text)
		require.Zero(t, d)
	}
	var p LinkPolicy
	require.ErrorContains(t, json.Unmarshal([]byte(`{"expires_after":"0s"}`), &p), "leave it out for the default")
	require.ErrorContains(t, json.Unmarshal([]byte(`{"expires_after":"soon"}`), &p), `"90s"`)
}

func TestDurationRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Duration(rapid.Int64Min(1).Draw(t, "ns"))
		if rapid.Bool().Draw(t, "seconds") {
			want = want/Duration(time.Second)*Duration(time.Second) + Duration(time.Second)
			if want < 0 {
				return
			}
		}
		text, err := want.MarshalText()
		require.NoError(t, err)
		var got Duration
		require.NoError(t, got.UnmarshalText(text), string(text))
		require.Equal(t, want, got, string(text))
	})
}

func FuzzDuration(f *testing.F) {
	for _, s := range []string{"", "90s", "15m", "72h", "90d", "-1d", "999999999999999999d", "1h1h", "∞"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var d Duration
		if d.UnmarshalText([]byte(s)) == nil {
			require.GreaterOrEqual(t, d, Duration(0))
		}
	})
}
