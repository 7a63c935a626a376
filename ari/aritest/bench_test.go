package aritest_test

import (
	"context"
	"sync"
	"testing"
	"time"

	arilib "github.com/CyCoreSystems/ari/v5"
	"github.com/stretchr/testify/require"

	"deflectd/ari"
	"deflectd/ari/aritest"
)

// BenchmarkCall is one call after the other through package ari and this server
// together: answer, a prompt, variables, continue. Its inverse is the most a
// load test with this server can reach on as many cores.
func BenchmarkCall(b *testing.B) {
	srv := aritest.New()
	defer srv.Close()
	srv.AddSound("short", time.Millisecond)
	client, err := ari.New(ari.Options{
		Name: "bench", URL: srv.URL, Username: srv.Username, Password: srv.Password, Application: aritest.Application,
		Handle: func(ctx context.Context, ch *ari.Channel) {
			_ = ch.Answer(ctx)
			_, _ = ch.Play(ctx, "sound:short")
			for e := range ch.Events() {
				if _, ok := e.(*arilib.PlaybackFinished); ok {
					_ = ch.Set(ctx, []string{"DEFLECTD_CALL", "DEFLECTD_OUTCOME"}, []string{"x", "declined"})
					_ = ch.Continue(ctx)
				}
			}
		},
	})
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = client.Run(ctx) })
	defer running.Wait()
	defer cancel()
	for !client.Up() {
		time.Sleep(time.Millisecond)
	}
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			call := srv.Call(aritest.Caller{Number: "4917612345", DNIS: "18005550100"})
			if err := call.WaitPlace(ctx, aritest.InDialplan); err != nil {
				b.Error(err)
				return
			}
			call.Hangup()
		}
	})
}
