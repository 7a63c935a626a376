package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/config"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/browser"
)

// The tests of the page are stories: somebody sits down before a real browser,
// and does what people do with what they see and read. A story
//
//	w := newOffice(t)                       // a Redis and deflectd with the sandbox as its provider
//	p := w.visit(t, b, "editor")            // a browser of their own, signed in
//	p.follow("link", "New campaign")        // by roles and names, as a screen reader says them
//	p.fill("Name", "Billing")
//	p.see("The campaign is saved")
//	p.show("campaign")                      // looked at in light, dark and on a phone: see there
//
// and nobody may find a fault at the end: no error on the console, no request
// to anybody else, nothing that the security policy forbids.

// office is where people run a deflectd that texts nobody.
type office struct{ *world }

// people have a token each, named after their roles.
var people = []config.Role{config.RoleViewer, config.RoleEditor, config.RoleAdmin}

// newOffice starts a Redis and deflectd, with the sandbox as the provider, and
// an Asterisk that is away: nobody calls.
func newOffice(t *testing.T, environ ...string) office {
	t.Helper()
	w := &world{token: secretOf("robot"), dir: t.TempDir(), asterisk: &lab.Asterisk{ARIURL: "http://127.0.0.1:9/ari", Username: "x", Password: "x"}}
	var err error
	w.redis, err = lab.StartRedis(t.Context(), w.dir+"/redis")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.redis.Stop()) })
	ports, err := lab.FreePorts(2)
	require.NoError(t, err)
	type token struct {
		Name string `json:"name"`
		Role string `json:"role"`
		Hash string `json:"hash"`
	}
	tokens := []token{{"robot", "admin", config.HashToken(secretOf("robot"))}}
	for _, role := range people {
		for _, name := range []string{string(role), string(role) + "-2"} {
			tokens = append(tokens, token{name, string(role), config.HashToken(secretOf(name))})
		}
	}
	encoded, err := json.Marshal(tokens)
	require.NoError(t, err)
	w.provider = &lab.Provider{URL: "http://127.0.0.1:9", AccessKey: "none"}
	w.configure(t, ports, append([]string{
		"DEFLECTD_SMS_PROVIDER=sandbox", "DEFLECTD_ADMIN_TOKENS=" + string(encoded), "DEFLECTD_LOG_LEVEL=info",
	}, environ...))
	o := office{w}
	d := w.begin(t)
	eventually(t, func() error {
		select {
		case <-d.done:
			require.NoError(t, d.err)
		default:
		}
		if up := w.metric(t, "deflectd_redis_up"); up != 1 {
			return fmt.Errorf("deflectd has not reached Redis")
		}
		return nil
	})
	t.Cleanup(func() {
		// What people typed and numbers of people are nobody's business.
		for _, secret := range []string{secretOf("robot"), secretOf("editor"), myPhone} {
			require.NotContains(t, d.log.String(), secret)
		}
	})
	return o
}

// secretOf is somebody's token.
func secretOf(name string) string { return "dfl_of-" + name + "-in-the-stories" }

// myPhone is the number that tests are sent to.
const myPhone = "+12125550142"

// browsers is the one browser that all stories share.
type browsers struct {
	*browser.Browser
	shots string // where screenshots go; empty: none are taken

	mu    sync.Mutex
	taken map[string]bool
}

// person is somebody before a page.
type person struct {
	*browser.Page
	t *testing.T
	w office
	b *browsers
}

// visit opens a browser for somebody. With a name they sign in.
func (w office) visit(t *testing.T, b *browsers, name string, o ...browser.Options) *person {
	t.Helper()
	var options browser.Options
	if len(o) > 0 {
		options = o[0]
	}
	tab, err := b.Open(context.WithoutCancel(t.Context()), options) // closed below, after it was looked at
	require.NoError(t, err)
	p := &person{Page: tab, t: t, w: w, b: b}
	t.Cleanup(func() {
		if t.Failed() {
			p.explain()
		}
		p.faultless()
		tab.Close()
	})
	if name != "" {
		p.goes("/sign-in")
		p.fill("Token", secretOf(name))
		p.enter()
		p.Effort = browser.Effort{}
	}
	return p
}

// faultless holds the page to what no page of ours may do.
func (p *person) faultless() {
	p.t.Helper()
	for _, fault := range p.Faults() {
		p.t.Errorf("the page has a fault: %s", fault)
	}
}

