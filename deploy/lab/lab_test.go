package lab

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		child(dir)
	}
	goleak.VerifyTestMain(m)
}

// childDir makes the test program one that starts a Redis and waits.
const childDir = "LAB_TEST_CHILD"

func child(dir string) {
	r, err := StartRedis(context.Background(), dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(r.PID())
	select {}
}

// What was started dies with its parent, even if that is killed (and even if
// it is frozen).
func TestProgramsDieWithTheParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), childDir+"="+t.TempDir())
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err, line)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	require.Eventually(t, func() bool {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(status), ") Z ")
	}, time.Minute, 10*time.Millisecond)
}

func startAsterisk(t *testing.T, o AsteriskOptions) *Asterisk {
	t.Helper()
	o.Dir = t.TempDir()
	a, err := StartAsterisk(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, a.Stop())
		if t.Failed() {
			t.Log(a.Logs())
		}
	})
	return a
}

// A few extensions of an IVR, each for one thing a caller can do.
const testIVR = `
[ivr](+)
exten => 7001,1,` + LogArrival + `
 same => n,Answer()
 same => n,Read(KEYS,lab/second,3,,1,3)
 same => n,Log(NOTICE,KEYS ${KEYS})
 same => n,Hangup(16)
exten => 7002,1,Answer()
 same => n,Playback(lab/minute)
exten => 7003,1,Wait(60)
exten => 7004,1,Hangup(21)
exten => 7005,1,Answer()
 same => n,Wait(60)
`

func TestCall(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, AsteriskOptions{Dialplan: testIVR})
	tests := map[string]struct {
		caller Caller
		check  func(*testing.T, Result)
	}{
		"plain, into the ivr": {Caller{DNIS: "+18005550100", From: "+14155550123"}, func(t *testing.T, r Result) {
			require.Equal(t, 200, r.Status)
			require.Equal(t, BySwitch, r.HungUpBy)
			require.Equal(t, CauseIVR, r.Cause)
			arrival, err := a.AwaitArrival(t.Context(), r.CallID)
			require.NoError(t, err)
			require.Equal(t, "ivr", arrival.Context)
			require.Equal(t, "+18005550100", arrival.Extension)
			require.Equal(t, "+14155550123", arrival.Caller)
			require.Equal(t, "FAILED", arrival.StasisStatus)
			require.Equal(t, "Ring", arrival.State)
			require.WithinDuration(t, r.Invited, arrival.At, time.Minute)
		}},
		"keys as RTP": {
			Caller{DNIS: "7001", From: "1", Steps: []Step{Answered(), Pause(500 * time.Millisecond), Press("1#2"), AwaitBye()}},
			func(t *testing.T, r Result) {
				require.Equal(t, 16, r.Cause)
				logs(t, a, "KEYS 1\n")
			},
		},
		"keys as INFO": {
			Caller{DNIS: "7001", From: "1", Steps: []Step{Answered(), Pause(500 * time.Millisecond), PressInfo("53#"), AwaitBye()}},
			func(t *testing.T, r Result) {
				require.Equal(t, 16, r.Cause)
				logs(t, a, "KEYS 53\n")
			},
		},
		"hears a prompt and hangs up": {
			Caller{DNIS: "7002", From: "1", Steps: []Step{Answered(), Pause(1500 * time.Millisecond), Hangup()}},
			func(t *testing.T, r Result) {
				require.Equal(t, ByCaller, r.HungUpBy)
				require.GreaterOrEqual(t, r.Talk(), 1400*time.Millisecond)
				require.Greater(t, r.Heard, 500*time.Millisecond) // a busy Asterisk speaks slowly
				require.LessOrEqual(t, r.Heard, r.Talk()+200*time.Millisecond)
			},
		},
		"cancels": {
			Caller{DNIS: "7003", From: "1", Steps: []Step{Pause(500 * time.Millisecond), Cancel()}},
			func(t *testing.T, r Result) {
				require.Equal(t, 487, r.Status)
				require.Equal(t, ByCaller, r.HungUpBy)
				require.Zero(t, r.Answered)
			},
		},
		"is refused": {Caller{DNIS: "7004", From: "1"}, func(t *testing.T, r Result) {
			require.Equal(t, 403, r.Status)
			require.Equal(t, BySwitch, r.HungUpBy)
			require.Equal(t, 21, r.Cause)
		}},
		"is stuck before the answer": {
			Caller{DNIS: "7003", From: "1", Timeout: time.Second}, func(t *testing.T, r Result) {
				require.True(t, r.Stuck)
				require.Equal(t, ByCaller, r.HungUpBy)
				require.Equal(t, 487, r.Status)
			},
		},
		"is stuck after the answer": {
			Caller{DNIS: "7005", From: "1", Timeout: 3 * time.Second}, func(t *testing.T, r Result) {
				require.True(t, r.Stuck)
				require.Equal(t, ByCaller, r.HungUpBy)
				require.Equal(t, 200, r.Status)
				require.GreaterOrEqual(t, r.Talk(), 2900*time.Millisecond)
				require.Less(t, r.Talk(), 30*time.Second, "the switch keeps it for a minute")
				require.Zero(t, r.Heard)
			},
		},
		"hung up earlier than the steps expect": {
			Caller{DNIS: "+18005550100", From: "1", Steps: []Step{Answered(), Pause(20 * time.Second), Hangup()}},
			func(t *testing.T, r Result) {
				require.Equal(t, BySwitch, r.HungUpBy)
				require.Equal(t, CauseIVR, r.Cause)
				require.Less(t, r.Talk(), 15*time.Second)
			},
		},
		"hostile name and number": {
			Caller{DNIS: "+18005550100", From: "0,dnis=1[call_number]", DisplayName: `Ann, "x" [field0] ünï`},
			func(t *testing.T, r Result) {
				require.Equal(t, CauseIVR, r.Cause)
				arrival, err := a.AwaitArrival(t.Context(), r.CallID)
				require.NoError(t, err)
				require.Equal(t, "0,dnis=1[call_number]", arrival.Caller)
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := a.Call(t.Context(), test.caller)
			require.NoError(t, err)
			defer func() {
				if t.Failed() {
					t.Log(r.Trace)
				}
			}()
			require.Equal(t, strings.HasPrefix(name, "is stuck"), r.Stuck)
			test.check(t, r)
		})
	}
}

