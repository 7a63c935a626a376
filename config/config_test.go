package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func same(t *testing.T, want, have *Config) {
	t.Helper()
	if diff := cmp.Diff(want, have, cmpopts.IgnoreUnexported(Config{})); diff != "" {
		t.Fatalf("(-want +have)\n%s", diff)
	}
}

func full() *Config {
	return &Config{
		Asterisk: Asterisk{
			Application: "deflectd-a",
			Transport:   TransportNative,
			Nodes: []Node{
				{Name: "pbx1", URL: "http://127.0.0.1:8088/ari", Username: "deflectd", Password: "secret1"},
				{Name: "pbx2", URL: "http://127.0.0.2:8088/ari", Username: "deflectd", Password: "secret4"},
			},
			CommandTimeout: 1500 * time.Millisecond,
		},
		Redis: Redis{URL: "rediss://user:secret2@redis.example.com:6380/3"},
		Admin: Admin{
			Listen: "[::1]:9000",
			Tokens: []Token{{Name: "ops", Role: RoleAdmin, Hash: Secret(HashToken("test"))}},
			Pprof:  true,
		},
		Public: Public{Listen: ":9001", URL: "https://txt.example.com"},
		SMS: SMS{
			Provider: ProviderMessageBird, Originator: "+18005550100",
			TextsPerSecond: 10,
			Replies:        Replies{Stopped: "Stopped.", Help: "Call us."},
			MessageBird: MessageBird{
				AccessKey: "secret3", SigningKey: "secret5",
				URL: "https://rest.example.com", NumbersURL: "https://numbers.example.com/v1",
			},
		},
		Numbers: Numbers{Region: "NO", Countries: []string{"NO", "US"}, Own: []string{"+18005550100", "+4722225555"}},
		Calls:   Calls{Max: 10},
		Limits: Limits{
			Cooldown: 30 * time.Minute, PerPrefixPerHour: 50, SegmentsPerDay: 500, SurgeCalls: 7, Suppression: 14 * day,
			MarketingHours: "09:00-20:00", Lookup: 100 * time.Millisecond,
		},
		Retention: Retention{Messages: 30 * day, Calls: 36 * time.Hour},
		Log:       Log{Level: "debug", Format: "json"},
	}
}

func TestLoad(t *testing.T) {
	c, err := Load("testdata/full.yaml", []string{"PATH=/bin", "DEFLECTD_CONFIG=x"})
	require.NoError(t, err)
	same(t, full(), c)
}

func TestLoadErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/wrong-*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Load(file, nil)
			var problems *Error
			require.ErrorAs(t, err, &problems)
			require.Equal(t, file, problems.File)
			require.NotContains(t, err.Error(), "secret/with", "a password is shown")
			inStep(t, strings.TrimSuffix(file, ".yaml")+".golden", []byte(err.Error()+"\n"))
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), nil)
	var problems *Error
	require.ErrorAs(t, err, &problems)
	require.Contains(t, err.Error(), "absent.yaml: cannot be read: no such file or directory")

	_, err = Load(t.TempDir(), nil)
	require.ErrorAs(t, err, &problems)

	large := filepath.Join(t.TempDir(), "large.yaml")
	require.NoError(t, os.WriteFile(large, make([]byte, maxFile+1), 0o600))
	_, err = Load(large, nil)
	require.ErrorContains(t, err, "larger than")
}

// needs are the variables for everything that has no default.
func needs(more ...string) []string {
	return append([]string{
		`DEFLECTD_ASTERISK_NODES=[{"name": "pbx1", "url": "http://127.0.0.1:8088/ari", "username": "deflectd", "password": "secret"}]`,
		"DEFLECTD_PUBLIC_URL=https://txt.example.com",
		"DEFLECTD_SMS_PROVIDER=sandbox",
	}, more...)
}

