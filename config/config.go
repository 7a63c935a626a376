// Package config is the one typed configuration of deflectd: its defaults, the
// file, the environment, the secrets in files, and all the checks that need
// nothing but the configuration itself.
//
// The comments of the fields below are also the text of deploy/deflectd.yaml
// and docs/configuration.md, which are generated from them.
package config

import "time"

// Config is everything that can be set. The zero value is not usable: Load
// and Default start from the defaults.
//
// A field with the tag later:"true" has its place but no behaviour yet, so
// anything but its zero value is refused: nothing is accepted and then ignored.
type Config struct {
	// The telephone switches whose calls are taken.
	Asterisk Asterisk `yaml:"asterisk"`
	// Where campaigns, texts and records are kept: a Redis 7.0 or newer, or what is compatible with it.
	Redis Redis `yaml:"redis"`
	// The listener for people and machines of the house: the API (with a token), and without one /metrics, /healthz and /readyz.
	Admin Admin `yaml:"admin"`
	// The listener for the internet: short links and provider webhooks, nothing else.
	Public Public `yaml:"public"`
	// Who carries the texts.
	SMS SMS `yaml:"sms"`
	// How telephone numbers are read, and which may be texted.
	Numbers Numbers `yaml:"numbers"`
	// Live calls.
	Calls Calls `yaml:"calls"`
	// Limits over all campaigns; 0 means none.
	Limits Limits `yaml:"limits"`
	// How long is kept what became of texts and calls.
	Retention Retention `yaml:"retention"`
	// Log lines, on the standard error.
	Log Log `yaml:"log"`

	file   string
	places map[string]place
}

// Transport says how the daemon reaches Asterisk.
type Transport string

// Transports. Only the native one is built.
const (
	TransportNative Transport = "native"
	TransportProxy  Transport = "proxy"
)

// Asterisk is the switches, and the application the dialplan hands calls to.
type Asterisk struct {
	// The name of the Stasis application, as the dialplan calls it. Two daemons on one Asterisk need a name each.
	Application string `yaml:"application"`
	// How Asterisk is reached. native: this daemon connects to each Asterisk by itself.
	Transport Transport `yaml:"transport"`
	// One entry for each Asterisk.
	Nodes []Node `yaml:"nodes"`
	// The NATS server of ari-proxy.
	NATS string `yaml:"nats" later:"true"`
	// How long Asterisk may take to answer one command.
	CommandTimeout time.Duration `yaml:"command_timeout"`
}

// Node is one Asterisk.
type Node struct {
	// What it is called in logs and metrics.
	Name string `yaml:"name"`
	// Its ARI, with the path.
	URL string `yaml:"url"`
	// The ARI user of ari.conf. It must not be read_only.
	Username string `yaml:"username"`
	// That user's password.
	Password Secret `yaml:"password"`
}

// Redis is the one store.
type Redis struct {
	// redis://[user:password@]host:port/db, rediss://… for TLS, or unix:///path/to/redis.sock?db=0. Several addresses, redis://host:port,host:port,…, are those of some nodes of one Cluster.
	URL Secret `yaml:"url"`
}

// Admin is the listener that the internet must not reach.
type Admin struct {
	// Address and port. Anything but a loopback address wants a proxy with TLS before it.
	Listen string `yaml:"listen"`
	// Who may use the API. `deflectd token` prints a token and the entry for this list, such as {name: ops, role: admin, hash: "sha256:…"}. For a first run DEFLECTD_ADMIN_TOKEN gives one admin token in plain text instead.
	Tokens []Token `yaml:"tokens"`
	// Serve Go's profiles under /debug/pprof/ too, with a token.
	Pprof bool `yaml:"pprof"`
}

// Public is the listener the internet reaches.
type Public struct {
	// Address and port.
	Listen string `yaml:"listen"`
	// What the short links begin with: how a telephone reaches this listener, usually through a proxy with TLS. No path; keep it short: it is part of every text.
	URL string `yaml:"url"`
}

// Provider is a carrier of texts.
type Provider string

// Providers.
const (
	ProviderMessageBird Provider = "messagebird"
	ProviderSandbox     Provider = "sandbox"
)

// SMS is who carries the texts, and in whose name.
type SMS struct {
	// messagebird, or sandbox: it sends nothing, keeps the texts and shows them, to try things out.
	Provider Provider `yaml:"provider"`
	// The sender where a campaign names none: at most 11 letters and digits with a letter among them, or a number of at most 17 digits. Left out, a number obtained over the API is taken; while there is none either, nothing is offered or sent.
	Originator string `yaml:"originator"`
	// How many texts a second leave from one sender at most, all daemons together; those beyond wait their turn. 0: as many as there are.
	TextsPerSecond int `yaml:"texts_per_second"`
	// What is answered to people who text back.
	Replies Replies `yaml:"replies"`
	// The account at MessageBird.
	MessageBird MessageBird `yaml:"messagebird"`
}

