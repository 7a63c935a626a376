package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/config"
	"deflectd/deploy/lab"
)

// fakeARI answers as Asterisk 22 does; changes replace single answers, by
// "METHOD /path".
func fakeARI(t *testing.T, changes map[string]http.HandlerFunc) *httptest.Server {
	t.Helper()
	text := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	var modules []string
	for _, name := range neededModules {
		modules = append(modules, fmt.Sprintf(`{"name":%q,"status":"Running"}`, name))
	}
	answers := map[string]http.HandlerFunc{
		"GET /ari/asterisk/info":               text(200, `{"system":{"version":"22.10.1"}}`),
		"DELETE /ari/playbacks/deflectd-check": text(404, `{"message":"Playback not found"}`),
		"GET /ari/applications/deflectd":       text(404, `{"message":"Application not found"}`),
		"GET /ari/asterisk/modules":            text(200, "["+strings.Join(modules, ",")+"]"),
		"GET /ari/sounds/deflectd%2Foffer":     text(200, `{"id":"deflectd/offer"}`),
	}
	for key, handler := range changes {
		answers[key] = handler
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "deflectd" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		handler, ok := answers[r.Method+" "+r.URL.EscapedPath()]
		if !ok {
			handler = http.NotFound
		}
		handler(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// worst is the line that matters: the first that failed, else the first warning.
func worst(findings []finding) finding {
	found := findings[0]
	for _, f := range findings {
		if f.verdict == failed && found.verdict != failed || f.verdict == warning && found.verdict == fine {
			found = f
		}
	}
	return found
}

func TestCheckAsterisk(t *testing.T) {
	tests := []struct {
		name     string
		changes  map[string]http.HandlerFunc
		password config.Secret
		path     string
		verdict  verdict
		detail   string
	}{
		{"all well", nil, "secret", "/ari", fine, "Asterisk 22.10.1 at "},
		{"wrong password", nil, "guess", "/ari", failed, "refuses the user deflectd"},
		{"wrong path", nil, "secret", "/arj", failed, "/arj has no ARI"},
		{"not ARI", map[string]http.HandlerFunc{"GET /ari/asterisk/info": status(200)}, "secret", "/ari", failed, "the answer is not ARI's"},
		{"Asterisk is broken", map[string]http.HandlerFunc{"GET /ari/asterisk/info": status(500)}, "secret", "/ari", failed, "answers 500"},
		{"may only read", map[string]http.HandlerFunc{"DELETE /ari/playbacks/deflectd-check": status(403)}, "secret", "/ari", failed, "deflectd may only read"},
		{"no module for applications", map[string]http.HandlerFunc{"GET /ari/applications/deflectd": status(501)}, "secret", "/ari", failed, "Asterisk answers 501"},
		{"no prompts", map[string]http.HandlerFunc{"GET /ari/sounds/deflectd%2Foffer": status(404)}, "secret", "/ari", warning, "the prompt sound:deflectd/offer is not there"},
		{"a module is missing", map[string]http.HandlerFunc{"GET /ari/asterisk/modules": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[{"name":"app_stasis.so","status":"Running"},{"name":"func_dialplan.so","status":"Not Running"}]`)
		}}, "secret", "/ari", failed, "func_dialplan.so"},
		{"the connection is cut", map[string]http.HandlerFunc{"GET /ari/asterisk/modules": func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}}, "secret", "/ari", failed, "EOF"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := fakeARI(t, test.changes)
			findings := checkAsterisk(t.Context(), config.Node{Name: "pbx1", URL: server.URL + test.path, Username: "deflectd", Password: test.password}, "deflectd")
			f := worst(findings)
			require.Equal(t, test.verdict, f.verdict, findings)
			require.Contains(t, f.detail, test.detail)
			require.Equal(t, f.verdict == fine, f.advice == "", "whoever reads it must know what to do")
		})
	}

	t.Run("a daemon is connected", func(t *testing.T) {
		server := fakeARI(t, map[string]http.HandlerFunc{"GET /ari/applications/deflectd": status(200)})
		findings := checkAsterisk(t.Context(), config.Node{Name: "pbx1", URL: server.URL + "/ari", Username: "deflectd", Password: "secret"}, "deflectd")
		require.Equal(t, finding{fine, "asterisk pbx1", "application deflectd: a daemon is connected", ""}, findings[2])
	})
	t.Run("nobody is there", func(t *testing.T) {
		server := fakeARI(t, nil)
		server.Close()
		f := worst(checkAsterisk(t.Context(), config.Node{Name: "pbx1", URL: server.URL + "/ari"}, "deflectd"))
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "connection refused")
	})
	t.Run("it takes the question and never answers", func(t *testing.T) {
		server := fakeARI(t, map[string]http.HandlerFunc{"GET /ari/asterisk/info": func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
		}})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		f := worst(checkAsterisk(ctx, config.Node{Name: "pbx1", URL: server.URL + "/ari", Username: "deflectd", Password: "secret"}, "deflectd"))
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "no answer within 5s")
	})
}

// startRedis runs a real one for the test.
func startRedis(t *testing.T, args ...string) *lab.Redis {
	t.Helper()
	server, err := lab.StartRedis(t.Context(), t.TempDir(), args...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func TestCheckRedis(t *testing.T) {
	tests := []struct {
		name    string
		args    []string
		verdict verdict
		detail  string
	}{
		{"all well", []string{"--appendonly", "yes"}, fine, "Redis "},
		{"nothing is kept", []string{"--appendonly", "no"}, warning, "appendonly is off"},
		{"it drops what it is given", []string{"--appendonly", "yes", "--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"}, warning, "maxmemory-policy is allkeys-lru"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := startRedis(t, test.args...)
			f := worst(checkRedis(t.Context(), config.Redis{URL: config.Secret(server.URL())}))
			require.Equal(t, test.verdict, f.verdict, f)
			require.Contains(t, f.detail, test.detail)
		})
	}

	t.Run("it wants a password", func(t *testing.T) {
		server := startRedis(t)
		rdb, err := openRedis(config.Redis{URL: config.Secret(server.URL())})
		require.NoError(t, err)
		defer rdb.Close()
		require.NoError(t, rdb.Do(t.Context(), "CONFIG", "SET", "requirepass", "secret").Err())
		f := worst(checkRedis(t.Context(), config.Redis{URL: config.Secret(server.URL())}))
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "NOAUTH")
		require.Contains(t, f.advice, "password in redis.url")
	})
	t.Run("it must not be changed", func(t *testing.T) {
		server := startRedis(t, "--appendonly", "yes")
		rdb, err := openRedis(config.Redis{URL: config.Secret(server.URL())})
		require.NoError(t, err)
		defer rdb.Close()
		as := func(rules ...any) finding {
			require.NoError(t, rdb.Do(t.Context(), append([]any{"ACL", "SETUSER", "u", "reset", "on", ">pw"}, rules...)...).Err())
			url := strings.Replace(server.URL(), "redis://", "redis://u:pw@", 1)
			return worst(checkRedis(t.Context(), config.Redis{URL: config.Secret(url)}))
		}
		f := as("+@all", "~other:*", "&*")
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "cannot be written to: NOPERM")
		f = as("+@all", "-@scripting", "~{deflectd}:*", "&*")
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "runs no scripts: NOPERM")
		require.Equal(t, fine, as("+@all", "~{deflectd}:*", "&*").verdict)
		left, err := rdb.PTTL(t.Context(), "{deflectd}:check").Result()
		require.NoError(t, err)
		require.NotEqual(t, time.Duration(-1), left, "it goes by itself, if it has not gone already")
	})
	t.Run("nobody is there", func(t *testing.T) {
		f := worst(checkRedis(t.Context(), config.Redis{URL: "redis://:pass1234@127.0.0.1:1/2"}))
		require.Equal(t, failed, f.verdict)
		require.Contains(t, f.detail, "127.0.0.1:1, database 2: connect: connection refused")
		require.NotContains(t, f.detail, "pass1234")
	})
}

func TestJudgeRedis(t *testing.T) {
	good := "# Server\r\nredis_version:7.0.15\r\nrole:master\r\naof_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\ncluster_enabled:0\r\n"
	tests := []struct {
		name, extra string
		verdict     verdict
		detail      string
	}{
		{"good", "", fine, "Redis 7.0.15 at here"},
		{"replica", "role:slave", failed, "it is a replica"},
		{"old", "redis_version:6.2.14", failed, "it is older than Redis 7.0"},
		{"of an unknown age", "redis_version:", failed, "it is older than Redis 7.0"},
		{"another make", "redis_version:7.2.4\r\nserver_name:valkey", fine, "Redis 7.2.4 at here"},
		{"cluster", "cluster_enabled:1", failed, "a node of a Cluster"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := worst(judgeRedis("here", parseInfo(good+test.extra), false))
			require.Equal(t, test.verdict, f.verdict)
			require.Contains(t, f.detail, test.detail)
		})
	}
}

func TestCheckProvider(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		verdict    verdict
		detail     string
	}{
		{"prepaid", `{"payment":"prepaid","type":"credits","amount":9.2}`, 200, fine, "balance: prepaid, 9.20 credits"},
		{"postpaid", `{"payment":"postpaid","type":"euros","amount":0}`, 200, fine, "balance: postpaid, 0.00 euros"},
		{"empty", `{"payment":"prepaid","type":"credits","amount":0}`, 200, failed, "the account is empty"},
		{"refused", `{"errors":[{"code":2}]}`, 401, failed, "refuses the access key"},
		{"broken", `<html>`, 502, failed, "answers: status 502"},
		{"somebody else", `<html>`, 200, failed, "unreadable answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				require.Equal(t, "GET /balance", r.Method+" "+r.URL.Path)
				require.Equal(t, "AccessKey secret", r.Header.Get("Authorization"))
				w.WriteHeader(test.status)
				fmt.Fprint(w, test.body)
			}))
			defer server.Close()
			f := worst(checkProvider(t.Context(), config.SMS{
				Provider: config.ProviderMessageBird, MessageBird: config.MessageBird{AccessKey: "secret", URL: server.URL},
			}))
			require.Equal(t, test.verdict, f.verdict)
			require.Contains(t, f.detail, test.detail)
		})
	}

	f := worst(checkProvider(t.Context(), config.SMS{
		Provider: config.ProviderMessageBird, MessageBird: config.MessageBird{AccessKey: "secret", URL: "http://127.0.0.1:1"},
	}))
	require.Equal(t, failed, f.verdict)
	require.Contains(t, f.detail, "http://127.0.0.1:1: connect: connection refused")
	require.Equal(t, fine, worst(checkProvider(t.Context(), config.SMS{Provider: config.ProviderSandbox})).verdict)
}

func TestCheckPublicURL(t *testing.T) {
	for raw, want := range map[string]verdict{
		"https://192.0.2.1":              fine,
		"http://127.0.0.1:8081":          warning,
		"https://localhost/x":            warning,
		"https://no-such-name.invalid":   warning,
		"https://[2001:db8::1]:8443/txt": fine,
	} {
		findings := checkPublicURL(t.Context(), raw)
		require.Equal(t, want, findings[0].verdict, "%s: %v", raw, findings)
	}
}

// The whole command, with everything well but the listed warnings.
func TestCheckCommand(t *testing.T) {
	t.Setenv("DEFLECTD_CONFIG", "")
	ari := fakeARI(t, nil)
	redis := startRedis(t, "--appendonly", "yes")
	file := filepath.Join(t.TempDir(), "deflectd.yaml")
	write := func(url string) {
		require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, `
asterisk:
  nodes: [{name: pbx1, url: %q, username: deflectd, password: secret}]
redis: {url: %q}
admin:
  tokens: [{name: ops, role: admin, hash: %q}]
public: {url: "https://192.0.2.1"}
sms: {provider: sandbox, originator: "+18885550100"}
`, url, redis.URL(), config.HashToken("x")), 0o600))
	}
	write(ari.URL + "/ari/")
	code, stdout, stderr := run(t, nil, "check", "-c", file)
	require.Equal(t, exitDone, code, stdout+stderr)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "10 ok, 1 warnings, 0 failed")

	write(ari.URL)
	code, stdout, _ = run(t, nil, "check", "-c", file)
	require.Equal(t, exitFailed, code)
	require.Contains(t, stdout, "5 ok, 1 warnings, 1 failed")
}

func TestCheckSender(t *testing.T) {
	cfg := config.Default()
	cfg.Numbers.Countries = []string{"US", "GB", "CA"}
	cfg.SMS.Originator = "Acme"
	found := checkSender(cfg)
	require.Len(t, found, 2)
	require.Contains(t, found[0].detail, "US")
	require.Contains(t, found[1].detail, "CA")
	for _, arrives := range []string{"", "+18885550100", "12345"} {
		cfg.SMS.Originator = arrives
		require.Empty(t, checkSender(cfg))
	}
}

func TestPrintFindings(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, printFindings(&out, []finding{
		{fine, "configuration", "every setting can be read", ""},
		{failed, "asterisk pbx1", "no answer within 5s", "is Asterisk running there?"},
	}))
	require.Equal(t, `ok      configuration  every setting can be read
failed  asterisk pbx1  no answer within 5s
                       → is Asterisk running there?

1 ok, 0 warnings, 1 failed
`, out.String())
}
