package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Hang-up causes (Q.850) of the lab's dialplan, which callers see in
// Result.Cause: they say where a call came out.
const (
	CauseIVR    = 34 // context "ivr": deflectd let the call go
	CauseAgents = 42 // context "agents": deflectd transferred it there
)

// AsteriskOptions say what is special about a lab Asterisk. Only Dir is needed.
type AsteriskOptions struct {
	Dir         string        // all its files; made if need be
	Sounds      string        // folder whose content is added to the sounds of the language "en"
	Dialplan    string        // added at the end of extensions.conf: contexts of your own
	PJSIP       string        // added at the end of pjsip.conf; "[lab](+)" changes the endpoint of the callers
	Calls       int           // how many calls at once there are RTP ports for; 50 if 0
	Application string        // the Stasis application the calls go to; "deflectd" if empty
	Patience    time.Duration // when Asterisk takes a call back by itself, in whole seconds; the product's 45 s if 0
	Stay        time.Duration // how long "ivr" and "agents" keep a call before they hang up; 200 ms if 0
}

// Asterisk is an Asterisk of its own on free ports of loopback. It runs the
// files of deploy/asterisk as they are; its own files include them and add
// ports, a password, and what an operator brings: the contexts "ivr" (hangs up
// with CauseIVR), "agents" (with CauseAgents) and "loop" (a transfer target
// that leads back into deflectd). Each arrival there is logged: see Arrivals.
type Asterisk struct {
	*Program
	SIPAddr  string // host:port of UDP
	ARIURL   string // http://host:port/ari
	Username string
	Password string

	dir      string
	tools    Tools
	sip, rtp *ports
}

// StartAsterisk runs an Asterisk and waits until it takes calls and commands.
// The ctx bounds the start alone; end it with Stop.
func StartAsterisk(ctx context.Context, o AsteriskOptions) (*Asterisk, error) {
	a := &Asterisk{Username: "deflectd", Password: rand.Text()}
	if err := a.prepare(o); err != nil {
		a.release()
		return nil, fmt.Errorf("start asterisk: %w", err)
	}
	if err := a.start(ctx); err != nil {
		a.release()
		return nil, err
	}
	return a, nil
}

// Stop ends Asterisk and gives its ports back. Stopping twice is no error.
func (a *Asterisk) Stop() error {
	defer a.release()
	return a.Program.Stop()
}

// Restart starts it again on the same ports, after a Kill or in order; its
// calls are lost.
func (a *Asterisk) Restart(ctx context.Context) error {
	if err := a.Program.Stop(); err != nil {
		return err
	}
	return a.start(ctx)
}

// CLI runs a command on the console of Asterisk and returns what it printed.
func (a *Asterisk) CLI(ctx context.Context, command string) (string, error) {
	argv := a.argv("-rx", command)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = a.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("run %q on the console of asterisk: %w: %s", command, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// Logs is the end of what Asterisk logged, for the message of a failed test.
func (a *Asterisk) Logs() string {
	text, err := os.ReadFile(filepath.Join(a.dir, "log/messages"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-8000):])
}

func (a *Asterisk) release() {
	for _, held := range []*ports{a.sip, a.rtp} {
		if held != nil {
			held.release()
		}
	}
}

func (a *Asterisk) argv(args ...string) []string {
	argv := append([]string(nil), a.tools.Asterisk...)
	return append(append(argv, "-C", filepath.Join(a.dir, "etc/asterisk.conf")), args...)
}

// prepare takes the ports and writes the files.
func (a *Asterisk) prepare(o AsteriskOptions) error {
	err := a.tools.findAsterisk()
	if err != nil {
		return err
	}
	if a.dir, err = makeDir(o.Dir); err != nil {
		return err
	}
	if o.Calls == 0 {
		o.Calls = 50
	}
	if o.Stay == 0 {
		o.Stay = 200 * time.Millisecond
	}
	if a.sip, err = takePorts(2); err != nil {
		return err
	}
	// RTP and RTCP per call, and again as much, since Asterisk searches a free
	// pair from a random place.
	if a.rtp, err = takePorts(4 * o.Calls); err != nil {
		return err
	}
	a.SIPAddr = "127.0.0.1:" + strconv.Itoa(a.sip.first)
	a.ARIURL = "http://127.0.0.1:" + strconv.Itoa(a.sip.first+1) + "/ari"
	return a.writeFiles(o)
}

func (a *Asterisk) start(ctx context.Context) error {
	program, err := StartProgram("asterisk", filepath.Join(a.dir, "asterisk.out"), nil, a.argv("-f")...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := program.Ready(ctx, a.ping); err != nil {
		return errors.Join(err, program.Kill(), errors.New(a.Logs()))
	}
	a.Program = program
	return nil
}

// single is the client for single requests: no connection outlives its request.
var single = &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ping says whether Asterisk answers on ARI, which it does once it has booted.
func (a *Asterisk) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.ARIURL+"/asterisk/ping", nil)
	if err != nil {
		return fmt.Errorf("ping asterisk: %w", err)
	}
	req.SetBasicAuth(a.Username, a.Password)
	res, err := single.Do(req)
	if err != nil {
		return fmt.Errorf("ping asterisk: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("ping asterisk: it says %s", res.Status)
	}
	return nil
}
