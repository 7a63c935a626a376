package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"deflectd/deploy/lab"
)

// errInterrupted says that the user ended the demo before its story did.
var errInterrupted = errors.New("interrupted")

// Who calls whom.
const (
	dnis = "+18005550100"
	ani  = "+14155550123"
)

// run tells the whole story; with stay it then waits for calls of the user
// until ctx ends.
func run(ctx context.Context, tell *teller, stay bool) error {
	s := &stage{}
	err := s.story(ctx, tell)
	switch {
	case err != nil && ctx.Err() != nil:
		err = errInterrupted
	case err == nil && stay:
		s.invite(tell)
		err = s.watch(ctx, tell)
	}
	if err := errors.Join(err, s.close()); err != nil {
		return err
	}
	tell.done("That was all of it. Everything is stopped, and nothing is left behind.")
	return nil
}

func (s *stage) story(ctx context.Context, tell *teller) error {
	tell.chapter("Getting ready")
	if err := s.open(ctx, tell); err != nil {
		return err
	}
	for _, chapter := range []struct {
		title string
		tell  func(context.Context, *teller) error
	}{
		{"An admin makes a campaign", s.makeCampaign},
		{"Somebody calls", s.placeCall},
		{"The text", s.readText},
		{"The link", s.openLink},
		{"What Prometheus sees", s.readMetrics},
	} {
		tell.chapter(chapter.title)
		if err := chapter.tell(ctx, tell); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(chapter.title), err)
		}
	}
	return nil
}

func (s *stage) makeCampaign(ctx context.Context, tell *teller) error {
	campaign := map[string]any{
		"id": "billing", "name": "Billing questions", "dnis": []string{dnis},
		"interaction": map[string]any{
			"id": "pay-a-bill", "url": s.pageURL + "/start?interaction={interaction_id}", "params": map[string]string{"lang": "en"},
		},
		"text":    "Acme: pay your bill here {link}",
		"prompts": map[string]string{"sent": "sound:deflectd/sent", "failed": "sound:deflectd/failed"},
	}
	if err := s.api.do(ctx, http.MethodPost, "/v1/campaigns", campaign, nil); err != nil {
		return err
	}
	tell.line("admin", `POST /v1/campaigns: "Billing questions" answers %s`, dnis)
	tell.line("", `text: %s`, campaign["text"])
	return nil
}

// caller waits a little, presses 1 into the prompt, and listens to the end.
var caller = lab.Caller{
	DNIS: dnis, From: ani,
	Steps:   []lab.Step{lab.Answered(), lab.Pause(2 * time.Second), lab.Press("1"), lab.AwaitBye()},
	Timeout: 30 * time.Second,
}

// answered waits until calls would be answered: the news of the campaign takes a
// moment to them.
func (s *stage) answered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		var decision struct{ Reason string }
		err := s.api.do(ctx, http.MethodPost, "/v1/decisions", map[string]string{"dnis": dnis, "ani": ani}, &decision)
		if err != nil || decision.Reason == "" {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("a call would not be answered: %s", decision.Reason)
		}
	}
}

func (s *stage) placeCall(ctx context.Context, tell *teller) error {
	if err := s.answered(ctx); err != nil {
		return err
	}
	tell.begin = time.Now()
	tell.line("caller", "%s dials %s, and will press 1 after two seconds", ani, dnis)
	type outcome struct {
		lab.Result
		err error
	}
	ended := make(chan outcome, 1)
	go func() {
		r, err := s.asterisk.Call(ctx, caller)
		ended <- outcome{r, err}
	}()
	told := 0
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C: // what happens, while it happens
			var calls list[call]
			if err := s.api.do(ctx, http.MethodGet, "/v1/calls?active=true", nil, &calls); err == nil && len(calls.Items) > 0 {
				told = calls.Items[0].tellSteps(tell, told)
			}
		case o := <-ended:
			if o.err != nil {
				return o.err
			}
			return s.checkCall(ctx, tell, o.Result, told)
		}
	}
}

// tellSteps tells the steps of a call from the given one on.
func (c call) tellSteps(tell *teller, from int) int {
	for ; from < len(c.Steps); from++ {
		step := c.Steps[from]
		words, ok := sentences[step.Name+" "+step.Detail]
		if !ok {
			words = strings.TrimSpace(step.Name + " " + step.Detail)
		}
		tell.lineAt(step.At, "deflectd", "%s", words)
	}
	return from
}

// sentences tell the usual steps; others are told as they are.
var sentences = map[string]string{
	"intercepted ":  "finds the campaign of the number dialled",
	"answered ":     "answers",
	"prompt offer":  `plays "Press 1, and we will text you a link…"`,
	"key accept":    "hears the key 1",
	"text queued":   "makes text and link durable",
	"text sending":  "hands the text to the provider",
	"text accepted": "has it taken by the provider",
	"prompt sent":   `plays "The text with your link is on its way"`,
	"released ":     "hangs up",
}