func TestEnvironment(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	base := func(change func(*Config)) *Config {
		c := Default()
		c.Asterisk.Nodes = []Node{{Name: "pbx1", URL: "http://127.0.0.1:8088/ari", Username: "deflectd", Password: "secret"}}
		c.Public.URL = "https://txt.example.com"
		c.SMS.Provider = ProviderSandbox
		c.Numbers.Countries = []string{"US"}
		change(c)
		return c
	}
	tests := []struct {
		name   string
		vars   []string
		change func(*Config)
	}{
		{"nothing more", nil, func(*Config) {}},
		{"an empty variable is none", []string{"DEFLECTD_CALLS_MAX=", "DEFLECTD_REDIS_URL="}, func(*Config) {}},
		{"numbers, durations, booleans", []string{"DEFLECTD_CALLS_MAX=7", "DEFLECTD_RETENTION_CALLS=2d", "DEFLECTD_ADMIN_PPROF=true"}, func(c *Config) {
			c.Calls.Max, c.Retention.Calls, c.Admin.Pprof = 7, 2*day, true
		}},
		{"lists", []string{"DEFLECTD_NUMBERS_COUNTRIES=US, ca,", "DEFLECTD_NUMBERS_OWN=+18005550100"}, func(c *Config) {
			c.Numbers.Countries, c.Numbers.Own = []string{"US", "CA"}, []string{"+18005550100"}
		}},
		{"the home country where none is named", []string{"DEFLECTD_NUMBERS_REGION=de"}, func(c *Config) {
			c.Numbers.Region, c.Numbers.Countries = "DE", []string{"DE"}
		}},
		{"limits", []string{"DEFLECTD_LIMITS_COOLDOWN=0s", "DEFLECTD_LIMITS_SEGMENTS_PER_DAY=0", "DEFLECTD_SMS_TEXTS_PER_SECOND=5"}, func(c *Config) {
			c.Limits.Cooldown, c.Limits.SegmentsPerDay, c.SMS.TextsPerSecond = 0, 0, 5
		}},
		{"a value with = and #", []string{"DEFLECTD_REDIS_URL=redis://:a=b%23c@host:1/2?dial_timeout=3s"}, func(c *Config) {
			c.Redis.URL = "redis://:a=b%23c@host:1/2?dial_timeout=3s"
		}},
		{"a secret from a file", []string{"DEFLECTD_SMS_MESSAGEBIRD_ACCESS_KEY_FILE=" + file("key", "k e y\n"), "DEFLECTD_REDIS_URL_FILE=" + file("url", "unix:///run/redis.sock")}, func(c *Config) {
			c.SMS.MessageBird.AccessKey, c.Redis.URL = "k e y", "unix:///run/redis.sock"
		}},
		{"a token as JSON, with one for a first run", []string{
			`DEFLECTD_ADMIN_TOKENS=[{"name":"ops","role":"admin","hash":"` + HashToken("a") + `"}]`, "DEFLECTD_ADMIN_TOKEN=0123456789abcdef",
		}, func(c *Config) {
			c.Admin.Tokens = []Token{{"ops", RoleAdmin, Secret(HashToken("a"))}, {"first-run", RoleAdmin, Secret(HashToken("0123456789abcdef"))}}
		}},
		{"a node's secret from a file", []string{`DEFLECTD_ASTERISK_NODES=[{"name":"n","url":"http://h/ari","username":"u","password_file":"` + file("p", "pw\r\n") + `"}]`}, func(c *Config) {
			c.Asterisk.Nodes = []Node{{"n", "http://h/ari", "u", "pw"}}
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Load("", needs(test.vars...))
			require.NoError(t, err)
			same(t, base(test.change), c)
		})
	}

	t.Run("over the file", func(t *testing.T) {
		c, err := Load("testdata/full.yaml", []string{"DEFLECTD_LOG_LEVEL=warn", "DEFLECTD_NUMBERS_OWN=+18005550199"})
		require.NoError(t, err)
		want := full()
		want.Log.Level, want.Numbers.Own = "warn", []string{"+18005550199"}
		same(t, want, c)
	})
}

// A service that is called deflectd is common, and no reason not to start.
func TestVariablesOfAClusterArePassedOver(t *testing.T) {
	_, err := Load("", needs(
		"DEFLECTD_SERVICE_HOST=10.43.0.7", "DEFLECTD_SERVICE_PORT=8080", "DEFLECTD_SERVICE_PORT_HTTP_ADMIN=8080",
		"DEFLECTD_PORT=tcp://10.43.0.7:8080", "DEFLECTD_PORT_8080_TCP=tcp://10.43.0.7:8080",
		"DEFLECTD_PORT_8080_TCP_PROTO=tcp", "DEFLECTD_PORT_8080_TCP_PORT=8080", "DEFLECTD_PORT_8080_TCP_ADDR=10.43.0.7",
		"DEFLECTD_PUBLIC_SERVICE_HOST=fd00::7", "DEFLECTD_PUBLIC_PORT_8081_TCP=tcp://[fd00::7]:8081",
	))
	require.NoError(t, err)
}

