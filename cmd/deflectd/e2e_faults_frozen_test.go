package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"deflectd/campaigns/report"
	"deflectd/deploy/lab"
)

// deflectd is frozen: Asterisk takes all calls back by itself; once it goes on,
// its records tell the truth, nobody is texted who is not there any more, and
// calls are taken again.
func TestFaultFrozen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{asterisk: lab.AsteriskOptions{Patience: patience}})
	d := w.spawn(t)
	prompt, listen, told := w.campaign(t, prompting), w.campaign(t, listening), w.campaign(t, telling)
	keyed, fresh, brief := w.campaign(t, prompting), w.campaign(t), w.campaign(t)
	calls := []*ongoing{
		w.place(t, prompt, lab.Caller{}), w.place(t, listen, lab.Caller{}), w.place(t, told, lab.Caller{}),
		w.place(t, keyed, lab.Caller{Steps: pressesAfter(4*time.Second, "1")}),
	}
	for i, step := range []string{"prompt offer", "prompt offer", "prompt sent", "prompt offer"} {
		calls[i].at(t, step)
	}
	require.NoError(t, d.Freeze())
	calls = append(calls, w.place(t, fresh, lab.Caller{Steps: presses("1")}))
	gaveUp := w.place(t, brief, lab.Caller{Steps: []lab.Step{lab.Pause(time.Second), lab.Cancel()}})
	for i, where := range []string{
		"in a prompt of a minute", "waiting for a key", "in the prompt after the text", "the key pressed meanwhile", "a new call",
	} {
		invited := calls[i].over(t).Invited
		calls[i].inIVRWithin(t, "frozen (a switch of 6 s), "+where, invited, patience+3*time.Second)
	}
	require.Equal(t, 487, gaveUp.over(t).Status)

	require.NoError(t, d.Thaw())
	thawed := time.Now()
	for _, i := range []int{0, 1, 4} {
		record := calls[i].recorded(t, report.Failed, report.SwitchLost)
		require.Contains(t, steps(record), "taken back")
	}
	// Of the one that pressed the key it sees the key first. Usually it sees by
	// then that the call is over; else the record says what became of the text.
	record := w.recordOf(t, calls[3])
	require.Contains(t, steps(record), "taken back", "%+v", record)
	if record.Reason == report.SwitchLost {
		w.noText(t, calls[3].caller)
	} else {
		require.NotEmpty(t, record.Message)
		require.LessOrEqual(t, len(w.textsTo(calls[3].caller)), 1)
	}
	calls[2].recorded(t, report.Texted, report.ToTransfer)
	gaveUp.recorded(t, report.Abandoned, report.CallerHungUp)
	eventually(t, func() error { return w.readyz(t, 200, `"ready"`) })
	t.Logf("measured: frozen, and goes on: all recorded and ready after %.1f s", time.Since(thawed).Seconds())
	require.Len(t, w.records(t, nil), 6)
	w.serves(t)
	w.empty(t)
	w.onceEach(t, []string{calls[2].caller},
		[]string{calls[0].caller, calls[1].caller, calls[4].caller, gaveUp.caller})
	require.Equal(t, exitDone, d.terminate(t))
}

// Two things break at once: Redis is frozen, and deflectd is told to stop. Its
// callers are out as ever; that records could not be written is said by the
// exit code.
func TestFaultRedisFrozenAndToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	d := w.spawn(t)
	prompt, keyed, told := w.campaign(t, prompting), w.campaign(t, prompting), w.campaign(t, telling)
	silent := w.campaign(t, waiting)
	w.provider.Then(lab.Silent())
	unsure := w.place(t, silent, lab.Caller{}).at(t, "text sending")
	texted := w.place(t, told, lab.Caller{}).at(t, "prompt sent")
	heard := w.place(t, prompt, lab.Caller{}).at(t, "prompt offer")
	pressed := w.place(t, keyed, lab.Caller{Steps: pressesAfter(2*time.Second, "1")}).at(t, "prompt offer")
	require.NoError(t, w.redis.Freeze())
	broken := time.Now()
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGTERM))
	heard.inIVR(t, "Redis frozen and told to stop: in a prompt of a minute", broken)
	pressed.inIVR(t, "Redis frozen and told to stop: the key pressed", broken)
	unsure.inIVR(t, "Redis frozen and told to stop: waiting for the provider", broken)
	texted.hungUp(t, "Redis frozen and told to stop: in the prompt after the text", broken)
	require.Equal(t, exitFailed, d.exitCode(t), "records were lost")
	t.Logf("measured: Redis frozen and told to stop: ended after %.1f s", time.Since(broken).Seconds())
	w.empty(t)

	require.NoError(t, w.redis.Thaw())
	w.spawn(t)
	w.serves(t)
	w.onceEach(t, []string{texted.caller}, []string{heard.caller, pressed.caller})
	require.Len(t, w.textsTo(unsure.caller), 1)
}

// Asterisk is killed, and deflectd is told to stop: it ends in good order, and
// the lost calls have their records.
func TestFaultAsteriskKilledAndToldToStop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	d := w.spawn(t)
	c := w.campaign(t, prompting)
	call := w.place(t, c, lab.Caller{Steps: givesUp(6 * time.Second)}).at(t, "prompt offer")
	require.NoError(t, w.asterisk.Kill())
	broken := time.Now()
	require.Equal(t, exitDone, d.terminate(t))
	t.Logf("measured: Asterisk killed and told to stop: ended after %.1f s", time.Since(broken).Seconds())
	call.over(t)
	require.NoError(t, w.asterisk.Restart(t.Context()))
	w.spawn(t)
	call.recorded(t, report.Failed, report.SwitchLost)
	w.serves(t)
	w.onceEach(t, nil, []string{call.caller})
}

// deflectd is frozen, and killed for it, with calls that it has not seen yet:
// the next one lets them go, and keeps no number that its owner withholds.
func TestFaultFrozenAndKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{redis: durable})
	d := w.spawn(t)
	plain, hidden := w.campaign(t), w.campaign(t)
	require.NoError(t, d.Freeze())
	calls := []*ongoing{
		w.place(t, plain, lab.Caller{}),
		w.place(t, hidden, lab.Caller{From: "+12125550111", PAI: "+12125550111", Privacy: "id"}),
	}
	eventually(t, func() error {
		out, err := w.asterisk.CLI(t.Context(), "core show channels count")
		if err != nil || !strings.Contains(out, "2 active channels") {
			return fmt.Errorf("Asterisk has %s (%w)", out, err)
		}
		return nil
	})
	require.NoError(t, d.Kill())
	started := time.Now()
	w.spawn(t)
	for _, c := range calls {
		a := c.inIVR(t, "frozen and killed, and there again", started)
		require.Equal(t, "Ring", a.State)
	}
	require.Equal(t, calls[0].caller, calls[0].recorded(t, report.Failed, report.Orphaned).ANI)
	require.Empty(t, calls[1].recorded(t, report.Failed, report.Orphaned).ANI, "a number that is withheld is not kept")
	w.serves(t)
	w.onceEach(t, nil, []string{calls[0].caller, calls[1].caller})
}
