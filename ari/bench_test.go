package ari

import (
	"context"
	"fmt"
	"testing"
)

// One call's events as they come from Asterisk, from decoding to the end of
// its Handle, with others under way: the cost must not depend on how many.
func BenchmarkEvents(b *testing.B) {
	for _, others := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			c, err := New(Options{
				Name: "n", URL: "http://127.0.0.1/ari", Application: "deflectd",
				Handle: func(_ context.Context, ch *Channel) {
					for range ch.Events() {
					}
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			s := &session{c: c, gen: 1, callCtx: b.Context(), beats: make(chan string, 1)}
			for i := range others {
				s.dispatch([]byte(event("StasisStart", fmt.Sprintf("other.%d", i))))
			}
			messages := [][]byte{
				[]byte(event("StasisStart", "1763825254.12")),
				[]byte(event("ChannelDtmfReceived", "1763825254.12")),
				[]byte(playbackEvent("1763825254.12", "deflectd.1763825254.12.0", "done")),
				[]byte(event("ChannelHangupRequest", "1763825254.12")),
				[]byte(event("StasisEnd", "1763825254.12")),
			}
			b.ReportAllocs()
			for b.Loop() {
				for _, m := range messages {
					s.dispatch(m)
				}
			}
			for i := range others {
				s.dispatch([]byte(event("StasisEnd", fmt.Sprintf("other.%d", i))))
			}
			for {
				c.mu.Lock()
				running := c.running
				c.mu.Unlock()
				if running == 0 {
					break
				}
				<-c.ended
			}
		})
	}
}

func BenchmarkSetPath(b *testing.B) {
	values := []string{"7Y2mP", "billing", "texted", "transfer_requested", "msg-1", "agents,100,1"}
	b.ReportAllocs()
	for b.Loop() {
		joinValues(values)
	}
}
