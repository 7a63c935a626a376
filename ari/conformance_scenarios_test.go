package ari_test

import (
	"context"
	"net/http"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"deflectd/ari"
)

// scenarios are what a client can count on, and what it must be able to take.
var scenarios = []struct {
	name string
	run  func(r *rig)
}{
	{"start says who calls", startSaysWhoCalls},
	{"caller's name and number are hostile", hostileCaller},
	{"answer", answer},
	{"play to the end", playToTheEnd},
	{"play is stopped", playStopped},
	{"play is stopped at once", playStoppedAtOnce},
	{"play is interrupted by hangup", playInterrupted},
	{"sound is missing", soundMissing},
	{"sounds that are there", soundsThere},
	{"keys before, during and after a prompt", keys},
	{"caller cancels before answer", cancelled},
	{"continue, never answered", continueUnanswered},
	{"continue, answered", continueAnswered},
	{"continue waits for a prompt", continueWaits},
	{"several variables at once", variables},
	{"variables wait for a prompt", variablesWait},
	{"caller goes while a command waits", goneWhileWaiting},
	{"caller goes while the answer waits", goneWhileAnswering},
	{"hang up before answer", hangupUnanswered},
	{"hang up in a prompt", hangupInPrompt},
	{"commands after the caller has gone", commandsAfterHangup},
	{"commands after continue", commandsAfterContinue},
	{"dead man's switch", deadMansSwitch},
	{"same channel comes again", reentry},
	{"every event of a call", eventStream},
	{"fields of every event", fieldsOfEvents},
	{"medium of an unsupported scheme", unsupportedScheme},
	{"playback id is used twice", playbackIDTwice},
	{"requests and their answers", requests},
	{"strangers are not let in", strangers},
	{"event filter", eventFilter},
	{"application is not there", applicationNotThere},
	{"orphan is let go", orphanLetGo},
	{"websocket is dropped", websocketDropped},
	{"ends of calls are missed", endMissed},
	{"websocket is replaced", websocketReplaced},
	{"frozen for a while", frozen},
	{"frozen for long", frozenLong},
	{"restarted", restarted},
}

func startSaysWhoCalls(r *rig) {
	r.connect()
	before := time.Now().Add(-time.Second)
	_, ch := r.arrive(caller{number: "+4917612345", name: "Ann Example", dnis: "+18005550100", rdnis: "+18005550199"})
	start := ch.Start()
	assert.Equal(r.t, []string{
		"dnis=+18005550100", "ani=+4917612345", "pres=allowed_not_screened", "rdnis=+18005550199",
	}, start.Args)
	assert.Equal(r.t, "+18005550100", start.Extension)
	assert.Equal(r.t, "+4917612345", start.CallerNumber)
	assert.Equal(r.t, "+18005550199", start.RDNIS)
	assert.WithinRange(r.t, start.Created, before.Truncate(time.Second), time.Now())
	assert.NotEmpty(r.t, ch.ID())
	assert.Equal(r.t, "stasis", r.place(ch.ID()))
}

func hostileCaller(r *rig) {
	r.connect()
	_, ch := r.arrive(caller{number: "0,dnis=1,ani=2", name: `Ä \"Ö, ${EXTEN}`, dnis: "18005550100"})
	assert.Equal(r.t, []string{
		"dnis=18005550100", "ani=0dnis1ani2", "pres=allowed_not_screened", "rdnis=",
	}, ch.Start().Args)
	assert.Equal(r.t, "0,dnis=1,ani=2", ch.Start().CallerNumber)
	assert.Empty(r.t, ch.Start().RDNIS)
	name, err := ch.Variable(r.ctx, "CALLERID(name)")
	require.NoError(r.t, err)
	assert.Contains(r.t, name, "Ä")
}

func answer(r *rig) {
	r.connect()
	p, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	state, err := ch.Variable(r.ctx, "CHANNEL(state)")
	require.NoError(r.t, err)
	assert.Equal(r.t, "Ring", state)
	require.NoError(r.t, ch.Answer(r.ctx))
	r.ok(p.waitAnswered)
	state, err = ch.Variable(r.ctx, "CHANNEL(state)")
	require.NoError(r.t, err)
	assert.Equal(r.t, "Up", state)
	require.NoError(r.t, ch.Answer(r.ctx), "answering twice is no error")
}

func playToTheEnd(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	id := r.play(ch, minute)
	require.Equal(r.t, http.StatusOK, r.ask("GET", "/playbacks/"+id, "").status)
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done")
	began := time.Now()
	id = r.play(ch, second)
	r.expect(ch, "playback done")
	assert.GreaterOrEqual(r.t, time.Since(began), 900*time.Millisecond)
	r.until("it is forgotten", func() bool { return r.ask("GET", "/playbacks/"+id, "").status == http.StatusNotFound })
}

func playStopped(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	id := r.play(ch, minute, second)
	queued := r.play(ch, minute)
	require.NoError(r.t, ch.Stop(r.ctx, queued))
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done", "playback done")
	require.NoError(r.t, ch.Stop(r.ctx, id), "stopping what is over is no error")
	assert.Equal(r.t, "stasis", r.place(ch.ID()))
}

