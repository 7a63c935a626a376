package browser

import (
	"context"
	_ "embed" // the part of the check that looks at elements
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Violation is something that keeps people from using a page.
type Violation struct {
	Rule  string `json:"rule"`  // one word
	Where string `json:"where"` // the element
	What  string `json:"what"`  // in plain words
}

func (v Violation) String() string { return v.Rule + ": " + v.Where + ": " + v.What }

//go:embed check.js
var checkScript string

// Check looks for what keeps people from using the page as it looks now
// (Appear), after the Web Content Accessibility Guidelines 2.2, level AA, as far
// as a program can tell: every control has a role and a name; texts, edges of
// controls and the mark of the focus stand out from what is behind them; the
// Tab key gets everywhere, and the focus is seen there; headings, landmarks,
// labels, errors, tables, ids and languages are as they must be; targets are
// big enough, and nothing is wider than the window.
//
// In dark colours only what depends on colours is looked at. The page is left
// as it was, but for focus and scrolling.
func (p *Page) Check() ([]Violation, error) {
	ctx, cancel := context.WithTimeout(p.ctx, thorough)
	defer cancel()
	found, err := p.look(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the page: %w", err)
	}
	var spoken []Violation
	if p.seen != Dark {
		if spoken, err = p.spoken(ctx); err != nil {
			return nil, fmt.Errorf("check the page: %w", err)
		}
	}
	walked, err := p.walk(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the page: %w", err)
	}
	return slices.Concat(found, spoken, walked), nil
}

// look looks at all elements, in a window as high as the page, in which nothing
// has to be scrolled into view; colours are told without that.
func (p *Page) look(ctx context.Context) (found []Violation, err error) {
	world, err := p.world(ctx)
	if err != nil {
		return nil, err
	}
	if p.seen == Dark {
		err = ask(ctx, world, "deflectd.look(true)", &found)
		return found, err
	}
	var height int64
	if err := ask(ctx, world, "deflectd.height()", &height); err != nil {
		return nil, err
	}
	if err := p.window(ctx, height); err != nil {
		return nil, err
	}
	err = ask(ctx, world, "deflectd.look(false)", &found)
	return found, errors.Join(err, p.window(ctx, 0))
}

// world makes the script known to the document, out of the page's reach.
func (p *Page) world(ctx context.Context) (runtime.ExecutionContextID, error) {
	frames, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
	if err != nil {
		return 0, err
	}
	world, err := chromedp.Call(ctx, page.CreateIsolatedWorld, page.CreateIsolatedWorldParams{
		FrameID: frames.FrameTree.Frame.ID, WorldName: "check",
	})
	if err != nil {
		return 0, err
	}
	return world.ExecutionContextID, ask(ctx, world.ExecutionContextID, checkScript+"\n;true", nil)
}

// ask evaluates an expression in a world, and decodes what comes of it.
func ask(ctx context.Context, world runtime.ExecutionContextID, expression string, into any) error {
	yes := true
	res, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{
		Expression: expression, ContextID: world, ReturnByValue: &yes,
	})
	if err != nil {
		return err
	}
	if res.ExceptionDetails != nil {
		return errors.New(describe(res.ExceptionDetails))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(res.Result.Value, into)
}

// walk goes through the page with the Tab key, until it is at its end. Where
// the page looks otherwise than Light, only the first step is a real one: the
// order is the same, and what may differ is how the focus is shown.
func (p *Page) walk(ctx context.Context) (found []Violation, err error) {
	world, err := p.world(ctx)
	if err != nil {
		return nil, err
	}
	var stops int
	if err := ask(ctx, world, "deflectd.begin()", &stops); err != nil {
		return nil, err
	}
	if p.seen != Light {
		if err := tab(ctx); err != nil {
			return nil, err
		}
		return found, ask(ctx, world, "deflectd.walk()", &found)
	}
	for range 5 * stops { // at most: a field for a date is four
		if err := tab(ctx); err != nil {
			return nil, err
		}
		var another bool
		if err := ask(ctx, world, "deflectd.stop()", &another); err != nil {
			return nil, err
		}
		if !another {
			break
		}
	}
	return found, ask(ctx, world, "deflectd.end()", &found)
}

// tab presses the Tab key, and does not bother to let go of it.
func tab(ctx context.Context) error {
	_, err := chromedp.Call(ctx, input.DispatchKeyEvent, input.DispatchKeyEventParams{
		Type: input.DispatchKeyEventTypeRawKeyDown, Key: "Tab", Code: "Tab", WindowsVirtualKeyCode: 9,
	})
	return err
}

// controls are the roles of what people operate.
var controls = []string{
	"button", "checkbox", "combobox", "Date", "disclosureTriangle", "DisclosureTriangle", "InputTime", "link", "listbox",
	"menuitem", "radio", "searchbox", "slider", "spinbutton", "switch", "tab", "textbox", "ColorWell",
}

// named are the roles of what must have a name though nobody operates it.
var named = []string{"image", "img", "dialog", "alertdialog", "region", "table", "meter", "progressbar"}

// spoken looks at the page as a screen reader does.
func (p *Page) spoken(ctx context.Context) ([]Violation, error) {
	t, err := p.tree(ctx)
	if err != nil {
		return nil, err
	}
	var found []Violation
	for _, n := range t.order {
		if n.Ignored {
			continue
		}
		role, name := text(n.Role), squeeze(text(n.Name))
		var what string
		switch {
		case name == "" && (slices.Contains(controls, role) || slices.Contains(named, role)):
			what = "it is " + article(role) + " without a name"
		case property(n, accessibility.PropertyNameFocusable) == "true" &&
			slices.Contains([]string{"generic", "none", "StaticText", "paragraph", ""}, role):
			what = "it can be focused, and has no role"
		default:
			continue
		}
		where := p.describe(ctx, n.BackendDOMNodeID)
		if opening, _, _ := strings.Cut(where, ">"); !strings.Contains(opening, `tabindex="-1"`) { // where links and scripts lead to
			found = append(found, Violation{Rule: "name", Where: where, What: what})
		}
	}
	return found, nil
}

func article(role string) string {
	if strings.ContainsAny(role[:1], "aeiouAEIOU") {
		return "an " + role
	}
	return "a " + role
}

// describe says which element a node is, for a message.
func (p *Page) describe(ctx context.Context, id cdp.BackendNodeID) string {
	node, err := chromedp.Call(ctx, dom.GetOuterHTML, dom.GetOuterHTMLParams{BackendNodeID: id})
	if err != nil {
		return err.Error()
	}
	return node.OuterHTML[:min(len(node.OuterHTML), 120)]
}