// Replies are the texts that answer people who text back. An empty one is not
// sent.
type Replies struct {
	// To STOP and its kin, once for each new opt-out.
	Stopped string `yaml:"stopped"`
	// To START, which takes it back.
	Started string `yaml:"started"`
	// To HELP, at most once an hour.
	Help string `yaml:"help"`
}

// MessageBird is the account there.
type MessageBird struct {
	// The access key of its REST API.
	AccessKey Secret `yaml:"access_key"`
	// The key that its webhooks are signed with: texts that people send back must be signed then. Without one, the secret part of the addresses has to do.
	SigningKey Secret `yaml:"signing_key"`
	// Where its REST API is.
	URL string `yaml:"url"`
	// Where its API of numbers is, which senders are obtained from.
	NumbersURL string `yaml:"numbers_url"`
}

// Numbers is how numbers are read and which may be texted.
type Numbers struct {
	// The country (ISO 3166, two letters) by which a number without + is read.
	Region string `yaml:"region"`
	// The countries that texts may go to; left out, the region alone.
	Countries []string `yaml:"countries"`
	// Our own numbers, never texted, besides every number a campaign answers.
	Own []string `yaml:"own"`
}

// Calls is about live calls.
type Calls struct {
	// Calls held at once; one more is passed on to the dialplan (overload).
	Max int `yaml:"max"`
	// When deflectd is told to stop: how long calls under way may go on. What is left then goes on in the dialplan.
	Drain time.Duration `yaml:"drain"`
}

// Limits is what a caller, a range of numbers and a day may cost, over all
// campaigns.
type Limits struct {
	// How long after a text the same caller gets no other of the same campaign, where the campaign says nothing.
	Cooldown time.Duration `yaml:"cooldown"`
	// Texts to one number in 24 hours.
	PerCallerPerDay int `yaml:"per_caller_per_day"`
	// Texts in an hour to one prefix, which is a number less its last four digits: who forges caller numbers to earn on the texts takes them from few ranges.
	PerPrefixPerHour int `yaml:"per_prefix_per_hour"`
	// Segments in 24 hours, which is what a day may cost. From four fifths of it on, deflectd_limit_alarm is 1.
	SegmentsPerDay int `yaml:"segments_per_day"`
	// So many calls of one number within ten minutes, if they are a fifth of all calls, mean that the trunk hides the callers' own numbers: that number is not texted while it lasts.
	SurgeCalls int `yaml:"surge_calls"`
	// How long a number is not texted after a text to it failed for good.
	Suppression time.Duration `yaml:"suppression"`
	// When texts of marketing campaigns may arrive, in the recipient's time: one that cannot tell where it is may not be texted so.
	MarketingHours string `yaml:"marketing_hours"`
	// How long the look at a caller's history may take, before the call is answered. Past that the call is let go (store_down).
	Lookup time.Duration `yaml:"lookup"`
}

// Retention is how long records are kept.
type Retention struct {
	// Texts, with the number and the wording.
	Messages time.Duration `yaml:"messages"`
	// Calls, with the number and the steps.
	Calls time.Duration `yaml:"calls"`
}

// Log is what is logged, and how.
type Log struct {
	// debug, info, warn or error.
	Level string `yaml:"level"`
	// text or json.
	Format string `yaml:"format"`
}

// Default is the configuration before anything is set. It is not complete:
// the Asterisk nodes, the public URL and the provider's account have no default.
func Default() *Config {
	return &Config{
		Asterisk: Asterisk{
			Application:    "deflectd",
			Transport:      TransportNative,
			CommandTimeout: 2 * time.Second,
		},
		Redis:  Redis{URL: "redis://127.0.0.1:6379/0"},
		Admin:  Admin{Listen: "127.0.0.1:8080"},
		Public: Public{Listen: "127.0.0.1:8081"},
		SMS: SMS{
			Provider: ProviderMessageBird,
			Replies: Replies{
				Stopped: "You will get no more texts from us. Reply START to get them again.",
				Started: "You will get our texts again. Reply STOP to end them.",
				Help:    "You got a text because you called us. Reply STOP to get no more.",
			},
			MessageBird: MessageBird{
				URL:        "https://rest.messagebird.com",
				NumbersURL: "https://numbers.messagebird.com/v1",
			},
		},
		Numbers: Numbers{Region: "US"},
		Calls:   Calls{Max: 2000, Drain: 3 * time.Second},
		Limits: Limits{
			Cooldown: time.Hour, PerCallerPerDay: 3, PerPrefixPerHour: 20, SegmentsPerDay: 10_000,
			SurgeCalls: 20, Suppression: 30 * day, MarketingHours: "08:00-21:00", Lookup: 200 * time.Millisecond,
		},
		Retention: Retention{Messages: 90 * day, Calls: 90 * day},
		Log:       Log{Level: "info", Format: "text"},
	}
}
