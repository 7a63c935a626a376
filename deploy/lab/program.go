package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopTime is how long a program may take to end when it is asked to.
const stopTime = 5 * time.Second

// Program is a program that was started, and how it ended.
type Program struct {
	name string
	log  string // file with what it printed
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // of Wait; set before done is closed

	mu     sync.Mutex
	frozen bool
}

// StartProgram runs a program with its output appended to the file log, whose
// folder it runs in; env is added to the environment, less what in it is meant
// for another deflectd. The program has a process group of its own, so that a
// Ctrl-C in the terminal reaches only its parent, which then stops it in order;
// and the kernel kills it when the parent dies.
func StartProgram(name, log string, env []string, argv ...string) (*Program, error) {
	if err := os.MkdirAll(filepath.Dir(log), 0o750); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // ended by stop, kill or the parent's death
	cmd.Dir = filepath.Dir(log)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), ours), env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Program{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(out, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

// ours says whether a variable configures a deflectd: what the user has set for
// another one is not meant for ours.
func ours(variable string) bool { return strings.HasPrefix(variable, "DEFLECTD_") }

// run starts the program and waits for it on one thread: the signal of the
// parent's death is sent when the thread that started the program ends, and
// the Go runtime is free to end threads that no goroutine is locked to.
func (p *Program) run(out *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	defer func() { _ = out.Close() }()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		p.err = p.cmd.Wait()
	}
}

// PID is the number of the process.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program has ended, for whatever reason.
func (p *Program) Done() <-chan struct{} { return p.done }

// ExitCode is the exit code of the program once Done is closed: -1 when a
// signal ended it.
func (p *Program) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// alive reports whether the program still runs.
func (p *Program) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Stop asks the program to end, and kills it when it does not. Stopping what
// has ended is no error.
func (p *Program) Stop() error {
	if err := p.Thaw(); err != nil {
		return err
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	patience := time.NewTimer(stopTime)
	defer patience.Stop()
	select {
	case <-p.done:
		return nil
	case <-patience.C:
		return p.Kill()
	}
}

// Kill ends the program at once (kill -9) and waits until it is gone.
func (p *Program) Kill() error {
	if err := p.signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Freeze stops the program where it stands (SIGSTOP): its connections stay open
// and nothing is answered. It returns when all of the program's threads stand.
func (p *Program) Freeze() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.Now().Add(stopTime)
	for p.alive() && !stands(p.PID()) {
		if time.Now().After(deadline) {
			return fmt.Errorf("freeze %s: it still runs", p.name)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// stands reports whether every thread of a process is stopped: state T in
// /proc/PID/task/TID/stat (proc(5)).
func stands(pid int) bool {
	stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended meanwhile
		}
		// The state follows the name in parentheses, which may hold anything.
		_, state, found := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ")
		if found && !strings.HasPrefix(state, "T") {
			return false
		}
	}
	return true
}

// Thaw lets the program go on after Freeze.
func (p *Program) Thaw() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.frozen {
		return nil
	}
	p.frozen = false
	return p.signal(syscall.SIGCONT)
}

func (p *Program) signal(s syscall.Signal) error {
	if !p.alive() {
		return nil
	}
	if err := syscall.Kill(-p.cmd.Process.Pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("send %s to %s: %w", s, p.name, err)
	}
	return nil
}

// Ready calls check every few milliseconds until it succeeds. It gives up when
// ctx ends or the program does, with the end of what the program printed.
func (p *Program) Ready(ctx context.Context, check func(context.Context) error) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended by itself (%w):\n%s", p.name, errors.Join(p.err, err), p.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%s did not get ready (%w):\n%s", p.name, errors.Join(ctx.Err(), err), p.Tail())
		case <-tick.C:
		}
	}
}

// Tail is the end of what the program printed, for error messages.
func (p *Program) Tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}
