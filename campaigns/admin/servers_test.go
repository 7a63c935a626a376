package admin

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(shared{m}, labtest.LeftByRedis())
}

// shared runs the tests, and stops the Redis servers that they have shared.
type shared struct{ *testing.M }

func (s shared) Run() int {
	code := s.M.Run()
	if err := servers.stop(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	http.DefaultClient.CloseIdleConnections()
	patient.CloseIdleConnections()
	return code
}

// servers are the Redis servers of this package's tests. To start one takes as
// long as many tests, so each is used by one fixture after the other; a test
// with two fixtures has two of them.
var servers pool

type pool struct {
	mu   sync.Mutex
	dir  string
	all  []*lab.Redis
	free []*lab.Redis
}

// take gives a test a Redis that is empty, until the test's cleanups run that
// were registered before.
func (p *pool) take(t *testing.T) *lab.Redis {
	t.Helper()
	r, err := p.get(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.giveBack(r)) })
	return r
}

func (p *pool) get(ctx context.Context) (*lab.Redis, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.free); n > 0 {
		r := p.free[n-1]
		p.free = p.free[:n-1]
		return r, r.Flush(ctx)
	}
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "deflectd-admin-")
		if err != nil {
			return nil, err
		}
		p.dir = dir
	}
	r, err := lab.StartTestRedis(ctx, filepath.Join(p.dir, fmt.Sprint(len(p.all))))
	if err == nil {
		p.all = append(p.all, r)
	}
	return r, err
}

// giveBack takes back a Redis that nobody uses any more; one that a test has
// killed is started again.
func (p *pool) giveBack(r *lab.Redis) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		if err := r.Restart(ctx); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, r)
	return nil
}

func (p *pool) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.all {
		if err := r.Stop(); err != nil {
			return err
		}
	}
	if p.dir == "" {
		return nil
	}
	return os.RemoveAll(p.dir)
}
