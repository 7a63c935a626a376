package message

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"deflectd/campaigns"
	"deflectd/campaigns/guard"
	"deflectd/campaigns/optout"
	"deflectd/campaigns/phone"
	"deflectd/campaigns/sender"
)

// machine runs the scripts on one message beside the model.
type machine struct {
	t  *rapid.T
	o  *Outbox
	id string
	to string
	m  model

	past   []string // those that have held it
	before campaigns.Texts
}

// run runs a script on the message, once or, as a Redis client may, twice: that
// answers the same and changes nothing.
func (x *machine) run(s *redis.Script, keys []string, args ...any) reply {
	keys = append([]string{messageKey(x.id)}, keys...)
	return x.twice(s, keys, append([]any{x.id}, args...)...)
}

func (x *machine) twice(s *redis.Script, keys []string, args ...any) reply {
	answer, err := x.o.run(x.t.Context(), s, "test", keys, args...)
	require.NoError(x.t, err)
	if rapid.Bool().Draw(x.t, "twice") {
		before := x.facts()
		again, err := x.o.run(x.t.Context(), s, "test", keys, args...)
		require.NoError(x.t, err)
		assert.Equal(x.t, timeless(answer), timeless(again))
		assert.Equal(x.t, before, x.facts())
	}
	return answer
}

// timeless are the words of an answer: its numbers tell the time, mostly.
func timeless(r reply) (words []string) {
	for _, v := range r {
		switch v := v.(type) {
		case string:
			words = append(words, v)
		case []any:
			words = append(words, timeless(v)...)
		}
	}
	return words
}

// facts are all that Redis knows of the message.
func (x *machine) facts() map[string]string {
	ctx := x.t.Context()
	facts, err := x.o.rdb.HGetAll(ctx, messageKey(x.id)).Result()
	require.NoError(x.t, err)
	for _, key := range []string{outboxKey, listKey, queuedKey, doubtedKey} {
		facts[key] = fmt.Sprint(x.o.rdb.ZScore(ctx, key, x.id).Val())
	}
	facts["limits"] = fmt.Sprint(x.inLimits(), x.o.rdb.HGet(ctx, campaigns.Key("guard", "segments"), "sum").Val())
	facts["opted"] = fmt.Sprint(x.opted(), x.suppressed())
	return facts
}

func (x *machine) person() string { return campaigns.Pseudonym(secret, x.to) }

func (x *machine) inLimits() bool {
	return x.o.rdb.ZScore(x.t.Context(), campaigns.Key("guard", "caller", x.person()), "billing "+x.id).Err() == nil
}

func (x *machine) opted() bool {
	return x.o.rdb.Exists(x.t.Context(), campaigns.Key("optout", x.person())).Val() == 1
}

func (x *machine) suppressed() bool {
	return x.o.rdb.Exists(x.t.Context(), campaigns.Key("guard", "suppressed", x.person())).Val() == 1
}

// hand draws a worker: mostly the one that holds the message, with the attempt
// it should make or has made, else one that is mistaken: one of its past, or a
// stranger.
func (x *machine) hand(made int) (holder, attempt string) {
	holder = x.m.holder
	if holder == "" || rapid.IntRange(0, 3).Draw(x.t, "mistaken holder") == 0 {
		holder = rapid.SampledFrom(append(x.past, "somebody else")).Draw(x.t, "holder")
	}
	n := made
	if rapid.IntRange(0, 3).Draw(x.t, "mistaken attempt") == 0 {
		n = made + rapid.SampledFrom([]int{-1, 1, 7}).Draw(x.t, "off by")
	}
	return holder, strconv.Itoa(n)
}

