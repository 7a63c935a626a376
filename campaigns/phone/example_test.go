package phone

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExample(t *testing.T) {
	for _, region := range []string{"US", "DE", "GB", "FR", "BR", "IN", "JP", "GG"} {
		n, ok := Example(region)
		require.True(t, ok, region)
		require.Equal(t, region, n.Region)
		again, err := Parse(n.E164, "")
		require.NoError(t, err)
		require.Equal(t, n, again)
	}
	for _, region := range []string{"", "ZZ", "us", "001"} {
		_, ok := Example(region)
		require.False(t, ok, region)
	}
}
