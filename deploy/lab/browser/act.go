package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// pause is how often is looked for what is waited for.
const pause = 30 * time.Millisecond

// Click clicks on the control of that role and name, where it is. Within, if
// given, says in what: see Control.
func (p *Page) Click(role, name string, within ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	return p.click(ctx, role, name, within)
}

// Follow clicks on what leads to another page, and waits until that is loaded.
func (p *Page) Follow(role, name string, within ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	err := p.loads(ctx, func() error { return p.click(ctx, role, name, within) })
	if err != nil {
		return fmt.Errorf("follow %s %q: %w", role, name, err)
	}
	return nil
}

func (p *Page) click(ctx context.Context, role, name string, within []string) error {
	err := p.retry(ctx, func() error {
		id, err := p.control(ctx, []string{role}, name, within)
		if err != nil {
			return err
		}
		return p.press(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("click %s %q: %w", role, name, err)
	}
	return nil
}

// inFront says what is clicked on at a point instead of the element; "" where
// it is that, something in it, or its label.
const inFront = `function(x, y) {
	const at = document.elementFromPoint(x, y);
	if (at && (this.contains(at) || at.contains(this) || [...(this.labels || [])].some(l => l.contains(at)))) return "";
	return at ? at.outerHTML.slice(0, 80) : "nothing";
}`

// press brings an element into view and clicks on its middle.
func (p *Page) press(ctx context.Context, id cdp.BackendNodeID) error {
	if _, err := chromedp.Call(ctx, dom.ScrollIntoViewIfNeeded, dom.ScrollIntoViewIfNeededParams{BackendNodeID: id}); err != nil {
		return err
	}
	at, err := chromedp.Call(ctx, dom.GetContentQuads, dom.GetContentQuadsParams{BackendNodeID: id})
	if err != nil {
		return err
	}
	if len(at.Quads) == 0 || len(at.Quads[0]) != 8 {
		return errors.New("it takes no room on the page")
	}
	q := at.Quads[0] // four corners, x and y
	x, y := (q[0]+q[2]+q[4]+q[6])/4, (q[1]+q[3]+q[5]+q[7])/4
	var before string
	if err := p.call(ctx, id, inFront, &before, x, y); err != nil {
		return err
	}
	if before != "" {
		return errors.New("in front of it is " + before)
	}
	for _, event := range []input.DispatchMouseEventParams{
		{Type: input.DispatchMouseEventTypeMouseMoved, X: x, Y: y},
		{Type: input.DispatchMouseEventTypeMousePressed, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: 1},
		{Type: input.DispatchMouseEventTypeMouseReleased, X: x, Y: y, Button: input.MouseButtonLeft, ClickCount: 1},
	} {
		if _, err := chromedp.Call(ctx, input.DispatchMouseEvent, event); err != nil {
			return err
		}
	}
	p.Effort.Clicks++
	return nil
}

// Fill replaces what a field holds by what is typed.
func (p *Page) Fill(name, text string, within ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	err := p.retry(ctx, func() error {
		id, err := p.control(ctx, fields, name, within)
		if err != nil {
			return err
		}
		return p.press(ctx, id)
	})
	if err == nil {
		err = p.replace(ctx, text)
	}
	if err != nil {
		return fmt.Errorf("fill %q: %w", name, err)
	}
	return nil
}

// fields are the roles of what can be typed into.
var fields = []string{"textbox", "searchbox", "spinbutton", "Date", "InputTime"}

// replace selects what is in the field that has the focus, and types.
func (p *Page) replace(ctx context.Context, text string) error {
	for _, kind := range []input.DispatchKeyEventType{input.DispatchKeyEventTypeRawKeyDown, input.DispatchKeyEventTypeKeyUp} {
		event := input.DispatchKeyEventParams{
			Type: kind, Key: "a", Code: "KeyA", WindowsVirtualKeyCode: 'A', Modifiers: 2, // Ctrl
		}
		if kind == input.DispatchKeyEventTypeRawKeyDown {
			event.Commands = []string{"selectAll"}
		}
		if _, err := chromedp.Call(ctx, input.DispatchKeyEvent, event); err != nil {
			return err
		}
	}
	if text == "" {
		return chromedp.Do(ctx, chromedp.KeyEvent(kb.Delete))
	}
	p.Effort.Keys += len([]rune(text))
	_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
	return err
}

// Press presses keys one after the other, as kb names them; Follow by keyboard
// is Enter.
func (p *Page) Press(keys ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	for _, key := range keys {
		p.Effort.Keys++
		if err := chromedp.Do(ctx, chromedp.KeyEvent(key)); err != nil {
			return fmt.Errorf("press a key: %w", err)
		}
	}
	return nil
}

// Enter presses the Enter key where the focus is, and waits for the page it
// leads to.
func (p *Page) Enter() error {
	ctx, cancel := p.within()
	defer cancel()
	if err := p.loads(ctx, func() error { return p.Press(kb.Enter) }); err != nil {
		return fmt.Errorf("press Enter: %w", err)
	}
	return nil
}

// Choose picks an option of a list by what it says. It costs two clicks.
func (p *Page) Choose(name, option string, within ...string) error {
	const pick = `function(option) {
		const found = [...this.options].find(o => o.label.trim() === option) || [...this.options].find(o => o.label.includes(option));
		if (!found) throw new Error("there are: " + [...this.options].map(o => o.label).join(", "));
		this.focus();
		this.value = found.value;
		this.dispatchEvent(new Event("input", {bubbles: true}));
		this.dispatchEvent(new Event("change", {bubbles: true}));
	}`
	ctx, cancel := p.within()
	defer cancel()
	err := p.retry(ctx, func() error {
		id, err := p.control(ctx, []string{"combobox", "listbox"}, name, within)
		if err != nil {
			return err
		}
		return p.call(ctx, id, pick, nil, option)
	})
	if err != nil {
		return fmt.Errorf("choose %q as %q: %w", option, name, err)
	}
	p.Effort.Clicks += 2
	return nil
}

// Upload gives a file to a field for files.
func (p *Page) Upload(name, file string) error {
	ctx, cancel := p.within()
	defer cancel()
	err := p.retry(ctx, func() error {
		id, err := p.control(ctx, []string{"button"}, name, nil)
		if err != nil {
			return err
		}
		_, err = chromedp.Call(ctx, dom.SetFileInputFiles, dom.SetFileInputFilesParams{Files: []string{file}, BackendNodeID: id})
		return err
	})
	if err != nil {
		return fmt.Errorf("upload a file as %q: %w", name, err)
	}
	p.Effort.Clicks += 3 // the field, the file, the button of the dialog
	return nil
}

// call calls a function of JavaScript on an element, and decodes what it
// returns, unless into is nil.
func (p *Page) call(ctx context.Context, id cdp.BackendNodeID, function string, into any, args ...any) error {
	object, err := chromedp.Call(ctx, dom.ResolveNode, dom.ResolveNodeParams{BackendNodeID: id})
	if err != nil {
		return err
	}
	yes := true
	params := runtime.CallFunctionOnParams{FunctionDeclaration: function, ObjectID: object.Object.ObjectID, ReturnByValue: &yes}
	for _, arg := range args {
		value, err := json.Marshal(arg)
		if err != nil {
			return err
		}
		params.Arguments = append(params.Arguments, &runtime.CallArgument{Value: value})
	}
	res, err := chromedp.Call(ctx, runtime.CallFunctionOn, params)
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

// Text is all that can be read on the page, as it is laid out, with what is in
// its fields.
func (p *Page) Text() (string, error) {
	ctx, cancel := p.within()
	defer cancel()
	text, err := p.text(ctx)
	if err != nil {
		return "", fmt.Errorf("read the page: %w", err)
	}
	return text, nil
}

func (p *Page) text(ctx context.Context) (string, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
}

// See waits until each of the words can be read on the page. Space is space,
// however much of it.
func (p *Page) See(words ...string) error {
	return p.await("see", words, strings.Contains)
}

// Gone waits until none of the words can be read on the page.
func (p *Page) Gone(words ...string) error {
	return p.await("see no more", words, func(text, word string) bool { return !strings.Contains(text, word) })
}

func (p *Page) await(what string, words []string, is func(text, word string) bool) error {
	ctx, cancel := p.within()
	defer cancel()
	for _, word := range words {
		word = squeeze(word)
		var text string
		err := p.retry(ctx, func() (err error) {
			if text, err = p.text(ctx); err == nil && !is(squeeze(text), word) {
				err = fmt.Errorf("the page has %d other characters", len(text))
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("%s %q: %w", what, word, err)
		}
	}
	return nil
}

// retry does something until it succeeds or its time is over, and returns its
// last complaint then.
func (p *Page) retry(ctx context.Context, do func() error) error {
	var last error
	for {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // not the one of being out of time
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(pause):
		}
	}
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }
