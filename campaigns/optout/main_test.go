package optout

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// server is the Redis of this package's tests.
var server *lab.Redis

func TestMain(m *testing.M) { labtest.Main(m, &server) }

// connect is a client to an empty Redis.
func connect(t testing.TB) redis.UniversalClient {
	t.Helper()
	return labtest.Connect(t, server)
}

var secret = []byte(strings.Repeat("k", 32))

func newList(rdb redis.UniversalClient, change ...func(*Options)) *List {
	o := Options{Redis: rdb, Secret: func() []byte { return secret }, StoreTimeout: labtest.Patience, Registerer: prometheus.NewRegistry()}
	for _, f := range change {
		f(&o)
	}
	return New(o)
}

// add puts a number on the list.
func add(t testing.TB, l *List, e Entry) {
	t.Helper()
	added, err := l.Add(t.Context(), e)
	require.NoError(t, err)
	require.True(t, added)
}

// all reads the whole list, page by page.
func all(t testing.TB, l *List, q Query) (found []Entry) {
	t.Helper()
	for {
		page, next, err := l.List(t.Context(), q)
		require.NoError(t, err)
		found = append(found, page...)
		if next == "" {
			return found
		}
		q.Cursor = next
	}
}

func number(i int) string { return fmt.Sprintf("+1415555%04d", i) }