func TestEnvironmentErrors(t *testing.T) {
	tests := []struct{ name, variable, want string }{
		{"typo", "DEFLECTD_REDIS_ULR=x", "DEFLECTD_REDIS_ULR: unknown variable; was DEFLECTD_REDIS_URL meant?"},
		{"hours", "DEFLECTD_LIMITS_MARKETING_HOURS=21:00-08:00", "DEFLECTD_LIMITS_MARKETING_HOURS: limits.marketing_hours: must be two times of the day, the earlier first, such as 08:00-21:00; 00:00-24:00 for the whole day"},
		{"no hours", "DEFLECTD_LIMITS_MARKETING_HOURS=always", "DEFLECTD_LIMITS_MARKETING_HOURS: limits.marketing_hours: must be two times of the day, the earlier first, such as 08:00-21:00; 00:00-24:00 for the whole day"},
		{"an hour there is not", "DEFLECTD_LIMITS_MARKETING_HOURS=08:00-25:00", "DEFLECTD_LIMITS_MARKETING_HOURS: limits.marketing_hours: must be two times of the day, the earlier first, such as 08:00-21:00; 00:00-24:00 for the whole day"},
		{"an unknown role", `DEFLECTD_ADMIN_TOKENS=[{"name":"x","role":"boss","hash":"` + HashToken("a") + `"}]`, "DEFLECTD_ADMIN_TOKENS: admin.tokens[0].role: must be one of viewer, editor, admin"},
		{"a name of two lines", `DEFLECTD_ADMIN_TOKENS=[{"name":"x\ny","role":"viewer","hash":"` + HashToken("a") + `"}]`, "DEFLECTD_ADMIN_TOKENS: admin.tokens[0].name: must be one line of at most 64 characters"},
		{"a port like a cluster's", "DEFLECTD_PORT=8080", "DEFLECTD_PORT: unknown variable"},
		{"another like it", "DEFLECTD_ADMIN_PORT=8080", "DEFLECTD_ADMIN_PORT: unknown variable; was DEFLECTD_ADMIN_PPROF meant?"},
		{"an address like a cluster's", "DEFLECTD_SERVICE_HOST=pbx.example.com", "DEFLECTD_SERVICE_HOST: unknown variable"},
		{"a path in the links", "DEFLECTD_PUBLIC_URL=https://example.com/txt/", "DEFLECTD_PUBLIC_URL: public.url: must not hold a path: the links are served at /CODE, and a path makes every text longer"},
		{"nothing like it", "DEFLECTD_WHATEVER_THIS_IS=x", "DEFLECTD_WHATEVER_THIS_IS: unknown variable"},
		{"unknown though empty", "DEFLECTD_WHATEVER_THIS_IS=", "DEFLECTD_WHATEVER_THIS_IS: unknown variable"},
		{"lower case is another word", "DEFLECTD_calls_max=1", "DEFLECTD_calls_max: unknown variable"},
		{"not a number", "DEFLECTD_CALLS_MAX=1e3", "DEFLECTD_CALLS_MAX: calls.max: must be a whole number"},
		{"too many", "DEFLECTD_CALLS_MAX=0", "DEFLECTD_CALLS_MAX: calls.max: must be from 1 to 1000000"},
		{"not JSON", "DEFLECTD_ADMIN_TOKENS=ops", `DEFLECTD_ADMIN_TOKENS: admin.tokens: must be a JSON list of objects: [{"name": "…", …}]`},
		{"unknown key in JSON", `DEFLECTD_ADMIN_TOKENS=[{"nam":"x","role":"admin","hash":"` + HashToken("a") + `","name":"x"}]`, "DEFLECTD_ADMIN_TOKENS: admin.tokens[0].nam: unknown key; here can be: hash, name, role"},
		{"no such file", "DEFLECTD_REDIS_URL_FILE=/nowhere/at/all", "DEFLECTD_REDIS_URL_FILE: redis.url_file: cannot read /nowhere/at/all: no such file or directory"},
		{"short token", "DEFLECTD_ADMIN_TOKEN=secret", "DEFLECTD_ADMIN_TOKEN: must have at least 16 characters; `deflectd token` makes a good one"},
		{"token that no header can carry", "DEFLECTD_ADMIN_TOKEN=0123456789 abcdef", "DEFLECTD_ADMIN_TOKEN: may hold only visible ASCII characters: it is sent in an HTTP header"},
		{"later", "DEFLECTD_ASTERISK_NATS=nats://h:4222", "DEFLECTD_ASTERISK_NATS: asterisk.nats: is not available yet; leave it out"},
		{"a limit below none", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY=-1", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY: limits.per_caller_per_day: must be from 0 to 1000000000"},
		{"a reply that is a book", "DEFLECTD_SMS_REPLIES_HELP=" + strings.Repeat("x", 321), "DEFLECTD_SMS_REPLIES_HELP: sms.replies.help: must be a text of at most 320 characters; empty for none"},
		{"a database of a Cluster", "DEFLECTD_REDIS_URL=redis://h:1,i:2/3", "DEFLECTD_REDIS_URL: redis.url: " + errRedisDatabase.Error()},
		{"secret not shown", "DEFLECTD_REDIS_URL=redis://:pa ss@h", "DEFLECTD_REDIS_URL: redis.url: " + errRedisURL.Error()},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Load("", needs(test.variable))
			require.EqualError(t, err, test.want)
		})
	}

	t.Run("both ways", func(t *testing.T) {
		_, err := Load("", needs("DEFLECTD_REDIS_URL=redis://h:1", "DEFLECTD_REDIS_URL_FILE=x"))
		require.EqualError(t, err, "DEFLECTD_REDIS_URL_FILE: is given beside DEFLECTD_REDIS_URL: only one can hold")
	})
	t.Run("nothing at all", func(t *testing.T) {
		_, err := Load("", nil)
		var problems *Error
		require.True(t, errors.As(err, &problems))
		require.Equal(t, []Problem{
			{Key: "asterisk.nodes", Message: "must name at least one Asterisk"},
			{Key: "public.url", Message: "must be set, such as https://txt.example.com"},
			{Key: "sms.messagebird.access_key", Message: "must be set, or access_key_file; sms.provider sandbox needs none"},
		}, problems.Problems)
	})
}

