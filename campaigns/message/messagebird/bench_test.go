package messagebird

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/campaigns/message"
	"deflectd/campaigns/phone"
	"deflectd/deploy/lab"
)

// BenchmarkText is the whole path of a text, from Send until MessageBird's
// stand-in has accepted it, beside a bare loop of posts to the same stand-in
// with the same concurrency. The CPU time is that of this process, which the
// stand-in is part of.
func BenchmarkText(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, created)
	}))
	defer s.Close()
	client, err := NewClient(Options{AccessKey: "key", URL: s.URL})
	require.NoError(b, err)
	defer client.Close()

	b.Run("posts alone", func(b *testing.B) {
		body := []byte(`{"originator":"Acme","body":"hello","recipients":["14155550132"],"reference":"m1"}`)
		measure(b, func() error {
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+"/messages", bytes.NewReader(body))
			if err != nil {
				return err
			}
			answer, err := client.http.Do(r)
			if err != nil {
				return err
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			return answer.Body.Close()
		})
	})
	b.Run("whole path", func(b *testing.B) {
		server, err := lab.StartRedis(b.Context(), b.TempDir())
		require.NoError(b, err)
		defer func() { _ = server.Stop() }()
		rdb := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{server.Addr}})
		defer func() { _ = rdb.Close() }()
		o, err := message.NewOutbox(message.Options{
			Redis: rdb, Provider: NewProvider(client, "https://txt.example.com", secret),
			PublicURL: "https://txt.example.com", Originator: "Acme",
		})
		require.NoError(b, err)
		r := message.Request{
			Campaign: &campaigns.Campaign{
				ID: "billing", Text: "Acme: pay your bill here {link}",
				Interaction: campaigns.Interaction{URL: "https://visual.example.com/start", CallerID: "plain", CallerIDParam: "callerId"},
			},
			To: phone.Number{E164: "+14155550132"},
		}
		measure(b, func() error {
			pending, err := o.Send(b.Context(), r)
			if err != nil {
				return err
			}
			for range pending.States() {
			}
			return nil
		})
	})
}

// measure runs work with sixteen hands and reports its CPU time.
func measure(b *testing.B, work func() error) {
	var wg sync.WaitGroup
	next := make(chan struct{})
	before := cpu()
	b.ResetTimer()
	for range 16 {
		wg.Go(func() {
			for range next {
				if err := work(); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for range b.N {
		next <- struct{}{}
	}
	close(next)
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpu is the time this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
