package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Caller is one SIP call, and what the caller does in it.
type Caller struct {
	DNIS        string   // the number dialled
	From        string   // user part of From: the caller's number; what SIP forbids there is escaped
	DisplayName string   // of From
	PAI         string   // user part of P-Asserted-Identity (RFC 3325); none if empty
	Privacy     string   // Privacy header (RFC 3323), such as "id"; none if empty
	Diversion   string   // user part of Diversion (RFC 5806): the number that forwarded; none if empty
	Headers     []string // more headers of the INVITE, "Name: value"
	// Steps are what the caller does after the INVITE; Answered and AwaitBye
	// if empty. If the switch hangs up earlier than the steps expect, the call
	// is over, which is no error.
	Steps []Step
	// Timeout is how long the caller waits for an answer, and again for the
	// switch to hang up, before the call counts as stuck; 30 s if 0.
	Timeout time.Duration
}

type stepKind int

const (
	stepAnswered stepKind = iota
	stepPause
	stepPress
	stepPressInfo
	stepHangup
	stepCancel
	stepAwaitBye
)

// Step is one thing the caller does.
type Step struct {
	kind  stepKind
	pause time.Duration
	keys  string
}

// Answered waits until the call is answered.
func Answered() Step { return Step{kind: stepAnswered} }

// Pause does nothing for a while.
func Pause(d time.Duration) Step { return Step{kind: stepPause, pause: d} }

// Press presses keys of the phone, sent as RTP events (RFC 4733). It takes
// about 0.3 s a key.
func Press(keys string) Step { return Step{kind: stepPress, keys: keys} }

// PressInfo presses keys, sent as SIP INFO (application/dtmf-relay).
func PressInfo(keys string) Step { return Step{kind: stepPressInfo, keys: keys} }

// Hangup sends a BYE; only after Answered.
func Hangup() Step { return Step{kind: stepHangup} }

// Cancel gives up a call that is not answered yet; only before Answered.
func Cancel() Step { return Step{kind: stepCancel} }

// AwaitBye waits until the switch hangs up.
func AwaitBye() Step { return Step{kind: stepAwaitBye} }

// Who ended a call.
const (
	BySwitch = "switch"
	ByCaller = "caller"
)

// Result is what the caller saw of a call.
type Result struct {
	CallID   string        // SIP Call-ID, as in Arrival.CallID
	Status   int           // final status of the INVITE; 0 if none came
	HungUpBy string        // BySwitch, ByCaller (BYE or CANCEL), or empty
	Cause    int           // Q.850 cause the switch gave with its BYE or refusal (RFC 3326); 0 if none
	Stuck    bool          // the switch left the caller waiting until the timeout, and the caller gave up
	Heard    time.Duration // how much sound that is not silence came
	Invited  time.Time     // when the INVITE was sent
	Answered time.Time     // when the 200 came; zero if it did not
	Ended    time.Time     // when the BYE, CANCEL or refusal went or came; zero if none did
	Trace    string        // every SIP message, for the message of a failed test
}

// Setup is the time from the INVITE to the answer.
func (r Result) Setup() time.Duration { return r.Answered.Sub(r.Invited) }

// Talk is the time from the answer to the end.
func (r Result) Talk() time.Duration { return r.Ended.Sub(r.Answered) }

// Call places one call and returns when it is over. That the call did not go
// as the steps expected is in the result, not an error.
func (a *Asterisk) Call(ctx context.Context, c Caller) (Result, error) {
	r, err := a.call(ctx, c)
	if err != nil {
		return r, fmt.Errorf("call %s: %w", c.DNIS, err)
	}
	return r, nil
}

func (a *Asterisk) call(ctx context.Context, c Caller) (Result, error) {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	run, err := a.newCallerRun()
	if err != nil {
		return Result{}, err
	}
	defer run.ports.release()
	sound, err := newMedia(run.path("log"))
	if err != nil {
		return Result{}, err
	}
	defer sound.close()
	scenario, err := c.scenario(sound.port())
	if err != nil {
		return Result{}, err
	}
	err = run.sipp(ctx, scenario, a.SIPAddr, "-s", c.DNIS, "-m", "1", "-nr",
		"-trace_msg", "-message_file", run.path("messages"), "-trace_logs", "-log_file", run.path("log"))
	var exit *exitError
	if err != nil && !errors.As(err, &exit) {
		return Result{}, err
	}
	stuck, heard := sound.close()
	trace, errTrace := os.ReadFile(run.path("messages"))
	if errTrace != nil {
		return Result{}, errors.Join(errTrace, err)
	}
	r := readTrace(string(trace))
	r.Stuck, r.Heard = stuck || r.Status == 0, heard
	return r, nil
}

// callerRun is one run of sipp with its files and ports.
type callerRun struct {
	program string
	dir     string
	ports   *ports
}

func (a *Asterisk) newCallerRun() (*callerRun, error) {
	program, err := findProgram("sipp")
	if err != nil {
		return nil, err
	}
	calls := filepath.Join(a.dir, "calls")
	if err := os.MkdirAll(calls, 0o750); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	dir, err := os.MkdirTemp(calls, "")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	held, err := takePorts(6) // SIP, control, and some around the media port
	if err != nil {
		return nil, err
	}
	return &callerRun{program: program, dir: dir, ports: held}, nil
}

func (r *callerRun) path(name string) string { return filepath.Join(r.dir, name) }

// exitError says that sipp ended with a code that is not 0: calls failed.
type exitError struct {
	code int
	tail string
}

func (e *exitError) Error() string {
	return fmt.Sprintf("sipp ended with code %d:\n%s", e.code, e.tail)
}

// sipp runs a scenario to its end. It returns an *exitError when calls failed.
func (r *callerRun) sipp(ctx context.Context, scenario, to string, args ...string) error {
	if err := os.WriteFile(r.path("scenario.xml"), []byte(scenario), 0o600); err != nil {
		return fmt.Errorf("write the scenario: %w", err)
	}
	port := func(i int) string { return strconv.Itoa(r.ports.first + i) }
	argv := append([]string{
		r.program, "-sf", r.path("scenario.xml"), "-nostdin", "-i", "127.0.0.1",
		"-p", port(0), "-cp", port(1), "-mp", port(2), "-trace_err", "-error_file", r.path("errors"),
		"-key", "bracket", "[", "-cid_str", "%u-" + filepath.Base(r.dir) + "-" + port(0) + "@lab",
	}, append(args, to)...)
	program, err := StartProgram("sipp", r.path("screen"), []string{"TERM=dumb"}, argv...)
	if err != nil {
		return err
	}
	select {
	case <-program.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), program.Kill())
	}
	switch code := program.ExitCode(); code {
	case 0:
		return nil
	case 1: // at least one call failed
		errs, _ := os.ReadFile(r.path("errors")) // there is none when nothing went wrong
		return &exitError{code: code, tail: string(errs)}
	default:
		return fmt.Errorf("sipp ended with code %d:\n%s", code, program.Tail())
	}
}

// listenUDP opens a socket on loopback.
func listenUDP() (*net.UDPConn, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("open a socket for sound: %w", err)
	}
	return conn, nil
}