func TestVariablesAreUnambiguous(t *testing.T) {
	seen := map[string]string{adminTokenVariable: "the first token"}
	for _, s := range settings(Default()) {
		require.Empty(t, seen[s.variable()], "%s", s.key)
		seen[s.variable()] = s.key
	}
}

func TestSecretsAreNeverShown(t *testing.T) {
	c := full()
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("configuration", "config", c, "node", c.Asterisk.Nodes[0].Password)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("configuration", "config", c, "redis", c.Redis, "nodes", c.Asterisk.Nodes)
	shown := []string{
		c.String(), logged.String(),
		fmt.Sprint(c), fmt.Sprint(*c), fmt.Sprintf("%+v", *c), fmt.Sprintf("%#v", *c), fmt.Sprintf("%q %x", c.Asterisk.Nodes, c.Redis),
	}
	for _, s := range shown {
		require.NotRegexp(t, `secret[0-9]|7365637265743[0-9]`, s)
	}
	for _, s := range shown {
		require.NotContains(t, s, HashToken("test"), "a hash of what people made up can be reversed")
	}
	require.Contains(t, c.String(), "application: deflectd-a")
	require.Contains(t, logged.String(), "config.asterisk.application=deflectd-a")
	require.Empty(t, fmt.Sprint(Secret("")))
}

func TestStringCanBeLoaded(t *testing.T) {
	c := full()
	c.Redis.URL, c.Admin.Tokens = "", nil
	back, err := parse("", []byte(c.String()), []string{"DEFLECTD_REDIS_URL=redis://127.0.0.1:6379/0"})
	require.NoError(t, err)
	want := full()
	want.Asterisk.Nodes[0].Password, want.Asterisk.Nodes[1].Password = masked, masked
	want.Admin.Tokens = []Token{}
	want.SMS.MessageBird.AccessKey, want.SMS.MessageBird.SigningKey, want.Redis = masked, masked, Default().Redis
	same(t, want, back)
}

func TestWarnings(t *testing.T) {
	c, err := parse("f.yaml", []byte("public:\n  url: http://txt.example.com\nadmin:\n  listen: :8080\n"), needs()[:1:1])
	require.Error(t, err)
	require.Nil(t, c)
	c, err = parse("f.yaml", []byte("public:\n  url: http://txt.example.com\nadmin:\n  listen: :8080\n"), []string{needs()[0], needs()[2]})
	require.NoError(t, err)
	var lines []string
	for _, p := range c.Warnings() {
		lines = append(lines, p.describe("f.yaml"))
	}
	require.Equal(t, []string{
		"f.yaml:2: public.url: is not https: telephones warn of such links, and carriers reject some",
		"DEFLECTD_SMS_PROVIDER: sms.provider: sandbox sends no text to anybody",
		"f.yaml: sms.originator: there is none: nothing is offered or sent before a number was obtained (POST /v1/senders), but by campaigns that name a sender themselves",
		"f.yaml:3: admin.tokens: there is none, so nobody can use the API; `deflectd token` makes one",
		"f.yaml:4: admin.listen: is reachable from other machines, without TLS, and shows /metrics to them without a token",
	}, lines)
	require.Empty(t, full().Warnings())
}