func (x *machine) sending() {
	holder, attempt := x.hand(x.m.attempts + 1)
	off := rapid.IntRange(0, 5).Draw(x.t, "the service is off") == 0
	store := campaigns.NewStore(x.o.rdb)
	require.NoError(x.t, store.SetService(x.t.Context(), !off))
	answer := x.run(sendingScript, []string{campaigns.ServiceKey, rateKey("Acme")}, holder, attempt, 60_000, 0, 0)
	require.NoError(x.t, store.SetService(x.t.Context(), true))
	want := "lost"
	switch {
	case x.m.ended == holder && (x.m.state == Expired || x.m.state == Cancelled || x.m.state == Unknown):
		want = "ended"
	case holder != x.m.holder:
	case x.m.state == Sending && attempt == strconv.Itoa(x.m.attempts):
		want = "ok"
	case x.m.state != Queued:
	case x.m.late:
		want, x.m.ended = "ended", holder
		x.m.unsent(Expired)
	case off:
		want = "off"
	case x.m.opted, x.m.released:
		want, x.m.ended = "ended", holder
		x.m.unsent(Cancelled)
	default:
		want = "ok"
		x.m.state, x.m.attempts = Sending, number(attempt)
	}
	assert.Equal(x.t, want, answer.string(0))
}

func (x *machine) settle() {
	holder, attempt := x.hand(x.m.attempts)
	if attempt == "0" {
		return // the first is 1
	}
	to := rapid.SampledFrom([]State{Accepted, Failed, Unknown}).Draw(x.t, "to")
	reason := rapid.SampledFrom([]string{"rejected", ReasonOptedOut}).Draw(x.t, "reason")
	suppress := x.drawSuppression()
	if to != Failed {
		reason, suppress = "", 0
	}
	token := fmt.Sprint(holder, attempt, to, reason)
	enters := to
	if to == Failed && x.m.resent {
		enters = Unknown
	}
	mine := holder == x.m.holder && attempt == strconv.Itoa(x.m.attempts)
	rolledBack := holder == x.m.holder && x.m.state == Queued && attempt == strconv.Itoa(x.m.attempts+1)
	allowed := rolledBack || mine && (x.m.state == Sending || x.m.state == Unknown && enters != Unknown)
	repeated := mine && x.m.state == enters && x.m.settled == token
	id := ""
	if to == Accepted {
		id = "id"
	}
	answer := x.run(settleScript, nil, holder, attempt, string(to), reason, "scripted", id, suppress)
	assert.Equal(x.t, allowed || repeated, answer.string(0) == "ok")
	if !allowed {
		if !repeated && x.m.provider == "" && (attempt == strconv.Itoa(x.m.attempts) ||
			x.m.state == Queued && attempt == strconv.Itoa(x.m.attempts+1)) {
			x.m.provider = id
		}
		return
	}
	x.m.provider = id
	assert.Equal(x.t, string(enters), answer.string(2))
	x.learn(reason, suppress)
	x.m.attempts, x.m.settled, x.m.doubted = number(attempt), token, false
	switch to {
	case Failed:
		x.m.unsent(Failed)
	case Unknown:
		x.m.unknown()
	default:
		x.m.state, x.m.took = to, true
	}
}

// drawSuppression is for how long a failure keeps texts from the number (ms).
func (x *machine) drawSuppression() int {
	return rapid.SampledFrom([]int{0, 60_000}).Draw(x.t, "suppress")
}

func (x *machine) learn(reason string, suppress int) {
	if reason == ReasonOptedOut && !x.m.learnt && x.m.known {
		x.m.learnt, x.m.opted = true, true
	}
	if suppress > 0 && !x.m.forgotten {
		x.m.suppress = true
	}
}

func (x *machine) retry() {
	holder, attempt := x.hand(x.m.attempts)
	allowed := holder == x.m.holder && (x.m.state == Queued || x.m.state == Sending && attempt == strconv.Itoa(x.m.attempts))
	repeated := x.m.returned == holder && x.m.withdrawn && (x.m.state == Cancelled || x.m.state == Unknown)
	answer := x.run(retryScript, nil, holder, attempt, 60_000, "unavailable", "")
	switch {
	case repeated, allowed && x.m.withdrawn:
		assert.Equal(x.t, "cancelled", answer.string(0))
		if !repeated {
			x.m.returned = holder
			x.m.unsent(Cancelled)
		}
	case x.m.returned == holder && x.m.state == Queued && x.m.holder == "":
		assert.Equal(x.t, "ok", answer.string(0), "given back already")
	case allowed:
		assert.Equal(x.t, "ok", answer.string(0))
		x.m.state, x.m.holder, x.m.returned = Queued, "", holder
	default:
		assert.Equal(x.t, "lost", answer.string(0))
	}
}

