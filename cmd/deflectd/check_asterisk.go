package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"deflectd/config"
)

// maxAnswer bounds what is read of an answer, in bytes; the list of all
// modules of a full Asterisk is about 60 kB.
const maxAnswer = 4 << 20

// The modules without which a call cannot be taken: those of ARI and Stasis,
// and those of the functions the dialplan in deploy/asterisk uses.
var neededModules = []string{
	"app_stasis.so", "res_stasis.so", "res_stasis_answer.so", "res_stasis_playback.so",
	"res_ari_applications.so", "res_ari_asterisk.so", "res_ari_channels.so", "res_ari_events.so", "res_ari_playbacks.so",
	"func_callerid.so", "func_dialplan.so", "func_logic.so", "func_strings.so", "func_timeout.so",
}

// defaultPrompt is one of the prompts that come with deflectd.
const defaultPrompt = "deflectd/offer"

// ariProbe asks one Asterisk. It opens no websocket: of two connections with
// one application name Asterisk keeps the newer, which would cut off a daemon
// that is running.
type ariProbe struct {
	node   config.Node
	client *http.Client
}

// ask sends one request and reads a JSON answer into answer, if it is 200.
func (p ariProbe) ask(ctx context.Context, method, path string, answer any) (status int, err error) {
	request, err := http.NewRequestWithContext(ctx, method, p.node.URL+path, nil)
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(p.node.Username, p.node.Password.Reveal())
	response, err := p.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body := io.LimitReader(response.Body, maxAnswer)
	if response.StatusCode != http.StatusOK || answer == nil {
		_, err = io.Copy(io.Discard, body)
		return response.StatusCode, err
	}
	if err := json.NewDecoder(body).Decode(answer); err != nil {
		return response.StatusCode, fmt.Errorf("the answer is not ARI's: %w", err)
	}
	return response.StatusCode, nil
}

// checkAsterisk asks one node for its version, whether its user may write,
// whether the application is taken, and for the modules and prompts needed.
func checkAsterisk(ctx context.Context, node config.Node, application string) []finding {
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	p := ariProbe{node, &http.Client{Transport: transport}}
	item := "asterisk " + node.Name

	var info struct {
		System struct {
			Version string `json:"version"`
		} `json:"system"`
	}
	status, err := p.ask(ctx, http.MethodGet, "/asterisk/info", &info)
	if status != http.StatusOK || err != nil {
		return []finding{unreachable(item, node, status, err)}
	}
	findings := []finding{{fine, item, fmt.Sprintf("Asterisk %s at %s", info.System.Version, node.URL), ""}}
	for _, next := range []func(context.Context, string) (finding, error){
		p.mayWrite,
		func(ctx context.Context, item string) (finding, error) { return p.application(ctx, item, application) },
		p.modules,
		p.prompts,
	} {
		f, err := next(ctx, item)
		if err != nil {
			return append(findings, finding{failed, item, cause(err).Error(), "look at Asterisk's log"})
		}
		findings = append(findings, f)
	}
	return findings
}

// unreachable says why the first question got no answer.
func unreachable(item string, node config.Node, status int, err error) finding {
	switch {
	case err != nil && status == 0:
		return finding{
			failed, item, fmt.Sprintf("%s: %v", node.URL, cause(err)),
			"is Asterisk running there, and enabled=yes with this address and port in http.conf?",
		}
	case err != nil:
		return finding{failed, item, fmt.Sprintf("%s: %v", node.URL, cause(err)), "is this Asterisk's ARI?"}
	case status == http.StatusUnauthorized:
		return finding{
			failed, item, fmt.Sprintf("%s refuses the user %s", node.URL, node.Username),
			"compare username and password with ari.conf",
		}
	case status == http.StatusNotFound:
		return finding{
			failed, item, node.URL + " has no ARI",
			"the URL ends in /ari (after the prefix of http.conf), ari.conf says enabled=yes, and res_ari_asterisk.so is loaded",
		}
	default:
		return finding{failed, item, fmt.Sprintf("%s answers %d", node.URL, status), "look at Asterisk's log"}
	}
}

// mayWrite tries a command on a playback that does not exist: Asterisk refuses
// a user that is read_only before it looks for the playback.
func (p ariProbe) mayWrite(ctx context.Context, item string) (finding, error) {
	status, err := p.ask(ctx, http.MethodDelete, "/playbacks/deflectd-check", nil)
	if err != nil {
		return finding{}, fmt.Errorf("trying a command: %w", err)
	}
	if status == http.StatusForbidden {
		return finding{failed, item, p.node.Username + " may only read", "set read_only=no for this user in ari.conf"}, nil
	}
	return finding{fine, item, p.node.Username + " may give commands", ""}, nil
}

// application says whether a daemon is connected under this name.
func (p ariProbe) application(ctx context.Context, item, name string) (finding, error) {
	status, err := p.ask(ctx, http.MethodGet, "/applications/"+url.PathEscape(name), nil)
	if err != nil {
		return finding{}, fmt.Errorf("asking for the application: %w", err)
	}
	switch status {
	case http.StatusOK:
		return finding{fine, item, "application " + name + ": a daemon is connected", ""}, nil
	case http.StatusNotFound:
		return finding{fine, item, "application " + name + ": free, no daemon is connected", ""}, nil
	default:
		return finding{
			failed, item, fmt.Sprintf("application %s: Asterisk answers %d", name, status),
			"is res_ari_applications.so loaded?",
		}, nil
	}
}

// modules looks for those that are not running.
func (p ariProbe) modules(ctx context.Context, item string) (finding, error) {
	var modules []struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	}
	status, err := p.ask(ctx, http.MethodGet, "/asterisk/modules", &modules)
	if err != nil {
		return finding{}, fmt.Errorf("asking for the modules: %w", err)
	}
	if status != http.StatusOK {
		return finding{warning, item, fmt.Sprintf("modules: Asterisk answers %d", status), "see that these are loaded: " + strings.Join(neededModules, " ")}, nil
	}
	running := map[string]bool{}
	for _, m := range modules {
		running[m.Name] = m.Status == "Running"
	}
	var missing []string
	for _, name := range neededModules {
		if !running[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return finding{
			failed, item, "modules not running: " + strings.Join(missing, " "),
			"load them in modules.conf (load = " + missing[0] + "); deploy/asterisk/modules.conf has them all",
		}, nil
	}
	return finding{fine, item, "modules: all needed are running", ""}, nil
}

// prompts looks for one of the prompts that come with deflectd; it can be seen
// only through res_ari_sounds.so, which nothing else needs.
func (p ariProbe) prompts(ctx context.Context, item string) (finding, error) {
	status, err := p.ask(ctx, http.MethodGet, "/sounds/"+url.PathEscape(defaultPrompt), nil)
	if err != nil {
		return finding{}, fmt.Errorf("asking for a prompt: %w", err)
	}
	if status != http.StatusOK {
		return finding{
			warning, item, "the prompt sound:" + defaultPrompt + " is not there, or res_ari_sounds.so is not loaded",
			"copy the prompts of deploy/asterisk/sounds into Asterisk's sounds/en, or name others in every campaign",
		}, nil
	}
	return finding{fine, item, "the default prompts are there", ""}, nil
}