// logs waits until Asterisk has logged something.
func logs(t *testing.T, a *Asterisk, what string) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Contains(a.Logs(), what) }, time.Minute, 10*time.Millisecond, what)
}

func TestCallNeedsStepsInOrder(t *testing.T) {
	t.Parallel()
	for _, steps := range [][]Step{{Hangup()}, {Answered(), Cancel()}, {Answered(), Answered()}, {AwaitBye()}} {
		_, err := Caller{Steps: steps}.scenario(1)
		require.Error(t, err)
	}
}

func TestAsteriskKillRestartFreeze(t *testing.T) {
	t.Parallel()
	a := startAsterisk(t, AsteriskOptions{})
	call := func(timeout time.Duration) Result {
		r, err := a.Call(t.Context(), Caller{DNIS: "+18005550100", From: "1", Timeout: timeout})
		require.NoError(t, err)
		return r
	}
	require.Equal(t, CauseIVR, call(answerTime).Cause)
	require.NoError(t, a.Kill())
	require.NoError(t, a.Restart(t.Context()))
	require.Equal(t, CauseIVR, call(answerTime).Cause)

	require.NoError(t, a.Freeze())
	require.True(t, call(time.Second).Stuck)
	require.NoError(t, a.Thaw())
	require.Equal(t, CauseIVR, call(answerTime).Cause)

	pid := a.PID()
	require.NoError(t, a.Freeze())
	require.NoError(t, a.Stop())
	require.NoDirExists(t, fmt.Sprintf("/proc/%d", pid))
}

func TestRedis(t *testing.T) {
	t.Parallel()
	r, err := StartRedis(t.Context(), t.TempDir(), "--appendonly", "yes", "--appendfsync", "always")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	require.Equal(t, "+OK", redis(t, r, "SET a 1", answerTime))
	require.NoError(t, r.Kill())
	require.NoError(t, r.Restart(t.Context()))
	require.Equal(t, "$1", redis(t, r, "GET a", answerTime))
	require.NoError(t, r.Freeze())
	require.Empty(t, redis(t, r, "GET a", 250*time.Millisecond))
	require.NoError(t, r.Thaw())
	require.Equal(t, "$1", redis(t, r, "GET a", answerTime))
	require.NoError(t, r.Stop())
	require.NoError(t, r.Stop())
	_, err = net.Dial("tcp", r.Addr)
	require.Error(t, err)
}

// redis sends one command and returns the first line of the answer; it is
// empty if none came in time.
func redis(t *testing.T, r *Redis, command string, within time.Duration) string {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr)
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = conn.Write([]byte(command + "\r\n"))
	require.NoError(t, err)
	require.NoError(t, conn.SetDeadline(time.Now().Add(within)))
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestStartErrorsSayWhy(t *testing.T) {
	t.Parallel()
	_, err := StartRedis(t.Context(), t.TempDir(), "--no-such-option", "1")
	require.ErrorContains(t, err, "no-such-option")
}

func TestFreePortsAreDistinct(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 10 {
		ports, err := FreePorts(7)
		require.NoError(t, err)
		for _, port := range ports {
			require.False(t, seen[port])
			seen[port] = true
		}
	}
}

func TestFind(t *testing.T) {
	tools, err := Find()
	require.NoError(t, err)
	require.NotEmpty(t, tools.Asterisk)

	t.Setenv("PATH", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	_, err = Find()
	if _, errStat := os.Stat("/usr/sbin/asterisk"); errStat != nil {
		require.ErrorContains(t, err, "asterisk is not installed: run `make deps`")
	}
	require.ErrorContains(t, err, "redis-server is not installed: run `make deps`")
	require.ErrorContains(t, err, "sipp is not installed: run `make deps`")
}