func (x *machine) cancel() {
	state, err := x.o.Cancel(x.t.Context(), x.id)
	require.NoError(x.t, err)
	switch x.m.state {
	case Queued:
		x.m.unsent(Cancelled)
	case Sending:
		x.m.withdrawn = true
	case Unknown:
		x.m.withdrawn, x.m.doubted = true, false
	default:
	}
	assert.Equal(x.t, x.m.state, state)
}

func (x *machine) report() {
	to := rapid.SampledFrom([]State{Accepted, Delivered, Failed, Expired}).Draw(x.t, "to")
	reason := rapid.SampledFrom([]string{"", "absent", ReasonOptedOut}).Draw(x.t, "reason")
	suppress := x.drawSuppression()
	id := rapid.SampledFrom([]string{"id", "other"}).Draw(x.t, "provider's id")
	x.twice(reportScript, []string{messageKey(x.id)}, x.id, string(to), reason, id, x.o.unique(), suppress)
	x.learn(reason, suppress)
	mine := x.m.provider == id && !slices.Contains([]State{Queued, Sending}, x.m.state)
	if x.m.provider == "" && (!x.m.resent || to == Delivered) {
		x.m.provider = id
	}
	if x.m.resent && (to == Failed || to == Expired) && !mine {
		return
	}
	if !x.m.state.Final() && x.m.state != to {
		x.m.state, x.m.holder, x.m.doubted, x.m.took = to, "", false, true
		x.m.attempts = max(x.m.attempts, 1)
	}
}

// lapse lets the lease run out, or the time in which a report should have come,
// and another worker look for what is due.
func (x *machine) lapse() {
	ctx := x.t.Context()
	for _, key := range []string{outboxKey, listKey, doubtedKey} {
		require.NoError(x.t, x.o.rdb.ZAddXX(ctx, key, redis.Z{Score: 1, Member: x.id}).Err())
	}
	holder := x.o.unique()
	up := rapid.SampledFrom([]int{1, 1, 0}).Draw(x.t, "the provider is up")
	answer := x.twice(claimScript, claimKeys(holder), messagePrefix, ratePrefix, holder, 60_000, 5, 5, glance, 1000, up, 0, 0, 0)
	claimed, changed := answer.list(3), answer.list(4)
	var changes []State
	if x.m.doubted {
		x.m.doubted = false
		if !x.m.late {
			x.m.resent, x.m.resend = true, false
			x.m.state, x.m.holder = Queued, ""
			changes = append(changes, Queued)
		}
	}
	switch {
	case x.m.state == Sending:
		x.m.unknown()
		changes = append(changes, Unknown)
	case x.m.state != Queued:
	case x.m.late:
		x.m.unsent(Expired)
		changes = append(changes, x.m.state)
	case up == 1:
		require.Len(x.t, claimed, 1)
		assert.Equal(x.t, x.m.attempts, claimedMessage(claimed.list(0)).Attempts)
		x.m.holder, claimed = holder, nil
	}
	assert.Empty(x.t, claimed)
	require.Len(x.t, changed, len(changes))
	for i, s := range changes {
		assert.Equal(x.t, string(s), changed.list(i).string(1))
	}
}

func (x *machine) extend() {
	ctx, holder := x.t.Context(), x.m.holder
	if holder == "" || rapid.Bool().Draw(x.t, "a stranger extends") {
		holder, _ = x.hand(0)
	}
	queue := outboxKey
	if x.m.list {
		queue = listKey
	}
	require.NoError(x.t, x.o.rdb.ZAddXX(ctx, queue, redis.Z{Score: 1, Member: x.id}).Err())
	answer, err := extendScript.Run(ctx, x.o.rdb, []string{outboxKey}, messagePrefix, 60_000, x.id, holder).Int()
	require.NoError(x.t, err)
	held := holder == x.m.holder && x.m.queue()
	assert.Equal(x.t, held, answer == 1, "still held")
	assert.Equal(x.t, held, x.o.rdb.ZScore(ctx, queue, x.id).Val() > 1, "extended")
}

