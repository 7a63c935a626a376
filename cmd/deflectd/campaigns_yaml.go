package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"deflectd/campaigns"
)

// fileHead is the first line of an export.
const fileHead = "# Campaigns of deflectd: see docs/campaigns.md. What is left out has its default.\n"

// writeCampaigns writes campaigns as YAML, the same bytes for the same campaigns.
func writeCampaigns(w io.Writer, all []*campaigns.Campaign) error {
	list := &yaml.Node{Kind: yaml.SequenceNode}
	if len(all) == 0 {
		list.Style = yaml.FlowStyle
	}
	for _, c := range all {
		item, err := nodeOf(c)
		if err != nil {
			return fmt.Errorf("write campaign %s: %w", c.ID, err)
		}
		list.Content = append(list.Content, item)
	}
	if _, err := io.WriteString(w, fileHead); err != nil {
		return err
	}
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	name := &yaml.Node{Kind: yaml.ScalarNode, Value: "campaigns"}
	if err := encoder.Encode(&yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{name, list}}); err != nil {
		return err
	}
	return encoder.Close()
}

// nodeOf writes a campaign in YAML, its fields in the order of the type.
func nodeOf(c *campaigns.Campaign) (*yaml.Node, error) {
	body, err := json.Marshal(essence(c))
	if err != nil {
		return nil, err
	}
	var document yaml.Node // JSON is YAML, and a node keeps the order of its fields
	if err := yaml.Unmarshal(body, &document); err != nil {
		return nil, err
	}
	item := document.Content[0]
	if err := plainStyle(item); err != nil {
		return nil, err
	}
	return item, nil
}

// plainStyle writes a node, which has JSON's style, as people write YAML: no
// braces, and quotes only where a value needs them.
func plainStyle(n *yaml.Node) error {
	n.Style = 0
	n.Line, n.Column = 0, 0
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		// The library knows which words need quotes, in older readers of YAML too.
		return n.Encode(n.Value)
	}
	for _, part := range n.Content {
		if err := plainStyle(part); err != nil {
			return err
		}
	}
	return nil
}

// written is a campaign without what the store keeps by itself.
func written(c *campaigns.Campaign) *campaigns.Campaign {
	plain := *c
	plain.Version, plain.CreatedAt, plain.UpdatedAt, plain.DeletedAt = 0, time.Time{}, time.Time{}, nil
	plain.Warnings, plain.Texts = nil, nil
	return &plain
}

// full is a campaign with all its defaults, and nothing that the store keeps.
func full(c *campaigns.Campaign) *campaigns.Campaign {
	whole := written(c)
	whole.SetDefaults()
	return whole
}

// essence is a campaign without what need not be said: what the store keeps, and
// what is so by default.
func essence(c *campaigns.Campaign) *campaigns.Campaign {
	whole := full(c)
	short := *whole
	for _, field := range defaulted(&short) {
		was := reflect.ValueOf(field.Interface())
		field.SetZero()
		// What is a default by itself may not be one beside the others: the
		// prompt of an offer has another where nobody is asked.
		if !same(full(&short), whole) {
			field.Set(was)
		}
	}
	return &short
}

// defaulted are the fields of a campaign that have a default.
func defaulted(c *campaigns.Campaign) []reflect.Value {
	var found []reflect.Value
	for _, field := range []any{
		&c.Enabled, &c.Kind, &c.Interaction.CallerID, &c.Interaction.CallerIDParam, &c.Validity, &c.OnUnknown, &c.LineTypes,
		&c.Link.ExpiresAfter, &c.Offer.Mode, &c.Offer.Prompt, &c.Offer.Accept, &c.Offer.Decline, &c.Offer.Timeout, &c.Offer.Attempts,
		&c.Release.Action, &c.Release.WaitFor, &c.Release.Wait, &c.Release.OnTimeout, &c.Release.Transfer.Priority,
	} {
		found = append(found, reflect.ValueOf(field).Elem())
	}
	return found
}

// same says whether two campaigns are the same as JSON.
func same(a, b *campaigns.Campaign) bool {
	one, err := json.Marshal(a)
	if err != nil {
		return false
	}
	other, err := json.Marshal(b)
	return err == nil && bytes.Equal(one, other)
}

// shown makes a text harmless for a terminal: what does not show is left out.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if !isShown(r) {
			return -1
		}
		return r
	}, s)
}
