package browser

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// tree is the page as a screen reader has it: roles, names and states, as the
// browser computes them.
type tree struct {
	nodes map[accessibility.NodeID]*accessibility.Node
	order []*accessibility.Node
}

func (p *Page) tree(ctx context.Context) (*tree, error) {
	full, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	if err != nil {
		return nil, err
	}
	t := &tree{nodes: make(map[accessibility.NodeID]*accessibility.Node, len(full.Nodes)), order: full.Nodes}
	for _, n := range full.Nodes {
		t.nodes[n.NodeID] = n
	}
	return t, nil
}

// candidates are all elements with one of the roles, in what is named by within.
// The whole tree is asked for only where it must be known what is in what: on a
// long page that is a lot.
func (p *Page) candidates(ctx context.Context, roles, within []string) ([]*accessibility.Node, error) {
	if len(within) > 0 {
		t, err := p.tree(ctx)
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(t.order, func(n *accessibility.Node) bool {
			return n.Ignored || !slices.Contains(roles, text(n.Role)) || !t.inside(n, within)
		}), nil
	}
	document, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: "document"})
	if err != nil {
		return nil, err
	}
	var all []*accessibility.Node
	for _, role := range roles {
		found, err := chromedp.Call(ctx, accessibility.QueryAXTree, accessibility.QueryAXTreeParams{
			ObjectID: document.Result.ObjectID, Role: role,
		})
		if err != nil {
			return nil, err
		}
		all = append(all, found.Nodes...)
	}
	return slices.DeleteFunc(all, func(n *accessibility.Node) bool { return n.Ignored }), nil
}

// control finds the one element with one of the roles and the name. It is what
// is spoken, less what stands in parentheses after it ("(needed)"); where there
// is none, it is among what is spoken. Each of within is the beginning of what a
// container around it is called: a region, a group; or words in the row of a
// table.
func (p *Page) control(ctx context.Context, roles []string, name string, within []string) (cdp.BackendNodeID, error) {
	all, err := p.candidates(ctx, roles, within)
	if err != nil {
		return 0, err
	}
	var exact, close []*accessibility.Node
	var there []string
	for _, n := range all {
		spoken := squeeze(text(n.Name))
		there = append(there, fmt.Sprintf("%q", spoken))
		switch {
		case spoken == name || strings.HasPrefix(spoken, name+" ("):
			exact = append(exact, n)
		case strings.Contains(spoken, name):
			close = append(close, n)
		}
	}
	found := exact
	if len(found) == 0 {
		found = close
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("there are %d of them; every %s there is: %s", len(found), strings.Join(roles, " or "), strings.Join(there, ", "))
	}
	return found[0].BackendDOMNodeID, nil
}

// inside reports whether every word of within names something around the node.
func (t *tree) inside(n *accessibility.Node, within []string) bool {
	for _, word := range within {
		found := false
		for up := t.nodes[n.ParentID]; up != nil && !found; up = t.nodes[up.ParentID] {
			found = !up.Ignored && strings.HasPrefix(squeeze(text(up.Name)), word) ||
				text(up.Role) == "row" && strings.Contains(t.words(up), word)
		}
		if !found {
			return false
		}
	}
	return true
}

// words are all names below a node: what is read in the row of a table.
func (t *tree) words(n *accessibility.Node) string {
	var b strings.Builder
	for _, id := range n.ChildIDs {
		if child := t.nodes[id]; child != nil {
			b.WriteString(squeeze(text(child.Name)) + " " + t.words(child))
		}
	}
	return b.String()
}

// text is a value that is a string, or empty.
func text(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var s string
	if err := json.Unmarshal(v.Value, &s); err != nil {
		return strings.TrimSpace(string(v.Value)) // numbers and booleans speak for themselves
	}
	return s
}

// property is a state of a node, such as "checked"; empty where it has none.
func property(n *accessibility.Node, name accessibility.PropertyName) string {
	for _, p := range n.Properties {
		if p.Name == name {
			return text(p.Value)
		}
	}
	return ""
}

// Control is one control as it is now.
type Control struct {
	Value       string // what a field holds
	Description string // what is said of it after its name: hint, warning, error
	Checked     bool
	Disabled    bool
	Invalid     bool
}

// Control waits for the one element with the role and the name, and says how
// it is. Within, if given, are names of what it must be in: the row of a table
// by any of its words, a region or a group by the beginning of its name.
func (p *Page) Control(role, name string, within ...string) (c Control, err error) {
	ctx, cancel := p.within()
	defer cancel()
	roles := []string{role}
	if role == "field" {
		roles = fields
	}
	err = p.retry(ctx, func() error {
		id, err := p.control(ctx, roles, name, within)
		if err != nil {
			return err
		}
		c, err = p.state(ctx, id)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("look at %s %q: %w", role, name, err)
	}
	return c, nil
}

func (p *Page) state(ctx context.Context, id cdp.BackendNodeID) (Control, error) {
	no := false
	part, err := chromedp.Call(ctx, accessibility.GetPartialAXTree, accessibility.GetPartialAXTreeParams{
		BackendNodeID: id, FetchRelatives: &no,
	})
	if err != nil {
		return Control{}, err
	}
	if len(part.Nodes) == 0 {
		return Control{}, errors.New("it is gone")
	}
	n := part.Nodes[0]
	invalid := property(n, accessibility.PropertyNameInvalid)
	return Control{
		Value: text(n.Value), Description: text(n.Description),
		Checked:  property(n, accessibility.PropertyNameChecked) == "true",
		Disabled: property(n, accessibility.PropertyNameDisabled) == "true",
		Invalid:  invalid != "" && invalid != "false",
	}, nil
}

// Await waits until a control is as it should be.
func (p *Page) Await(role, name string, is func(Control) bool, within ...string) error {
	ctx, cancel := p.within()
	defer cancel()
	return p.retry(ctx, func() error {
		c, err := p.Control(role, name, within...)
		if err == nil && !is(c) {
			err = fmt.Errorf("%s %q is %+v", role, name, c)
		}
		return err
	})
}
