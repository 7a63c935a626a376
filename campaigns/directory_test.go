package campaigns

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"deflectd/deploy/lab/labtest"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// logs is what a part under test said.
type logs struct{ labtest.Log }

func (l *logs) count(s string) int { return strings.Count(l.String(), s) }

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// run runs a directory until the test ends.
func run(t *testing.T, rdb redis.UniversalClient, o DirectoryOptions) *Directory {
	t.Helper()
	if o.Region == "" {
		o.Region = "US"
	}
	d := NewDirectory(NewStore(rdb), o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return d
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	require.Eventually(t, what, time.Minute, 5*time.Millisecond)
}

// found is the id of the campaign that answers a number, or "".
func found(d *Directory, dnis string) string {
	if c := d.Lookup(dnis); c != nil {
		return c.ID
	}
	return ""
}

func TestLookup(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	off := sample("off", "+18005550101")
	off.Enabled = new(bool)
	for _, c := range []*Campaign{
		sample("exact", "+18005550100", "1234"), off, sample("prefix", "+1800*", "12*"),
		sample("longer", "+1800555*"), sample("london", "+44207*"), sample("gone", "+18885550100"),
	} {
		require.NoError(t, s.Create(t.Context(), c, "", ""))
	}
	require.NoError(t, s.Delete(t.Context(), "gone", Write{}))
	d := run(t, rdb, DirectoryOptions{})
	eventually(t, d.Ready)
	for dnis, want := range map[string]string{
		"+18005550100": "exact", "18005550100": "exact", "8005550100": "exact", "0018005550100": "exact",
		"01118005550100": "exact", "+1 (800) 555-0100": "exact", "sip:+18005550100@example.com": "exact",
		"1234": "exact", "12-34": "exact",
		"+18005550101": "off", "8005550101": "off",
		"+18005550102": "longer", "8005550102": "longer", "18005550102": "longer",
		"+18004440102": "prefix", "8004440102": "prefix", "1288": "prefix", "12": "prefix",
		"+442079460958": "london", "011442079460958": "london",
		"+18885550100": "", "+18005550": "", "99": "", "": "", "s": "", "+": "", "\xff": "", strings.Repeat("1", 200): "",
	} {
		require.Equal(t, want, found(d, dnis), "%q", dnis)
	}
	require.False(t, d.Lookup("+18005550101").IsEnabled())

	require.NoError(t, s.Create(t.Context(), sample("all", "*"), "", ""))
	eventually(t, func() bool { return found(d, "") == "all" })
	for dnis, want := range map[string]string{"s": "all", "+18885550100": "all", "+18005550100": "exact", "1288": "prefix"} {
		require.Equal(t, want, found(d, dnis), "%q", dnis)
	}
}

func TestOwn(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.NoError(t, s.Create(t.Context(), sample("a", "+18005550100", "+1415*"), "", ""))
	off := sample("off", "+18005550101")
	off.Enabled = new(bool)
	require.NoError(t, s.Create(t.Context(), off, "", ""))
	o := DirectoryOptions{Own: []string{"+18005550102", "8005550103", "nonsense"}}
	require.False(t, NewDirectory(s, o).Own("+18005550102"), "it has read nothing yet")
	d := run(t, rdb, o)
	eventually(t, d.Ready)
	for number, want := range map[string]bool{
		"+18005550100": true, "+18005550101": true, "+18005550102": true, "+18005550103": true,
		"+14155550132": false, "+1415*": false, "": false,
	} {
		require.Equal(t, want, d.Own(number), number)
	}
}

// A change is known at once, through a notice; also the service switch.
func TestChangesAreNoticed(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.False(t, NewDirectory(s, DirectoryOptions{}).ServiceOn(), "it has read nothing yet")
	d := run(t, rdb, DirectoryOptions{Refresh: time.Hour})
	eventually(t, d.Ready)
	require.True(t, d.ServiceOn())
	// Ready does not mean subscribed: the first change is made until it is noticed.
	eventually(t, func() bool {
		require.NoError(t, s.SetService(t.Context(), false))
		return !d.ServiceOn()
	})
	require.NoError(t, s.SetService(t.Context(), true))
	eventually(t, d.ServiceOn)

	c := sample("a", "+18005550100")
	require.NoError(t, s.Create(t.Context(), c, "", ""))
	eventually(t, func() bool { return found(d, "+18005550100") == "a" })
	before := d.Lookup("+18005550100")
	c.DNIS = []string{"+18005550101"}
	require.NoError(t, s.Replace(t.Context(), c, Write{Version: 1}))
	eventually(t, func() bool { return found(d, "+18005550101") == "a" })
	require.Empty(t, found(d, "+18005550100"))
	require.Equal(t, []string{"+18005550100"}, before.DNIS, "who has a campaign keeps it as it was")
	require.NoError(t, s.Delete(t.Context(), "a", Write{}))
	eventually(t, func() bool { return found(d, "+18005550101") == "" })
}

// Notices are but hints: what they miss is read all the same.
func TestEverythingIsReadNowAndThen(t *testing.T) {
	rdb := connect(t)
	d := run(t, rdb, DirectoryOptions{Refresh: 20 * time.Millisecond})
	eventually(t, d.Ready)
	body, err := encode(sample("a", "+18005550100"))
	require.NoError(t, err)
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "a", "1 1 1 0 ab\n"+string(body)).Err())
	eventually(t, func() bool { return found(d, "+18005550100") == "a" })
	// What did not change is not read anew.
	same, loaded := d.Lookup("+18005550100"), d.loadedAt()
	eventually(t, func() bool { return d.loadedAt() > loaded })
	require.Same(t, same, d.Lookup("+18005550100"))
}

