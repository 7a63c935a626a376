package phone

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMask(t *testing.T) {
	for number, want := range map[string]string{
		"":                       "",
		"+14155550132":           "+1 ••• 32",
		"+447700900123":          "+44 ••• 23",
		"+353851234567":          "+353 ••• 67",
		"+1 (415) 555-0132":      "+1 ••• 32",
		"4155550132":             "••• 32",
		"1234567":                "•••",
		"112":                    "•••",
		"+9990123456":            "+••• 56",
		"+0001234567":            "+••• 67",
		"+1":                     "•••",
		"anonymous":              "•••",
		"<script>alert</script>": "•••",
		"sip:+14155550132@host":  "+1 ••• 32",
	} {
		require.Equal(t, want, Mask(number), number)
	}
	require.True(t, Masked(Mask("+14155550132")))
	require.False(t, Masked("+14155550132"))
}

// No more than the country code and two digits can be learnt.
func FuzzMask(f *testing.F) {
	for _, s := range []string{"+14155550132", "112", "anonymous", "+999", "sip:1@x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		digits := 0
		for _, c := range Mask(s) {
			if c >= '0' && c <= '9' {
				digits++
			}
		}
		require.LessOrEqual(t, digits, 5)
	})
}
