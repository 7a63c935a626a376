package report

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, labtest.LeftByRedis())
}

// startRedis runs a real Redis that keeps what it has on disk.
func startRedis(t *testing.T) *lab.Redis {
	t.Helper()
	s, err := lab.StartTestRedis(t.Context(), t.TempDir(), "--appendonly", "yes", "--appendfsync", "no")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}