// Changes in an endless row do not keep the directory from reading.
func TestNoticesDoNotStarve(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	d := run(t, rdb, DirectoryOptions{Refresh: time.Hour})
	eventually(t, d.Ready)
	require.NoError(t, s.Create(t.Context(), sample("a", "+18005550100"), "", ""))
	eventually(t, func() bool {
		_ = rdb.Publish(t.Context(), keyNotices, "").Err()
		return found(d, "+18005550100") == "a"
	})
}

func TestDirectorySurvivesWithoutRedis(t *testing.T) {
	s := NewStore(connect(t))
	rdb := labtest.Dial(t, server, time.Second) // it is to notice that Redis is frozen
	require.NoError(t, s.Create(t.Context(), sample("a", "+18005550100"), "", ""))
	said := new(logs)
	d := run(t, rdb, DirectoryOptions{Refresh: 20 * time.Millisecond, Logger: said.logger()})
	eventually(t, d.Ready)

	require.NoError(t, server.Freeze())
	eventually(t, func() bool { return said.count("going on with what is in memory") == 1 })
	require.Equal(t, "a", found(d, "+18005550100"))
	require.True(t, d.Ready())
	require.NoError(t, server.Thaw())
	eventually(t, func() bool { return said.count("can be read again") == 1 })

	require.NoError(t, server.Kill())
	eventually(t, func() bool { return said.count("going on with what is in memory") == 2 })
	require.Equal(t, "a", found(d, "+18005550100"))
	require.NoError(t, server.Restart(t.Context()))
	eventually(t, func() bool { return said.count("can be read again") == 2 })
	require.Equal(t, 4, strings.Count(said.String(), "\n"), "said once each, not every time")
	require.Empty(t, found(d, "+18005550100"), "this Redis came back empty")

	// Notices come again too.
	require.NoError(t, s.Create(t.Context(), sample("b", "+18005550101"), "", ""))
	eventually(t, func() bool { return found(d, "+18005550101") == "b" })
}

func TestDirectoryWaitsForItsFirstRead(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	said := new(logs)
	d := run(t, rdb, DirectoryOptions{Logger: said.logger()})
	eventually(t, func() bool { return said.count("cannot be read") == 1 })
	require.False(t, d.Ready())
	require.False(t, d.ServiceOn())
	require.False(t, d.Own("+18005550100"))
	require.Nil(t, d.Lookup("+18005550100"))
	require.Zero(t, d.loadedAt())
	require.Zero(t, d.count())
}

