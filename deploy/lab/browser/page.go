package browser

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/chromedp/cdproto/audits"
	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/css"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A page looks one of these ways.
const (
	Light Look = "light" // a desk: 1280 × 800
	Dark  Look = "dark"  // the same in dark colours
	Phone Look = "phone" // 360 × 740, in light colours
)

// Look is how a page is looked at.
type Look string

// Looks are all of them.
func Looks() []Look { return []Look{Light, Dark, Phone} }

const (
	wide, high           = 1280, 800
	phoneWide, phoneHigh = 360, 740
)

// Page is one tab of somebody who shares nothing with anybody else: no cookie,
// no cache. It is for one goroutine, and ends with the context it was opened
// with.
type Page struct {
	ctx    context.Context // of chromedp
	cancel context.CancelFunc
	seen   Look
	// downloads is where files are saved; empty: they are not.
	downloads string

	// Effort is what it has cost the person so far.
	Effort Effort

	events
}

// Options say what is special about a page.
type Options struct {
	// NoScript turns JavaScript off.
	NoScript bool
	// Downloads is the folder into which files are saved; empty: none are.
	Downloads string
}

// Open opens an empty tab.
func (b *Browser) Open(ctx context.Context, o Options) (*Page, error) {
	p := &Page{downloads: o.Downloads}
	p.start()
	tab, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	// The tab ends with the caller's context as well.
	unbind := context.AfterFunc(ctx, cancel)
	p.ctx, p.cancel = tab, func() { unbind(); cancel() }
	if err := p.prepare(o); err != nil {
		p.Close()
		return nil, fmt.Errorf("open a tab: %w", err)
	}
	return p, nil
}

// Another opens one more tab of the same person, with the same cookies.
func (p *Page) Another() (*Page, error) {
	other := &Page{}
	other.start()
	tab, cancel := chromedp.NewContext(p.ctx, chromedp.WithListener(other.hear))
	other.ctx, other.cancel = tab, cancel
	if err := other.prepare(Options{}); err != nil {
		other.Close()
		return nil, fmt.Errorf("open another tab: %w", err)
	}
	return other, nil
}

// prepare makes the tab what it is to be before it loads anything.
func (p *Page) prepare(o Options) error {
	if err := chromedp.Do(p.ctx); err != nil {
		return err
	}
	p.answer = func(accept bool) {
		_, _ = chromedp.Call(p.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: accept})
	}
	behavior := cdpbrowser.SetDownloadBehaviorParams{
		Behavior: cdpbrowser.SetDownloadBehaviorBehaviorDeny, BrowserContextID: chromedp.FromContext(p.ctx).BrowserContextID,
	}
	if o.Downloads != "" {
		behavior.Behavior, behavior.DownloadPath = cdpbrowser.SetDownloadBehaviorBehaviorAllow, o.Downloads
		yes := true
		behavior.EventsEnabled = &yes
	}
	_, err1 := chromedp.CallBrowser(p.ctx, cdpbrowser.SetDownloadBehavior, behavior)
	// All tabs think that they are the one in front.
	_, err2 := chromedp.Call(p.ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
	_, err3 := chromedp.Call(p.ctx, audits.Enable, cdp.Empty{})
	_, err4 := chromedp.Call(p.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: o.NoScript})
	// Every element and every sheet would be told of, and nobody listens.
	_, err5 := chromedp.Call(p.ctx, css.Disable, cdp.Empty{})
	_, err6 := chromedp.Call(p.ctx, dom.Disable, cdp.Empty{})
	return errors.Join(err1, err2, err3, err4, err5, err6, p.Appear(Light))
}

// Close closes the tab and forgets whatever it kept.
func (p *Page) Close() {
	p.cancel()
	p.close()
}

// within bounds one step.
func (p *Page) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(p.ctx, patience)
}

