// Package browser is a person before a screen: a real Chromium without windows,
// driven by what people see (the roles and names that a screen reader speaks),
// with an ear for everything a page must not do and an eye for whether anybody
// can use it. It stands apart from the rest of the lab, so that only the tests
// that look at pages carry the browser's protocol with them.
package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/chromedp/chromedp"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
)

const (
	// startTime is how long the browser may take to get ready.
	startTime = 60 * time.Second
	// patience is how long a page may take with what it is waited for:
	// generous, for machines that have much else to do.
	patience = 30 * time.Second
	// thorough is how long a check may take: it presses Tab as often as there
	// are stops on the page.
	thorough = 2 * time.Minute
)

// Browser is a headless Chromium with a fresh profile. Whatever it asks of
// another host than loopback is refused, and remembered.
type Browser struct {
	ctx    context.Context // of chromedp, which keeps the connection in it
	cancel context.CancelFunc
	wall   *wall
	close  sync.Once
}

// Start runs Chromium with its profile and whatever it writes in dir. The ctx
// bounds the start alone; end it with Stop. Its sandbox is off only for root,
// for whom it does not work.
func Start(ctx context.Context, dir string) (*Browser, error) {
	program, err := find()
	if err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	wall, err := newWall(ctx)
	if err != nil {
		return nil, fmt.Errorf("start the browser: %w", err)
	}
	// The life of a browser is that of the context it was started with: not
	// that of the caller, which may end before Stop is called.
	base, stop := chromedp.NewExecAllocator(context.WithoutCancel(ctx), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		chromedp.DisableGPU,
		chromedp.WindowSize(wide, high),
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-domain-reliability", true),
		chromedp.Flag("no-pings", true),
		chromedp.ProxyServer("http://"+wall.address()),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		// The same letters, to the pixel, on every machine.
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-US"),
	)...)
	b := &Browser{wall: wall}
	var tab context.CancelFunc
	b.ctx, tab = chromedp.NewContext(base)
	b.cancel = func() { tab(); stop() }
	if err := b.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program, err), b.Stop())
	}
	return b, nil
}

// start connects to the browser, for which chromedp has no deadline.
func (b *Browser) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			b.cancel()
		}
	})()
	return chromedp.Do(b.ctx)
}

// Stop ends the browser and waits until it is gone. Stopping twice is no error.
func (b *Browser) Stop() error {
	var err error
	b.close.Do(func() {
		ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
		// In order, so that it is not killed in the middle of writing; where
		// that fails it is killed.
		_, _ = chromedp.CallBrowser(ctx, cdpbrowser.Close, cdp.Empty{})
		cancel()
		b.cancel()
		err = b.wall.Close()
	})
	return err
}

// Refused are the hosts other than loopback that the browser asked for, whoever
// in it did so, each once, in the order of the first time.
func (b *Browser) Refused() []string { return b.wall.hosts() }

// find looks for Chromium as Debian has it. The wrapper of the one without
// windows does nothing but to stay, so the program itself is taken.
func find() (string, error) {
	for _, name := range []string{"/usr/lib/chromium/chromium-headless-shell", "chromium-headless-shell", "chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("chromium is not installed: run `deploy/lab/deps.sh browser`")
}

// wall is the proxy of the browser for all that is not on loopback: it lets
// nothing through.
type wall struct {
	server *http.Server
	socket net.Listener
	ended  chan struct{}

	mu    sync.Mutex
	asked []string
}

func newWall(ctx context.Context) (*wall, error) {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &wall{socket: socket, ended: make(chan struct{})}
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(w.ended)
		_ = w.server.Serve(socket) // it says that it was closed, which it was
	}()
	return w, nil
}

func (w *wall) address() string { return w.socket.Addr().String() }

// ServeHTTP refuses a request and a tunnel alike: the host of both is that
// which was asked for.
func (w *wall) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	if !slices.Contains(w.asked, r.Host) {
		w.asked = append(w.asked, r.Host)
	}
	w.mu.Unlock()
	rw.WriteHeader(http.StatusForbidden)
}

func (w *wall) hosts() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.asked)
}

func (w *wall) Close() error {
	err := w.server.Close()
	<-w.ended
	return err
}