// Stopping must work whether the playback still waits, begins, or plays.
func playStoppedAtOnce(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	for n := range 40 {
		id := r.play(ch, minute)
		time.Sleep(time.Duration(n%8) * 50 * time.Microsecond)
		require.NoError(r.t, ch.Stop(r.ctx, id))
		r.expect(ch, "playback done")
	}
}

func playInterrupted(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	r.playing(ch, minute, second)
	p.hangup()
	r.expect(ch, "hangup request 0", "playback failed", "StasisEnd", "closed")
	require.NoError(r.t, ch.Err())
	r.lands(ch.ID(), "gone")
}

func soundMissing(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	began := time.Now()
	r.play(ch, "sound:no/such/sound")
	r.expect(ch, "playback failed")
	assert.Less(r.t, time.Since(began), 10*time.Second)
	r.play(ch, "sound:no/such/sound", second)
	r.expect(ch, "playback done")
	r.play(ch, second, "sound:no/such/sound")
	r.expect(ch, "playback failed")
}

func soundsThere(r *rig) {
	r.connect()
	for name, want := range map[string]bool{
		second: true, "lab/minute": true, "sound:no/such/sound": false, "second": false, "lab": false,
		// What lies in a folder that is no language's is taken for one of a
		// language: so Asterisk finds it when it is to be played.
		"sound:en/lab/second": true, "de/lab/second": false,
	} {
		var known bool
		r.until("it is told whether "+name+" is there", func() bool { // which may be late on a busy machine
			var err error
			known, err = ari.NewSounds(r.client).Sound(r.ctx, name)
			return err == nil
		})
		assert.Equal(r.t, want, known, name)
	}
}

func keys(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	p.press("1")
	r.expect(ch, "digit 1")
	id := r.play(ch, minute)
	p.press("#")
	r.expect(ch, "digit #")
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done")
	p.press("*")
	p.press("0")
	r.expect(ch, "digit *", "digit 0")
}

func cancelled(r *rig) {
	r.connect()
	p, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	p.hangup()
	r.expect(ch, "hangup request 127", "StasisEnd", "closed")
	require.NoError(r.t, ch.Err())
	r.ok(p.waitEnded)
}

func continueUnanswered(r *rig) {
	r.connect()
	_, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	require.NoError(r.t, ch.Set(r.ctx, []string{"DEFLECTD_CALL", "DEFLECTD_TRANSFER"}, []string{"x", quiet}))
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
	r.lands(ch.ID(), "quiet")
	assert.Equal(r.t, "Ring", r.variable(ch.ID(), "CHANNEL(state)"))
	assert.Equal(r.t, "SUCCESS", r.variable(ch.ID(), "STASISSTATUS"))
}

func continueAnswered(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	// A target that does not exist is no target.
	require.NoError(r.t, ch.Set(r.ctx, []string{"DEFLECTD_TRANSFER", "OTHER"}, []string{"nowhere,1,1", "y"}))
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
	require.NoError(r.t, ch.Err())
	r.lands(ch.ID(), "ivr")
	assert.Equal(r.t, "Up", r.variable(ch.ID(), "CHANNEL(state)"))
	p.hangup()
	r.lands(ch.ID(), "gone")
}

func continueWaits(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	id := r.play(ch, minute)
	require.NoError(r.t, ch.Continue(r.ctx), "taken at once")
	r.quiet(ch, 300*time.Millisecond)
	assert.Equal(r.t, "stasis", r.place(ch.ID()))
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done", "StasisEnd", "closed")
	r.lands(ch.ID(), "ivr")
}

// hard are values that Asterisk's ARRAY would take apart if they were not
// written with care.
var hard = map[string]string{
	"EMPTY":     "",
	"COMMA":     "a,b,,c,",
	"QUOTES":    `say "hi", 'you'`,
	"BACKSLASH": `C:\dir\`,
	"BRACKETS":  "a(b)c[d]e{f}g)h]i(j[k",
	"DOLLAR":    "${EXTEN}$[1+1]%41",
	"UTF8":      "Grüße € 漢字 🎈",
	"SPACES":    "  two  words ",
	"LINES":     "one\ntwo\tthree",
	"PLAIN":     "ivr,18005550100,1",
	"ODD":       `;|&#=+?/\,\"`,
}

func variables(r *rig) {
	r.connect()
	_, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	var names, values []string
	for name, value := range hard {
		names, values = append(names, name), append(values, value)
	}
	require.NoError(r.t, ch.Set(r.ctx, names, values))
	for name, value := range hard {
		got, err := ch.Variable(r.ctx, name)
		require.NoError(r.t, err)
		assert.Equal(r.t, value, got, name)
	}
	require.NoError(r.t, ch.Set(r.ctx, []string{"ALONE"}, []string{hard["ODD"]}))
	unset, err := ch.Variable(r.ctx, "NEVER_SET")
	require.NoError(r.t, err)
	assert.Empty(r.t, unset)
	require.NoError(r.t, ch.Continue(r.ctx))
	r.lands(ch.ID(), "ivr")
	for name, value := range hard {
		assert.Equal(r.t, value, r.variable(ch.ID(), name), name)
	}
	assert.Equal(r.t, hard["ODD"], r.variable(ch.ID(), "ALONE"))
}