// timeOver is the end of the message's validity.
func (x *machine) timeOver() {
	require.NoError(x.t, x.o.rdb.HSet(x.t.Context(), messageKey(x.id), "expires", time.Now().UnixMilli()-1).Err())
	x.m.late = true
}

// person opts out, or in again.
func (x *machine) opt() {
	var err error
	if x.m.opted {
		_, err = x.o.opts.OptOuts.Remove(x.t.Context(), x.to)
	} else {
		_, err = x.o.opts.OptOuts.Add(x.t.Context(), optout.Entry{Number: x.to, Source: optout.Inbound})
	}
	require.NoError(x.t, err)
	x.m.opted = !x.m.opted
}

// release gives the sender back, or obtains it again.
func (x *machine) release() {
	ctx, key := x.t.Context(), sender.ReleasedKey
	if x.m.released {
		require.NoError(x.t, x.o.rdb.ZRem(ctx, key, machineSender).Err())
	} else {
		require.NoError(x.t, x.o.rdb.ZAdd(ctx, key, redis.Z{Score: 1, Member: machineSender}).Err())
	}
	x.m.released = !x.m.released
}

func (x *machine) forget() {
	n, err := x.o.Forget(x.t.Context(), x.to)
	require.NoError(x.t, err)
	if x.m.forgotten {
		assert.Zero(x.t, n)
		return
	}
	assert.Equal(x.t, 1, n)
	x.m.forgotten = true
	switch x.m.state {
	case Queued:
		x.m.unsent(Cancelled)
	case Sending, Unknown:
		x.m.withdrawn = true
	default:
	}
	x.m.doubted = false
	if x.m.state != Sending && x.m.state != Unknown {
		x.m.counted = false
	}
	x.m.known = !x.m.opted && !x.m.external
}

// check compares the record, the queue and the limits with the model.
func (x *machine) check() {
	ctx := x.t.Context()
	x.m.ends()
	if x.m.holder != "" && !slices.Contains(x.past, x.m.holder) {
		x.past = append(x.past, x.m.holder)
	}
	m, err := x.o.Get(ctx, x.id)
	require.NoError(x.t, err)
	assert.Equal(x.t, x.m.state, m.State)
	assert.Equal(x.t, x.m.attempts, m.Attempts)
	assert.Equal(x.t, m.State, m.History[len(m.History)-1].State)
	for i := 1; i < len(m.History); i++ {
		from, to := m.History[i-1].State, m.History[i].State
		assert.True(x.t, slices.Contains(arrows[from], to), "%s → %s", from, to)
	}
	in := func(key string) bool { return x.o.rdb.ZScore(ctx, key, x.id).Err() == nil }
	assert.Equal(x.t, x.m.queue() && !x.m.list, in(outboxKey), "in the live lane")
	assert.Equal(x.t, x.m.queue() && x.m.list, in(listKey), "in the lane of lists")
	assert.Equal(x.t, m.State == Queued, in(queuedKey), "among the queued")
	assert.Equal(x.t, x.m.doubted, in(doubtedKey), "to be sent once more")
	assert.Equal(x.t, x.m.inLimits, x.inLimits(), "counted against the limits")
	assert.Equal(x.t, x.m.opted, x.opted(), "opted out")
	assert.Equal(x.t, x.m.suppress, x.suppressed(), "suppressed")
	assert.Equal(x.t, x.m.known, x.o.rdb.HExists(ctx, messageKey(x.id), "person").Val(), "known by pseudonym")
	assert.Equal(x.t, x.m.forgotten, m.To == "" && m.Text == "" && m.Originator == "" && m.URL == "")
	assert.Equal(x.t, x.m.counts(), x.recently(), "in the figures of its campaign")
	if x.m.forgotten {
		for field, value := range x.o.rdb.HGetAll(ctx, messageKey(x.id)).Val() {
			assert.NotContains(x.t, value, x.to[1:], field)
			if field != "person" {
				assert.NotContains(x.t, value, x.person(), field)
			}
		}
	}
}

