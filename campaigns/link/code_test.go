package link

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNewCode(t *testing.T) {
	const n = 20_000
	seen := make(map[string]bool, n)
	var counts [256]float64
	for range n {
		code := NewCode()
		require.Len(t, code, CodeLength)
		require.True(t, isCode(code), code)
		require.False(t, seen[code], "twice: %s", code)
		seen[code] = true
		for i := range len(code) {
			counts[code[i]]++
		}
	}
	// Pearson's chi-squared over 58 characters: with 57 degrees of freedom a
	// fair draw exceeds 130 once in ten million runs; taking bytes modulo 58
	// would give some thousands.
	expected := float64(n*CodeLength) / float64(len(alphabet))
	chi := 0.0
	for i := range len(alphabet) {
		d := counts[alphabet[i]] - expected
		chi += d * d / expected
	}
	require.Less(t, chi, 130.0)
}

func TestAlphabet(t *testing.T) {
	require.Len(t, alphabet, 58)
	require.NotContains(t, alphabet, "0")
	require.False(t, strings.ContainsAny(alphabet, "OIl"))
}

func TestIsCode(t *testing.T) {
	require.True(t, isCode("123456789AB"))
	for _, s := range []string{"", "123456789A", "123456789ABC", "123456789A0", "123456789Al", "123456789A\x00", "12345678é", "favicon.ico"} {
		require.False(t, isCode(s), "%q", s)
	}
}

func BenchmarkNewCode(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewCode()
	}
}
