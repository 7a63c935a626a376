package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"deflectd/deploy/lab"
)

const (
	token       = "benchmark-of-one-machine"
	application = "deflectd"
	// The extensions that the load calls.
	bareExtension = "bare"
	agiExtension  = "agi"
	textedDNIS    = "+18005550100" // everything on: campaign, text, link, record
	heldDNIS      = "+18005550101" // waits for a key
	// callerPrefix and six digits of sipp make a valid number of the US each.
	callerPrefix = "+14155"
)

// rig is everything that runs: Asterisk, Redis, the stand-in of the provider,
// the FastAGI server and deflectd, all on this machine.
type rig struct {
	dir      string
	asterisk *lab.Asterisk
	redis    *lab.Redis
	provider *lab.Provider
	fastagi  *lab.Program
	deflectd *lab.Program
	api
}

// api is the base URL of deflectd's API.
type api string

// startRig starts it all in dir. What was started before a failure is in the
// rig, so that stop ends it in any case.
func startRig(ctx context.Context, dir string) (*rig, error) {
	r := &rig{dir: dir}
	addresses, err := freeAddresses(3)
	if err != nil {
		return r, err
	}
	agi, admin, public := addresses[0], addresses[1], addresses[2]
	r.api = api("http://" + admin)
	if r.redis, err = lab.StartRedis(ctx, filepath.Join(dir, "redis"), "--appendonly", "yes"); err != nil {
		return r, err
	}
	if r.provider, err = lab.StartProvider(); err != nil {
		return r, err
	}
	r.asterisk, err = lab.StartAsterisk(ctx, lab.AsteriskOptions{
		Dir: filepath.Join(dir, "asterisk"), Calls: 700, Application: application, Dialplan: dialplan(agi),
	})
	if err != nil {
		return r, err
	}
	if r.fastagi, err = r.startFastAGI(ctx, agi); err != nil {
		return r, err
	}
	if err := r.startDeflectd(ctx, admin, public); err != nil {
		return r, err
	}
	return r, r.createCampaigns(ctx)
}

// dialplan is what the calls that deflectd is compared with go through.
func dialplan(agi string) string {
	return strings.NewReplacer("BARE", bareExtension, "AGI_EXTENSION", agiExtension,
		"SOUND", strings.TrimPrefix(lab.SoundSecond, "sound:"), "ADDRESS", agi).Replace(`
[deflectd](+)
exten => BARE,1,Answer()
 same => n,Playback(SOUND)
 same => n,Hangup()
exten => AGI_EXTENSION,1,AGI(agi://ADDRESS/call)
 same => n,Hangup()
`)
}

// startFastAGI runs this very program as the FastAGI server, in a process of
// its own, so that its processor time can be told from the benchmark's.
func (r *rig) startFastAGI(ctx context.Context, address string) (*lab.Program, error) {
	p, err := startSelf(r.dir, "fastagi", "-fastagi", address)
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx, dials(address))
}

// startSelf runs this very program as another of its parts.
func startSelf(dir, name string, args ...string) (*lab.Program, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return lab.StartProgram(name, filepath.Join(dir, name+".log"), nil, append([]string{self}, args...)...)
}

// dials complains unless somebody listens on the address.
func dials(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
}

func (r *rig) startDeflectd(ctx context.Context, admin, public string) (err error) {
	r.deflectd, err = serve(ctx, r.dir, r.api, "/readyz", []string{
		"DEFLECTD_ADMIN_LISTEN=" + admin,
		"DEFLECTD_PUBLIC_LISTEN=" + public,
		"DEFLECTD_PUBLIC_URL=http://" + public,
		"DEFLECTD_REDIS_URL=" + r.redis.URL(),
		fmt.Sprintf(`DEFLECTD_ASTERISK_NODES=[{"name":"pbx","url":%q,"username":%q,"password":%q}]`,
			r.asterisk.ARIURL, r.asterisk.Username, r.asterisk.Password),
		"DEFLECTD_SMS_PROVIDER=messagebird",
		"DEFLECTD_SMS_MESSAGEBIRD_URL=" + r.provider.URL,
		"DEFLECTD_SMS_MESSAGEBIRD_ACCESS_KEY=" + r.provider.AccessKey,
		// Every limit is looked at and counted, and none is reached: the same
		// callers come in each round.
		"DEFLECTD_LIMITS_COOLDOWN=0s", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY=1000000",
		"DEFLECTD_LIMITS_PER_PREFIX_PER_HOUR=1000000000", "DEFLECTD_LIMITS_SEGMENTS_PER_DAY=1000000000",
		"DEFLECTD_LIMITS_SURGE_CALLS=1000000000",
	})
	return err
}