func variablesWait(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	id := r.play(ch, minute)
	ctx, cancel := context.WithTimeout(r.ctx, 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(r.t, ch.Set(ctx, []string{"A", "B"}, []string{"1", "2"}), context.DeadlineExceeded)
	_, err := ch.Variable(r.ctx, "A")
	require.NoError(r.t, err, "reading does not wait")
	require.NoError(r.t, ch.Stop(r.ctx, id))
	r.expect(ch, "playback done")
	// What was given up is done all the same.
	r.until("the variables are set", func() bool {
		v, err := ch.Variable(r.ctx, "B")
		return err == nil && v == "2"
	})
}

func goneWhileWaiting(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	r.playing(ch, minute)
	r.play(ch, second)
	set := make(chan error, 1)
	go func() { set <- ch.Set(r.ctx, []string{"A", "B"}, []string{"1", "2"}) }()
	time.Sleep(100 * time.Millisecond)
	p.hangup()
	r.expect(ch, "hangup request 0", "playback failed", "playback failed", "StasisEnd", "closed")
	if err := <-set; err != nil {
		require.ErrorIs(r.t, err, ari.ErrGone)
	}
}

func hangupUnanswered(r *rig) {
	r.connect()
	p, ch := r.arrive(caller{number: "1", dnis: "18005550100"})
	require.NoError(r.t, ch.Hangup(r.ctx))
	r.expect(ch, "hangup request 32", "StasisEnd", "closed")
	r.ok(p.waitEnded)
}

func hangupInPrompt(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	r.playing(ch, minute)
	require.NoError(r.t, ch.Hangup(r.ctx))
	r.expect(ch, "hangup request 32", "playback failed", "StasisEnd", "closed")
	r.ok(p.waitEnded)
	assert.Equal(r.t, "gone", r.place(ch.ID()))
}

// refused runs every verb and wants ErrGone of each.
func (r *rig) refused(ch *ari.Channel) {
	r.t.Helper()
	_, play := ch.Play(r.ctx, second)
	for verb, err := range map[string]error{
		"answer": ch.Answer(r.ctx), "play": play, "set": ch.Set(r.ctx, []string{"A", "B"}, []string{"1", "2"}),
		"set one": ch.Set(r.ctx, []string{"A"}, []string{"1"}), "continue": ch.Continue(r.ctx),
	} {
		assert.ErrorIs(r.t, err, ari.ErrGone, verb)
	}
	assert.NoError(r.t, ch.Stop(r.ctx, "deflectd."+ch.ID()+".0"))
}

func commandsAfterHangup(r *rig) {
	r.connect()
	p, ch := r.answered("18005550100")
	p.hangup()
	r.expect(ch, "hangup request 0", "StasisEnd", "closed")
	r.lands(ch.ID(), "gone")
	r.refused(ch)
	assert.ErrorIs(r.t, ch.Hangup(r.ctx), ari.ErrGone)
	_, err := ch.Variable(r.ctx, "A")
	assert.ErrorIs(r.t, err, ari.ErrGone)
}

func commandsAfterContinue(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	require.NoError(r.t, ch.Continue(r.ctx))
	r.expect(ch, "StasisEnd", "closed")
	r.lands(ch.ID(), "ivr")
	r.refused(ch)
	assert.Equal(r.t, "ivr", r.place(ch.ID()))
}

func deadMansSwitch(r *rig) {
	r.connect()
	_, ch := r.answered("18005550100")
	require.NoError(r.t, ch.Set(r.ctx, []string{"TIMEOUT(absolute)"}, []string{"3"}))
	r.play(ch, minute)
	r.expect(ch, "playback failed", "StasisEnd", "closed")
	require.NoError(r.t, ch.Err())
	r.lands(ch.ID(), "ivr")
	time.Sleep(3200 * time.Millisecond)
	assert.Equal(r.t, "ivr", r.place(ch.ID()), "the call lives on")
}

func reentry(r *rig) {
	r.connect()
	_, first := r.arrive(caller{number: "1", dnis: "7123"})
	require.NoError(r.t, first.Answer(r.ctx))
	require.NoError(r.t, first.Continue(r.ctx))
	r.expect(first, "StasisEnd", "closed")
	again := r.channel()
	assert.Equal(r.t, first.ID(), again.ID())
	assert.Equal(r.t, []string{"dnis=7123"}, again.Start().Args)
	assert.Equal(r.t, "Up", r.variable(again.ID(), "CHANNEL(state)"))
	require.NoError(r.t, again.Continue(r.ctx))
	r.expect(again, "StasisEnd", "closed")
	r.lands(again.ID(), "ivr")
}
