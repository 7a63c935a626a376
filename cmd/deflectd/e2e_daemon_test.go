package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"deflectd/config"
	"deflectd/deploy/lab"
	"deflectd/deploy/lab/labtest"
)

// atOnce is how many tests run at once: most of them wait for callers, who
// take their time, so more than there are cores.
const atOnce = "8"

// TestMain runs the tests and looks for goroutines they left behind.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		program.remove()
		os.Exit(code)
	}))
}

// inProcess is deflectd as a part of this test.
type inProcess struct {
	log  *labtest.Log
	stop context.CancelFunc
	done chan struct{}
	err  error // of Run; set before done is closed
}

// serve runs deflectd in this process and waits until it is ready. It is
// stopped in order when the test ends, before its neighbours are, unless the
// test did so.
func (w *world) serve(t *testing.T) *inProcess {
	t.Helper()
	d := w.begin(t)
	w.awaitReady(t, d.done, d.log.String)
	return d
}

// begin is serve for a deflectd that is not expected to get ready.
func (w *world) begin(t *testing.T) *inProcess {
	t.Helper()
	cfg, err := config.Load("", w.environ)
	require.NoError(t, err)
	d := &inProcess{log: new(labtest.Log), done: make(chan struct{})}
	var ctx context.Context // not that of the test, which ends before its cleanup begins
	ctx, d.stop = context.WithCancel(context.WithoutCancel(t.Context()))
	listening := make(chan Addresses, 1)
	go func() {
		defer close(d.done)
		d.err = Run(ctx, cfg, newLogger(cfg.Log, d.log), func(a Addresses) { listening <- a })
	}()
	t.Cleanup(func() {
		err := d.end()
		if t.Failed() {
			t.Log("deflectd says:\n" + tail(d.log.String()))
		}
		require.NoError(t, err)
	})
	select {
	case a := <-listening:
		require.Equal(t, w.admin, "http://"+a.Admin.String())
		require.Equal(t, w.public, "http://"+a.Public.String())
	case <-d.done:
		require.NoError(t, d.err)
	}
	return d
}

// end stops it in order and returns the error of Run.
func (d *inProcess) end() error {
	d.stop()
	<-d.done
	return d.err
}

// spawned is deflectd as a process of its own: Kill, Freeze and Thaw do as
// they say.
type spawned struct {
	*lab.Program
	log string // the file of what it printed
}

// spawn runs the real program and waits until it is ready. It is killed when
// the test ends, if it still runs. What it prints is held to have no data race
// in it.
func (w *world) spawn(t *testing.T) *spawned {
	t.Helper()
	path, err := program.build(t.Context())
	require.NoError(t, err)
	log := filepath.Join(t.TempDir(), "deflectd.log")
	p, err := lab.StartProgram("deflectd", log, w.environ, path, "serve")
	require.NoError(t, err)
	d := &spawned{p, log}
	t.Cleanup(func() {
		require.NoError(t, d.Kill())
		if t.Failed() {
			t.Log("deflectd says:\n" + tail(d.said()))
		}
		require.NotContains(t, d.said(), "DATA RACE")
	})
	w.awaitReady(t, d.Done(), d.said)
	return d
}

// terminate asks it to stop (SIGTERM), waits until it has ended, and returns
// its exit code.
func (d *spawned) terminate(t *testing.T) int {
	t.Helper()
	require.NoError(t, syscall.Kill(d.PID(), syscall.SIGTERM))
	return d.exitCode(t)
}

// exitCode waits until it has ended.
func (d *spawned) exitCode(t *testing.T) int {
	t.Helper()
	select {
	case <-d.Done():
	case <-time.After(time.Minute):
		require.Fail(t, "deflectd does not end", tail(d.said()))
	}
	return d.ExitCode()
}

// said is what it printed.
func (d *spawned) said() string {
	text, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// awaitReady waits until /readyz says that calls are taken and all is well.
func (w *world) awaitReady(t *testing.T, ended <-chan struct{}, said func() string) {
	t.Helper()
	eventually(t, func() error {
		select {
		case <-ended:
			require.Fail(t, "deflectd ended by itself", tail(said()))
		default:
		}
		return w.readyz(t, http.StatusOK, `"ready"`)
	})
}

// readyz complains unless /readyz answers with this status and has these words
// in its answer.
func (w *world) readyz(t *testing.T, status int, words string) error {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.admin+"/readyz", nil)
	require.NoError(t, err)
	res, err := httpClient.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != status || !strings.Contains(string(body), words) {
		return fmt.Errorf("/readyz answers %d %s", res.StatusCode, body)
	}
	return nil
}

// tail is the end of a long log.
func tail(log string) string { return log[max(0, len(log)-20_000):] }

// program is the real program, built once.
var program builtProgram

type builtProgram struct {
	once sync.Once
	dir  string
	err  error
}

func (b *builtProgram) build(ctx context.Context) (string, error) {
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "deflectd-"); b.err != nil {
			return
		}
		out, err := exec.CommandContext(ctx, "go", "build", "-race", "-o", b.dir, ".").CombinedOutput()
		if err != nil {
			b.err = fmt.Errorf("build deflectd: %w: %s", err, out)
		}
	})
	return filepath.Join(b.dir, "deflectd"), b.err
}

func (b *builtProgram) remove() { _ = os.RemoveAll(b.dir) }