func TestSeveralRedisAddressesAreACluster(t *testing.T) {
	o, err := Redis{URL: "rediss://user:p,a@ss@one.example.com,two.example.com:6380"}.Options()
	require.NoError(t, err)
	require.Equal(t, []string{"one.example.com:6379", "two.example.com:6380"}, o.Cluster)
	require.Equal(t, "user", o.Username)
	require.NotNil(t, o.TLSConfig)

	o, err = Redis{URL: "redis://127.0.0.1:6379/2"}.Options()
	require.NoError(t, err)
	require.Nil(t, o.Cluster)
	require.Equal(t, 2, o.DB)

	for _, wrong := range []string{"redis://h:1,i:x", "redis://,", "http://h:1,i:2", "h:1,i:2", "redis://h:1,i:2/1"} {
		_, err := Redis{URL: Secret(wrong)}.Options()
		require.Error(t, err, wrong)
		require.NotContains(t, err.Error(), wrong)
	}
}

func TestToken(t *testing.T) {
	secret, hash := NewToken()
	require.Regexp(t, `^dfl_[A-Za-z0-9_-]{43}$`, secret)
	require.True(t, wellFormedHash(hash))
	token := Token{Hash: Secret(hash)}
	require.True(t, token.Matches(secret))
	require.False(t, token.Matches(secret+"x"))
	require.False(t, token.Matches(""))
	require.False(t, Token{}.Matches(""))
	other, _ := NewToken()
	require.NotEqual(t, secret, other)
}

func TestDuration(t *testing.T) {
	tests := []struct {
		text string
		want time.Duration
		back string
	}{
		{"90s", 90 * time.Second, "1m30s"},
		{"72h", 72 * time.Hour, "72h"},
		{"90d", 90 * day, "90d"},
		{"1d12h", 36 * time.Hour, "36h"},
		{"0d", 0, "0s"},
		{"0", 0, "0s"},
		{"2h0m5s", 2*time.Hour + 5*time.Second, "2h0m5s"},
		{"15m", 15 * time.Minute, "15m"},
		{"250ms", 250 * time.Millisecond, "250ms"},
		{"106751d", 106751 * day, "106751d"},
	}
	for _, test := range tests {
		d, err := parseDuration(test.text)
		require.NoError(t, err, test.text)
		require.Equal(t, test.want, d, test.text)
		require.Equal(t, test.back, formatDuration(d))
	}
	for _, text := range []string{"", "d", "90", "-1s", "-1d", "1.5d", "106752d", "106751d99h", "1h1d", "1d-1h", "1dd", "9223372036854775807h", "1 h"} {
		_, err := parseDuration(text)
		require.ErrorIs(t, err, errDuration, text)
	}
}

// FuzzLoad looks for input that panics, is accepted without passing its own
// checks, or is refused without a reason.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data, "DEFLECTD_CALLS_MAX=1")
	}
	f.Add([]byte("a: &a [*a, *a]\nasterisk: {nodes: *a}"), "DEFLECTD_ADMIN_TOKENS=[{}]")
	f.Add([]byte("numbers: {own: [!!binary aGVsbG8=, ~, 1.5, 2026-01-01]}"), "DEFLECTD_NUMBERS_OWN=,,")
	f.Add([]byte("\xff\xfe"), "DEFLECTD_")
	f.Fuzz(func(t *testing.T, data []byte, variable string) {
		c, err := parse("fuzz.yaml", data, []string{variable})
		if err != nil {
			var problems *Error
			require.ErrorAs(t, err, &problems)
			require.NotEmpty(t, problems.Problems)
			for _, p := range problems.Problems {
				require.NotEmpty(t, p.Message)
			}
			return
		}
		require.Empty(t, c.check())
		require.NotEmpty(t, c.String())
	})
}

func TestMarketingHours(t *testing.T) {
	for text, want := range map[string][2]time.Duration{
		"08:00-21:00":   {8 * time.Hour, 21 * time.Hour},
		"09:30 - 20:15": {9*time.Hour + 30*time.Minute, 20*time.Hour + 15*time.Minute},
		"00:00-24:00":   {0, 24 * time.Hour},
	} {
		c, err := Load("", needs("DEFLECTD_LIMITS_MARKETING_HOURS="+text))
		require.NoError(t, err, text)
		from, to := c.Limits.Marketing()
		require.Equal(t, want, [2]time.Duration{from, to}, text)
	}
}

func TestVariablesOfTheCommandLineAreNoSettings(t *testing.T) {
	_, err := Load("", needs("DEFLECTD_URL=http://127.0.0.1:8080", "DEFLECTD_TOKEN=x", "DEFLECTD_TOKEN_FILE=/run/token", "DEFLECTD_CONFIG=x"))
	require.NoError(t, err)
}
