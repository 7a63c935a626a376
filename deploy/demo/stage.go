package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"deflectd/deploy/lab"
)

// stage is everything that runs for the demo.
type stage struct {
	dir      string
	redis    *lab.Redis
	asterisk *lab.Asterisk
	deflectd *lab.Program
	public   string // base URL of the short links
	api      *api
	page     *http.Server // the interaction that links lead to
	pageURL  string
	undo     []func() error
}

// close stops everything in reverse order and removes all files.
func (s *stage) close() error {
	var errs []error
	for i := len(s.undo) - 1; i >= 0; i-- {
		errs = append(errs, s.undo[i]())
	}
	s.undo = nil
	return errors.Join(errs...)
}

// open starts everything. After an error, too, close must be called.
func (s *stage) open(ctx context.Context, tell *teller) error {
	if _, err := lab.Find(); err != nil {
		return err
	}
	var err error
	if s.dir, err = os.MkdirTemp("", "deflectd-demo-"); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	s.undo = append(s.undo, func() error { return os.RemoveAll(s.dir) })

	if s.redis, err = lab.StartRedis(ctx, filepath.Join(s.dir, "redis")); err != nil {
		return err
	}
	s.undo = append(s.undo, s.redis.Stop)
	tell.line("Redis", "is ready on %s", s.redis.Addr)

	if s.asterisk, err = lab.StartAsterisk(ctx, lab.AsteriskOptions{Dir: filepath.Join(s.dir, "asterisk")}); err != nil {
		return err
	}
	s.undo = append(s.undo, s.asterisk.Stop)
	version, err := s.asterisk.CLI(ctx, "core show version")
	if err != nil {
		return err
	}
	tell.line("Asterisk", "%s takes calls on %s, with the dialplan of deploy/asterisk", number(version), s.asterisk.SIPAddr)

	if err := s.openPage(ctx); err != nil {
		return err
	}
	return s.openDeflectd(ctx, tell)
}

// number is the version in "Asterisk 22.10.1+dfsg… built by …".
func number(version string) string {
	fields := strings.Fields(version)
	if len(fields) < 2 {
		return ""
	}
	number, _, _ := strings.Cut(fields[1], "+")
	return number
}

// openPage serves a page that stands for the interaction.
func (s *stage) openPage(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the page of the interaction: %w", err)
	}
	s.pageURL = "http://" + listener.Addr().String()
	s.page = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(page)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.page.Serve(listener) // until close
	}()
	s.undo = append(s.undo, func() error {
		err := s.page.Close()
		<-ended
		return err
	})
	return nil
}

func page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Pay your bill</title><h1>Pay your bill</h1>\n<p>Hello, caller %s.\n",
		html.EscapeString(r.URL.Query().Get("callerId")))
}

const configuration = `asterisk:
  nodes:
    - {name: demo, url: "%s", username: "%s", password: "%s"}
redis: {url: "%s"}
admin: {listen: "%s"}
public: {listen: "%s", url: "http://%s"}
sms: {provider: sandbox, originator: "+18885550100"}
numbers: {region: US, countries: [US]}
`

// openDeflectd builds deflectd, starts it and waits until it is ready.
func (s *stage) openDeflectd(ctx context.Context, tell *teller) error {
	tell.line("deflectd", "is being built (a minute, the first time)")
	binary := filepath.Join(s.dir, "deflectd")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "deflectd/cmd/deflectd")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build deflectd: %w\n%s", err, out)
	}
	ports, err := lab.FreePorts(2)
	if err != nil {
		return err
	}
	admin, public := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	config := filepath.Join(s.dir, "deflectd.yaml")
	text := fmt.Sprintf(configuration, s.asterisk.ARIURL, s.asterisk.Username, s.asterisk.Password,
		s.redis.URL(), admin, public, public)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	s.public = "http://" + public
	s.api = &api{base: "http://" + admin, token: rand.Text(), http: &http.Client{
		Timeout:       5 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	s.deflectd, err = lab.StartProgram("deflectd", filepath.Join(s.dir, "deflectd.log"),
		[]string{"DEFLECTD_ADMIN_TOKEN=" + s.api.token}, binary, "serve", "--config", config)
	if err != nil {
		return err
	}
	s.undo = append(s.undo, s.deflectd.Stop)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = s.deflectd.Ready(ctx, func(ctx context.Context) error {
		_, _, err := s.api.get(ctx, s.api.base+"/readyz")
		return err
	})
	if err != nil {
		return err
	}
	tell.line("deflectd", "is ready: API on %s, short links on %s, provider: sandbox", s.api.base, s.public)
	return nil
}
