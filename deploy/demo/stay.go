package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// invite tells the user how to go on.
func (s *stage) invite(tell *teller) {
	tell.chapter("Now you")
	tell.note("Call with a softphone on this machine, without registration:")
	tell.note("    sip:%s@%s", dnis, s.asterisk.SIPAddr)
	tell.note("with a US number as your own (such as %s), since that is where the text goes.", ani)
	tell.note("Press 1 for the text, 2 to stay on the line; calls and texts show up here.")
	tell.note("")
	tell.note("The page for people who edit campaigns; sign in with the token of this run:")
	tell.note("    %s/   %s", s.api.base, s.api.token)
	tell.note("")
	tell.note("The API, with the same token:")
	tell.note("    curl -H 'Authorization: Bearer %s' %s/v1/campaigns", s.api.token, s.api.base)
	tell.note("    %s/openapi.json   %s/metrics", s.api.base, s.api.base)
	tell.note("")
	tell.note("Ctrl-C ends it and removes everything.")
}

// watch tells of every further call until ctx ends.
func (s *stage) watch(ctx context.Context, tell *teller) error {
	tell.chapter("Calls")
	known := map[string]bool{}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for first := true; ; first = false {
		var calls list[call]
		if err := s.api.do(ctx, http.MethodGet, "/v1/calls", nil, &calls); err == nil {
			for _, c := range calls.Items {
				if !known[c.ID] && !first {
					s.tellCall(ctx, tell, c)
				}
				known[c.ID] = true
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.deflectd.Done():
			return fmt.Errorf("deflectd ended by itself:\n%s", s.deflectd.Tail())
		case <-tick.C:
		}
	}
}

// tellCall tells of one call that has ended.
func (s *stage) tellCall(ctx context.Context, tell *teller, c call) {
	tell.line("call", "%s → %s: %s (%s)", c.ANI, c.DNIS, c.Outcome, c.Reason)
	if c.Message == "" {
		return
	}
	var m message
	if err := s.api.do(ctx, http.MethodGet, "/v1/messages/"+c.Message, nil, &m); err == nil {
		tell.line("text", "%s: %s (%s)", m.To, m.Text, m.State)
	}
}