// recently is what the figures of its campaign say of this message.
func (x *machine) recently() campaigns.Texts {
	found, err := x.o.Recent(x.t.Context(), []string{"billing"}, 7)
	require.NoError(x.t, err)
	f := found["billing"]
	return campaigns.Texts{
		Days: f.Days, Sent: f.Sent - x.before.Sent, Delivered: f.Delivered - x.before.Delivered,
		Failed: f.Failed - x.before.Failed, Unknown: f.Unknown - x.before.Unknown,
	}
}

// Whatever workers, the provider, the person and time do to a message, in
// whatever order, it is where the model says. Nothing counts twice or is taken
// back twice against the limits, and the figures of its campaign are true.
func TestTheStatesFollowTheModel(t *testing.T) {
	rdb := connect(t, startRedis(t))
	o := newOutbox(t, rdb, &provider{}, guarded(t, rdb, guard.Policy{
		Countries: []string{"US"}, PerCallerPerDay: 1000, PerPrefixPerHour: 100_000, SegmentsPerDay: 1_000_000, Cooldown: time.Minute,
	}))
	numbers := 0
	segments := func() int {
		return number(rdb.HGet(t.Context(), campaigns.Key("guard", "segments"), "sum").Val())
	}
	rapid.Check(t, func(rt *rapid.T) {
		numbers++
		left := segments()
		x := newMachine(rt, o, fmt.Sprintf("+1415%07d", numbers))
		steps := map[string]func(){
			"sending": x.sending, "settle": x.settle, "retry": x.retry, "cancel": x.cancel, "report": x.report, "lapse": x.lapse,
			"extend": x.extend, "time over": x.timeOver, "opt": x.opt, "forget": x.forget,
			"release": x.release,
		}
		names := slices.Sorted(maps.Keys(steps))
		names = append(names, strings.Fields("sending sending sending sending settle settle settle retry lapse lapse lapse")...)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			steps[rapid.SampledFrom(names).Draw(rt, "step")]()
			x.check()
		}
		if x.m.inTotals {
			left++
		}
		require.Equal(rt, left, segments(), "segments counted and not taken back")
		if x.m.released {
			x.release()
		}
		for _, key := range []string{outboxKey, listKey, queuedKey, doubtedKey} {
			require.NoError(rt, rdb.ZRem(rt.Context(), key, x.id).Err())
		}
	})
}

// machineSender is what the messages of machines come from.
const machineSender = "+18005550142"

// newMachine makes a message durable, perhaps twice.
func newMachine(rt *rapid.T, o *Outbox, to string) *machine {
	r := request()
	r.To, r.Originator = phone.Number{E164: to, Region: "US"}, machineSender
	r.List = rapid.IntRange(0, 3).Draw(rt, "one of a list") == 0
	r.External = rapid.IntRange(0, 5).Draw(rt, "external") == 0
	if rapid.Bool().Draw(rt, "resend once") {
		r.Campaign.OnUnknown = campaigns.OnUnknownResend
	}
	x := &machine{t: rt, o: o, to: to}
	x.before = x.recently()
	m, err := o.compose(r)
	require.NoError(rt, err)
	require.NoError(rt, o.addLink(&m, r))
	d := durable{
		holder: "first", validity: time.Hour, leads: time.Hour, list: r.List, external: r.External,
		resend: r.Campaign.OnUnknown == campaigns.OnUnknownResend, notAfter: time.Now().Add(time.Minute).UnixMilli(),
	}
	d.guards, err = o.guardArgs(r)
	require.NoError(rt, err)
	for range rapid.IntRange(1, 2).Draw(rt, "requests") {
		answer, err := o.enqueue(rt.Context(), &m, d)
		require.NoError(rt, err)
		require.Equal(rt, "ok", answer.string(0))
	}
	x.id, x.m = m.ID, model{
		state: Queued, holder: "first", list: r.List, resend: d.resend, counted: true, inLimits: true, inTotals: true, known: true,
	}
	if r.List {
		x.m.holder = ""
	}
	if r.External {
		x.m.state, x.m.holder, x.m.list, x.m.external, x.m.took = Accepted, "", false, true, true
	}
	x.check()
	return x
}