// explain leaves behind what a failed story was looking at.
func (p *person) explain() {
	address, _ := p.Address()
	text, _ := p.Text()
	p.t.Logf("at %s the page says:\n%s", address, text)
	if p.b.shots == "" {
		return
	}
	if shot, err := p.Screenshot(true); err == nil {
		_ = os.WriteFile(filepath.Join(p.b.shots, "failed-"+strings.ReplaceAll(p.t.Name(), "/", "-")+".png"), shot, 0o600)
	}
}

// goes loads an address of the page, and returns the status of the answer.
func (p *person) goes(path string) int {
	p.t.Helper()
	status, err := p.Go(p.w.admin + path)
	require.NoError(p.t, err)
	return status
}

func (p *person) click(role, name string, within ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Click(role, name, within...))
}

func (p *person) follow(role, name string, within ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Follow(role, name, within...))
}

func (p *person) fill(name, text string, within ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Fill(name, text, within...))
}

func (p *person) choose(name, option string) {
	p.t.Helper()
	require.NoError(p.t, p.Choose(name, option))
}

func (p *person) enter() {
	p.t.Helper()
	require.NoError(p.t, p.Enter())
}

func (p *person) see(words ...string) {
	p.t.Helper()
	require.NoError(p.t, p.See(words...))
}

func (p *person) gone(words ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Gone(words...))
}

// at asserts where the person is.
func (p *person) at(path string) {
	p.t.Helper()
	address, err := p.Address()
	require.NoError(p.t, err)
	at, _, _ := strings.Cut(address, "?")
	require.Equal(p.t, path, at)
}

// holds asserts what a field holds.
func (p *person) holds(field, value string, within ...string) {
	p.t.Helper()
	c, err := p.Control("field", field, within...)
	require.NoError(p.t, err)
	require.Equal(p.t, value, c.Value, field)
}

// is waits until a control is as it should be.
func (p *person) is(role, name string, is func(browser.Control) bool, within ...string) {
	p.t.Helper()
	require.NoError(p.t, p.Await(role, name, is, within...))
}

// show looks at the page in light, in dark and on a phone, and asserts that
// nothing keeps anybody from using it. Where screenshots are wanted, it takes
// one of each under this name.
func (p *person) show(name string) {
	p.t.Helper()
	p.looked(name, browser.Looks()...)
}

// glance is show on a phone alone: for a page that another story shows, and that
// says something else here.
func (p *person) glance(name string) {
	p.t.Helper()
	p.looked(name, browser.Phone)
}

func (p *person) looked(name string, looks ...browser.Look) {
	p.t.Helper()
	effort := p.Effort
	for _, look := range looks {
		require.NoError(p.t, p.Appear(look))
		if p.b.shots != "" {
			shot, err := p.Screenshot(look == browser.Phone)
			require.NoError(p.t, err)
			require.NoError(p.t, os.WriteFile(filepath.Join(p.b.shots, name+"-"+string(look)+".png"), shot, 0o600))
		}
		found, err := p.Check()
		require.NoError(p.t, err)
		for _, v := range found {
			p.t.Errorf("%s in %s keeps people from using it: %s", name, look, v)
		}
	}
	require.NoError(p.t, p.Appear(browser.Light))
	p.Effort = effort
	p.b.mu.Lock()
	defer p.b.mu.Unlock()
	if p.b.taken[name] {
		p.t.Errorf("two stories show a page as %s", name)
	}
	p.b.taken[name] = true
}

// told says what a story has cost.
func (p *person) told(what string, began time.Time) {
	p.t.Logf("%s: %s (%s in this test)", what, p.Effort, time.Since(began).Round(100*time.Millisecond))
}

// make creates a campaign over the API, as the robot.
func (w office) make(t *testing.T, id string, change ...func(*campaigns.Campaign)) campaigns.Campaign {
	t.Helper()
	c := campaigns.Campaign{
		ID: id, Name: strings.ToUpper(id[:1]) + id[1:], DNIS: []string{w.dnis()},
		Interaction: campaigns.Interaction{ID: "help", URL: "https://visual.example.com/start?interaction={interaction_id}"},
		Text:        "Acme: help is here {link}",
	}
	for _, f := range change {
		f(&c)
	}
	w.api(t, http.MethodPost, "/v1/campaigns", c).into(t, http.StatusCreated, &c)
	return c
}