// serve builds deflectd and runs it in a process of its own, until it answers at
// the path ready.
func serve(ctx context.Context, dir string, a api, ready string, env []string) (*lab.Program, error) {
	binary := filepath.Join(dir, "deflectd")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/deflectd")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building deflectd: %w\n%s", err, out)
	}
	env = append(env, "DEFLECTD_ADMIN_TOKEN="+token, "DEFLECTD_SMS_ORIGINATOR=Acme", "DEFLECTD_LOG_LEVEL=warn")
	p, err := lab.StartProgram("deflectd", filepath.Join(dir, "deflectd.log"), env, binary, "serve")
	if err != nil {
		return nil, err
	}
	return p, p.Ready(ctx, func(ctx context.Context) error {
		status, _, err := a.request(ctx, http.MethodGet, ready, nil)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("deflectd is not ready: %d", status)
		}
		return err
	})
}

func (r *rig) createCampaigns(ctx context.Context) error {
	text := map[string]any{
		"id": "texted", "dnis": []string{textedDNIS}, "text": "Acme: pay your bill here {link}",
		"interaction": map[string]any{
			"id": "pay-a-bill", "url": "https://visual.example.com/start?interaction={interaction_id}",
			"params": map[string]string{"lang": "en"},
		},
		"offer":   map[string]any{"mode": "send", "prompt": lab.SoundSecond},
		"release": map[string]any{"action": "hangup", "wait_for": "accepted", "wait": "5s"},
	}
	held := map[string]any{
		"id": "held", "dnis": []string{heldDNIS}, "text": "Acme: {link}",
		"interaction": map[string]any{"url": "https://visual.example.com/start"},
		"offer":       map[string]any{"mode": "ask", "prompt": lab.SoundSecond, "timeout": "30s", "attempts": 1},
	}
	for _, campaign := range []map[string]any{text, held} {
		status, body, err := r.request(ctx, http.MethodPost, "/v1/campaigns", campaign)
		if err != nil {
			return err
		}
		if status != http.StatusCreated {
			return fmt.Errorf("creating campaign %s: %d %s", campaign["id"], status, body)
		}
	}
	time.Sleep(time.Second) // until the directory has them
	return nil
}

// request asks deflectd's API.
func (a api) request(ctx context.Context, method, path string, body any) (int, []byte, error) {
	return a.do(ctx, method, path, body, http.Header{"Content-Type": {"application/json"}})
}

func (a api) do(ctx context.Context, method, path string, body any, header http.Header) (int, []byte, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, string(a)+path, content)
	if err != nil {
		return 0, nil, err
	}
	req.Header = header
	req.Header.Set("Authorization", "Bearer "+token)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, text, err
}

// metric reads a metric of deflectd: its sum over all labels.
func (a api) metric(ctx context.Context, name string) (float64, error) {
	var sum float64
	err := a.samples(ctx, name, func(_ map[string]string, value float64) { sum += value })
	return sum, err
}

// samples reads each sample of a counter or gauge of deflectd.
func (a api) samples(ctx context.Context, name string, each func(labels map[string]string, value float64)) error {
	_, body, err := a.request(ctx, http.MethodGet, "/metrics", nil)
	if err != nil {
		return err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("reading the metrics of deflectd: %w", err)
	}
	for _, sample := range families[name].GetMetric() {
		labels := make(map[string]string)
		for _, l := range sample.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		// What it is not has the value 0.
		each(labels, sample.GetCounter().GetValue()+sample.GetGauge().GetValue())
	}
	return nil
}

// stop ends everything.
func (r *rig) stop() error {
	var errs []error
	if r.deflectd != nil {
		errs = append(errs, r.deflectd.Stop())
	}
	if r.fastagi != nil {
		errs = append(errs, r.fastagi.Stop())
	}
	if r.asterisk != nil {
		errs = append(errs, r.asterisk.Stop())
	}
	if r.provider != nil {
		errs = append(errs, r.provider.Stop())
	}
	if r.redis != nil {
		errs = append(errs, r.redis.Stop())
	}
	return errors.Join(errs...)
}

// freeAddresses finds n addresses of loopback that nobody listens on.
func freeAddresses(n int) ([]string, error) {
	ports, err := lab.FreePorts(n)
	if err != nil {
		return nil, err
	}
	addresses := make([]string, n)
	for i, port := range ports {
		addresses[i] = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	}
	return addresses, nil
}