// One record that cannot be understood must not cost the others.
func TestDirectoryLeavesOutWhatItCannotUnderstand(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.NoError(t, s.Create(t.Context(), sample("good", "+18005550101"), "", ""))
	require.NoError(t, rdb.HSet(t.Context(), keyCampaigns, "broken", "nonsense").Err())
	putNewer(t, rdb)
	said := new(logs)
	d := run(t, rdb, DirectoryOptions{Refresh: 10 * time.Millisecond, Logger: said.logger()})
	eventually(t, d.Ready)
	require.Equal(t, "good", found(d, "+18005550101"))
	require.Equal(t, "a", found(d, "+18005550100"))
	require.False(t, d.Lookup("+18005550100").IsEnabled(), "what it does not know may forbid the text")
	loaded := d.loadedAt()
	eventually(t, func() bool { return d.loadedAt() > loaded })
	require.Equal(t, 1, said.count("campaign=broken"))
	require.Equal(t, 1, said.count("campaign=a"))
}

func TestDirectoryMetrics(t *testing.T) {
	rdb := connect(t)
	s := NewStore(rdb)
	require.NoError(t, s.Create(t.Context(), sample("a", "1"), "", ""))
	require.NoError(t, s.Create(t.Context(), sample("gone", "2"), "", ""))
	require.NoError(t, s.Delete(t.Context(), "gone", Write{}))
	reg := prometheus.NewPedanticRegistry()
	d := run(t, rdb, DirectoryOptions{Registerer: reg})
	eventually(t, d.Ready)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP deflectd_campaigns Campaigns in memory, disabled ones included.
# TYPE deflectd_campaigns gauge
deflectd_campaigns 1
`), "deflectd_campaigns"))
	require.InDelta(t, float64(time.Now().Unix()), d.loadedAt(), 60)
}

// many is a directory of n campaigns.
func many(tb testing.TB, n int) *Directory {
	raw := make(map[string]string)
	add := func(c *Campaign) {
		body, err := encode(c)
		require.NoError(tb, err)
		raw[c.ID] = "1 1 1 0 ab\n" + string(body)
	}
	for i := range n {
		add(sample(fmt.Sprintf("c%d", i), fmt.Sprintf("+1800555%04d", i)))
	}
	add(sample("prefix", "+1888*", "+18885*", "+44*"))
	add(sample("all", "*"))
	d := NewDirectory(NewStore(nil), DirectoryOptions{Region: "US"})
	d.now.Store(d.build(tb.Context(), time.Now(), raw, true))
	return d
}

func BenchmarkLookup(b *testing.B) {
	d := many(b, 10_000)
	for _, c := range []struct{ name, dnis string }{
		{"exact", "+18005551234"},
		{"spelling", "8005551234"},
		{"unusual spelling", "+1 800 555 1234"},
		{"prefix", "+18885551234"},
		{"prefix national", "8885551234"},
		{"catch-all", "+19005551234"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d.Lookup(c.dnis) == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkRefresh(b *testing.B) {
	d := many(b, 10_000)
	raw := make(map[string]string)
	for id, e := range d.now.Load().entries {
		raw[id] = e.raw
	}
	b.Run("unchanged", func(b *testing.B) {
		for b.Loop() {
			d.now.Store(d.build(b.Context(), time.Now(), raw, true))
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			d.now.Store(nil)
			d.now.Store(d.build(b.Context(), time.Now(), raw, true))
		}
	})
}

// A look-up by a number that is written as a trunk usually does allocates
// nothing.
func TestLookupAllocatesNothing(t *testing.T) {
	d := many(t, 2000) // as many as answer the numbers looked up
	for _, dnis := range []string{"+18005551234", "18005551234", "8005551234", "0018005551234", "+18885551234", "+19005551234", "1234"} {
		require.Zero(t, testing.AllocsPerRun(100, func() { d.Lookup(dnis) }), dnis)
	}
}
