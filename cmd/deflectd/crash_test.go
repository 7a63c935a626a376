package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns"
	"deflectd/deploy/lab"
)

// The crash test (make crash; a short one is among all tests): texts are asked
// for over the API while the real program is killed (kill -9) at random moments,
// Redis is killed now and then, and the provider does everything that a provider
// does wrong. In the end every text is accounted for, as crash_audit_test.go
// says.
var (
	crashKills = flag.Int("kills", 15, "how often the crash test kills deflectd")
	crashTexts = flag.Int("texts", 150, "for how many texts the crash test asks")
	crashSeed  = flag.Uint64("seed", 0, "what the crash test's random numbers begin with; 0 for another each time")
)

const (
	// clients ask for texts at the same time.
	clients = 24
	// restartEvery so many kills Redis is killed as well.
	restartEvery = 10
	// leased is for how long a text is left alone at least after its worker was
	// last heard of (message.Options.Lease), less what clocks round off.
	leased = 29 * time.Second
)

// noLimits lets one test text as many numbers of one range as it likes.
var noLimits = []string{
	"DEFLECTD_LIMITS_COOLDOWN=0s", "DEFLECTD_LIMITS_PER_CALLER_PER_DAY=0", "DEFLECTD_LIMITS_PER_PREFIX_PER_HOUR=0",
	"DEFLECTD_LIMITS_SEGMENTS_PER_DAY=0", "DEFLECTD_LIMITS_SURGE_CALLS=0", "DEFLECTD_LIMITS_SUPPRESSION=0s",
}

// crash is a run of the crash test.
type crash struct {
	*world
	daemon string // the program
	log    string // the file with what all of its lives printed
	random *rand.Rand
	moody  *moodyProvider
	asking *asking
	// What a text may be of: one campaign drops what is unknown, the other sends
	// it once more. That takes a minute, so only a long run has some of the other.
	drops, resends campaigns.Campaign
	long           bool

	// alive is how long a deflectd lives at most: some of the time that it needs
	// to start, in which it is killed too, and some to work.
	alive           time.Duration
	killed          []time.Time
	kills, restarts int
}

func TestKilledAnytime(t *testing.T) {
	t.Parallel()
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("the seed is %d", seed)
	began := time.Now()
	c := &crash{
		world:  newWorld(t, worldOptions{redis: durable, environ: noLimits}),
		random: rand.New(rand.NewPCG(seed, 0)), long: *crashKills >= 100,
	}
	c.daemon, c.log = c.buildDaemon(t), filepath.Join(t.TempDir(), "deflectd.log")
	started := time.Now()
	d := c.start(t)
	c.awaitReady(t, d.Done(), d.Tail)
	c.alive = min(2200*time.Millisecond, 500*time.Millisecond+3*time.Since(started))
	c.drops = c.campaign(t, lasting)
	c.resends = c.campaign(t, lasting, func(c *campaigns.Campaign) { c.OnUnknown = campaigns.OnUnknownResend })
	c.moody = newMoodyProvider(t, c.provider, seed)
	c.asking = c.beginAsking(t, *crashTexts, seed)

	for c.kills < *crashKills {
		c.asking.allow(*crashTexts * (c.kills + 1) / *crashKills)
		c.liveAwhile(t)
		require.NoError(t, d.Kill())
		c.killed = append(c.killed, time.Now())
		c.kills++
		d = c.start(t)
	}
	c.asking.end(t)
	eventuallyWithin(t, time.Minute, func() error { return c.readyz(t, http.StatusOK, "") })
	t.Logf("after %.0f s all texts are promised; now the leases of the dead run out", time.Since(began).Seconds())
	c.audit(t)
	t.Logf("it took %.0f s", time.Since(began).Seconds())
}

// lasting is a campaign whose texts stay valid for the whole test.
func lasting(c *campaigns.Campaign) { c.Validity = campaigns.Duration(time.Hour) }

// buildDaemon builds the program to be killed: with the race detector, which a
// long run has no time for.
func (c *crash) buildDaemon(t *testing.T) string {
	t.Helper()
	if !c.long {
		path, err := program.build(t.Context())
		require.NoError(t, err)
		return path
	}
	path := filepath.Join(t.TempDir(), "deflectd")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// start runs the program and does not wait for anything.
func (c *crash) start(t *testing.T) *lab.Program {
	t.Helper()
	d, err := lab.StartProgram("deflectd", c.log, c.environ, c.daemon, "serve")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.Kill()) })
	return d
}

// liveAwhile waits for a random moment; before some of them Redis is killed, and
// is back after a while.
func (c *crash) liveAwhile(t *testing.T) {
	t.Helper()
	if c.kills%restartEvery == restartEvery/2 {
		time.Sleep(upTo(c.random, c.alive))
		require.NoError(t, c.redis.Kill())
		time.Sleep(upTo(c.random, c.alive/4))
		require.NoError(t, c.redis.Restart(t.Context()))
		c.restarts++
	}
	time.Sleep(upTo(c.random, c.alive))
}

// aNumber finds the numbers that the crash test texts.
var aNumber = regexp.MustCompile(`1?415[0-9]{7}`)

// recipient is the number of the nth text: a valid one of the US.
func recipient(n int) string { return fmt.Sprintf("+14155%06d", n) }