// checkCall tells how the call ended, and makes sure it did as it should.
func (s *stage) checkCall(ctx context.Context, tell *teller, r lab.Result, told int) error {
	c, err := await(ctx, func() (call, bool, error) {
		var calls list[call]
		err := s.api.do(ctx, http.MethodGet, "/v1/calls?campaign=billing", nil, &calls)
		if err != nil || len(calls.Items) == 0 {
			return call{}, false, err
		}
		return calls.Items[0], true, nil
	})
	if err != nil {
		return fmt.Errorf("the record of the call did not come: %w\n%s", err, s.logs())
	}
	c.tellSteps(tell, told)
	if r.HungUpBy != lab.BySwitch || c.Outcome != "deflected" {
		return fmt.Errorf("the call was not deflected but %s (%s); SIP status %d, hung up by %q\n%s",
			c.Outcome, c.Reason, r.Status, r.HungUpBy, s.logs())
	}
	tell.lineAt(r.Ended, "caller", "is hung up on, having heard %.1f s of sound", r.Heard.Seconds())
	tell.line("record", "outcome %s, reason %s", c.Outcome, c.Reason)
	return nil
}

func (s *stage) readText(ctx context.Context, tell *teller) error {
	m, err := await(ctx, func() (message, bool, error) {
		m, err := s.text(ctx)
		return m, m.State == "delivered", err
	})
	if err != nil {
		return fmt.Errorf("the text is %q and not delivered: %w\n%s", m.State, err, s.logs())
	}
	var states []string
	for _, change := range m.History {
		states = append(states, change.State)
	}
	tell.line("sandbox", "to %s: %s", m.To, m.Text)
	tell.line("", "%d segment, %s; %s", m.Segments, m.Encoding, strings.Join(states, " → "))
	return nil
}

// text is the text that was sent to the caller.
func (s *stage) text(ctx context.Context) (message, error) {
	var texts list[message]
	if err := s.api.do(ctx, http.MethodGet, "/v1/messages?to="+url.QueryEscape(ani), nil, &texts); err != nil {
		return message{}, err
	}
	if len(texts.Items) == 0 {
		return message{}, errors.New("no text was sent")
	}
	var m message
	return m, s.api.do(ctx, http.MethodGet, "/v1/messages/"+texts.Items[0].ID, nil, &m)
}

func (s *stage) openLink(ctx context.Context, tell *teller) error {
	m, err := s.text(ctx)
	if err != nil {
		return err
	}
	if !strings.Contains(m.Text, m.URL) {
		return fmt.Errorf("the link %s is not in the text", m.URL)
	}
	_, header, err := s.api.get(ctx, m.URL)
	if err != nil {
		return err
	}
	target := header.Get("Location")
	tell.line("phone", "opens %s", m.URL)
	if !strings.HasPrefix(target, s.pageURL) || !strings.Contains(target, url.QueryEscape(ani)) {
		return fmt.Errorf("the link leads to %q, which is not the interaction with the caller's number", target)
	}
	tell.line("", "→ %s", target)
	text, _, err := s.api.get(ctx, target)
	if err != nil {
		return err
	}
	_, greeting, _ := strings.Cut(strings.TrimSpace(text), "<p>")
	tell.line("page", "%s", greeting)
	return nil
}

func (s *stage) readMetrics(ctx context.Context, tell *teller) error {
	wanted := []string{
		`deflectd_calls_total{campaign="billing",outcome="deflected",reason="released"} 1`,
		`deflectd_messages_total{campaign="billing",state="delivered"} 1`,
		`deflectd_link_opens_total{campaign="billing",visitor="human"} 1`,
		`deflectd_asterisk_up{node="demo"} 1`,
		`deflectd_redis_up 1`,
	}
	text, _, err := s.api.get(ctx, s.api.base+"/metrics")
	if err != nil {
		return err
	}
	for _, metric := range wanted {
		if !strings.Contains(text, metric+"\n") {
			return fmt.Errorf("/metrics does not say %s", metric)
		}
		tell.note("%s", metric)
	}
	return nil
}

// await asks until there is an answer, for at most 10 s.
func await[T any](ctx context.Context, ask func() (T, bool, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, ok, err := ask()
		if ok && err == nil {
			return answer, nil
		}
		select {
		case <-ctx.Done():
			return answer, errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// logs is what the programs said last, for an error message.
func (s *stage) logs() string {
	return "deflectd said last:\n" + s.deflectd.Tail() + "\nAsterisk said last:\n" + s.asterisk.Logs()
}
