package browser

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
)

// events is what a tab does besides what it was told to. It is written by the
// goroutine that reads from the browser, which must not be held up.
type events struct {
	answer func(accept bool) // answers the dialog that is open

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, with each document that was loaded
	loaded  int           // documents so far
	status  int           // of the last document's answer
	bytes   int
	asked   int // requests
	faults  []string
	dialogs []string
	refuse  bool // dialogs are answered with no

	answering sync.WaitGroup
}

func (e *events) start() { e.changed = make(chan struct{}) }

func (e *events) close() { e.answering.Wait() }

// hear hears everything, in order.
func (e *events) hear(event any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch event := event.(type) {
	case *page.EventLoadEventFired:
		e.loaded++
		close(e.changed)
		e.changed = make(chan struct{})
	case *page.EventJavascriptDialogOpening:
		e.dialogs = append(e.dialogs, string(event.Type)+": "+event.Message)
		accept := !e.refuse
		e.answering.Go(func() { e.answer(accept) })
	case *network.EventRequestWillBeSent:
		e.request(event)
	case *network.EventResponseReceived:
		e.response(event)
	case *network.EventLoadingFinished:
		e.bytes += int(event.EncodedDataLength)
	case *network.EventLoadingFailed:
		if !event.Canceled {
			e.fault("a request of type %s failed: %s %s", event.Type, event.ErrorText, event.BlockedReason)
		}
	default:
		e.complaint(event)
	}
}

// complaint hears what the page says to a developer.
func (e *events) complaint(event any) {
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		e.fault("exception: %s", describe(event.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if event.Type == runtime.ConsoleAPICalledTypeError || event.Type == runtime.ConsoleAPICalledTypeWarning {
			var words []string
			for _, arg := range event.Args {
				words = append(words, string(arg.Value)+arg.Description)
			}
			e.fault("console %s: %s", event.Type, strings.Join(words, " "))
		}
	case *cdplog.EventEntryAdded:
		// Answers that are no success are told of with their request, below.
		quiet := event.Entry.Source == cdplog.EntrySourceNetwork ||
			event.Entry.Level != cdplog.EntryLevelError && event.Entry.Level != cdplog.EntryLevelWarning
		if !quiet {
			e.fault("%s: %s", event.Entry.Source, event.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if event.Issue.Code == audits.InspectorIssueCodeContentSecurityPolicyIssue {
			issue := event.Issue.Details.ContentSecurityPolicyIssueDetails
			e.fault("content security policy: %s %s", issue.ViolatedDirective, issue.BlockedURL)
		}
	}
}

func (e *events) request(event *network.EventRequestWillBeSent) {
	e.asked++
	u, err := url.Parse(event.Request.URL)
	if err != nil {
		e.fault("a request to what is no address: %s", event.Request.URL)
		return
	}
	switch ip := net.ParseIP(u.Hostname()); {
	case u.Scheme == "data" || u.Scheme == "about" || u.Scheme == "blob":
	case ip == nil || !ip.IsLoopback():
		e.fault("a request outside the daemon: %s", event.Request.URL)
	}
}

func (e *events) response(event *network.EventResponseReceived) {
	if event.Type == network.ResourceTypeDocument {
		e.status = int(event.Response.Status)
		return
	}
	if event.Response.Status >= 400 {
		e.fault("%s answers %d", event.Response.URL, event.Response.Status)
	}
}

func (e *events) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Sprintf(format, args...))
}

func describe(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

// Faults are what the tab has done that no page of ours may do: exceptions,
// errors and warnings on the console, violations of its security policy,
// requests that failed, and requests to another host than loopback.
func (p *Page) Faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.faults)
}

// Dialogs are what the browser has asked the person so far ("beforeunload: ").
// They are answered with yes, unless Refuse says otherwise.
func (p *Page) Dialogs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.dialogs)
}

// Refuse has dialogs answered with no, from now on or no more.
func (p *Page) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

// Status is that of the answer that brought the last document.
func (p *Page) Status() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Saved waits until a file was saved that a click has asked for (see
// Options.Downloads), and returns where it is.
func (p *Page) Saved() (string, error) {
	ctx, cancel := p.within()
	defer cancel()
	var file string
	err := p.retry(ctx, func() error {
		files, err := filepath.Glob(filepath.Join(p.downloads, "*"))
		if err != nil {
			return err
		}
		for _, file = range files {
			if !strings.HasSuffix(file, ".crdownload") {
				return nil
			}
		}
		return errors.New("no file was saved")
	})
	return file, err
}

// Loaded is what came over the network since Go or First was last called:
// bytes of all answers with their headers, as sent, and how many requests.
func (p *Page) Loaded() (bytes, requests int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, p.asked
}

func (e *events) forgetBytes() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bytes, e.asked = 0, 0
}

// count is how many documents have been loaded.
func (e *events) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.loaded
}

// awaitLoad waits until more documents have been loaded than before.
func (e *events) awaitLoad(ctx context.Context, before int) error {
	for {
		e.mu.Lock()
		loaded, changed := e.loaded, e.changed
		e.mu.Unlock()
		if loaded > before {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.New("no document was loaded")
		}
	}
}