// Go loads an address and returns the status of the answer, after redirects.
func (p *Page) Go(address string) (status int, err error) {
	ctx, cancel := p.within()
	defer cancel()
	p.forgetBytes()
	err = p.loads(ctx, func() error {
		res, err := chromedp.Call(ctx, page.Navigate, page.NavigateParams{URL: address})
		if err == nil && res.ErrorText != "" {
			err = errors.New(res.ErrorText)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("go to %s: %w", address, err)
	}
	return p.Status(), nil
}

// First loads an address as if for the first time: nothing is cached. Loaded
// says what it cost.
func (p *Page) First(address string) (status int, err error) {
	ctx, cancel := p.within()
	defer cancel()
	if _, err := chromedp.Call(ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true}); err != nil {
		return 0, fmt.Errorf("go to %s: %w", address, err)
	}
	status, err = p.Go(address)
	_, err2 := chromedp.Call(ctx, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: false})
	return status, errors.Join(err, err2)
}

// loads does something and waits until a document was loaded because of it.
func (p *Page) loads(ctx context.Context, do func() error) error {
	before := p.count()
	if err := do(); err != nil {
		return err
	}
	return p.awaitLoad(ctx, before)
}

// Address is where the tab is: path and query, without scheme and host.
func (p *Page) Address() (string, error) {
	ctx, cancel := p.within()
	defer cancel()
	address, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return "", fmt.Errorf("ask for the address: %w", err)
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("ask for the address: %w", err)
	}
	return u.RequestURI(), nil
}

// Appear changes how the page is looked at, without loading it again. Nothing
// moves: people who ask for that are shown the same page.
func (p *Page) Appear(look Look) error {
	ctx, cancel := p.within()
	defer cancel()
	scheme := "light"
	if look == Dark {
		scheme = "dark"
	}
	p.seen = look
	_, err1 := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err := errors.Join(err1, p.window(ctx, 0)); err != nil {
		return fmt.Errorf("look at the page in %s: %w", look, err)
	}
	return nil
}

// window gives the page a window as high as asked for, at least as high as the
// look has it.
func (p *Page) window(ctx context.Context, height int64) error {
	metrics := emulation.SetDeviceMetricsOverrideParams{Width: wide, Height: max(high, height), DeviceScaleFactor: 1}
	if p.seen == Phone {
		metrics.Width, metrics.Height, metrics.Mobile = phoneWide, max(phoneHigh, height), true
	}
	_, err := chromedp.Call(ctx, emulation.SetDeviceMetricsOverride, metrics)
	return err
}

// Screenshot is a PNG of the page as it looks now: of all of it, or of what the
// window shows.
func (p *Page) Screenshot(whole bool) ([]byte, error) {
	ctx, cancel := p.within()
	defer cancel()
	metrics, err := chromedp.Call(ctx, page.GetLayoutMetrics, cdp.Empty{})
	if err != nil {
		return nil, fmt.Errorf("take a screenshot: %w", err)
	}
	fast := true
	params := page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: &whole, OptimizeForSpeed: &fast}
	if whole {
		size := metrics.CSSContentSize
		params.Clip = &page.Viewport{Width: size.Width, Height: size.Height, Scale: 1}
	}
	shot, err := chromedp.Call(ctx, page.CaptureScreenshot, params)
	if err != nil {
		return nil, fmt.Errorf("take a screenshot: %w", err)
	}
	return shot.Data, nil
}

// Effort is what people have to do to get somewhere.
type Effort struct {
	Clicks int // with the mouse, or taps
	Keys   int // characters typed, and other keys
}

// Less is the effort since an earlier one.
func (e Effort) Less(earlier Effort) Effort {
	return Effort{Clicks: e.Clicks - earlier.Clicks, Keys: e.Keys - earlier.Keys}
}

// Time is how long a practised person takes for it by the keystroke-level model
// (Card, Moran and Newell, 1980): 1.1 s to point and 0.2 s to press, 0.28 s for
// a key as an average typist hits it, and once per click 0.4 s for the hand that
// goes between mouse and keyboard. The time to think is not in it.
func (e Effort) Time() time.Duration {
	return time.Duration(e.Clicks)*1700*time.Millisecond + time.Duration(e.Keys)*280*time.Millisecond
}

func (e Effort) String() string {
	return fmt.Sprintf("%d clicks and %d keys, %.0f s by the keystroke-level model", e.Clicks, e.Keys, e.Time().Seconds())
}
