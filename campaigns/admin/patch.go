package admin

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"deflectd/campaigns"
)

// patched applies a merge patch to a campaign. The result is checked like a
// campaign that a client sends.
func (s *server) patched(now *campaigns.Campaign, patch map[string]any) (*campaigns.Campaign, error) {
	body, err := json.Marshal(now)
	if err != nil {
		return nil, fmt.Errorf("patch campaign %s: %w", now.ID, err)
	}
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("patch campaign %s: %w", now.ID, err)
	}
	document = merge(document, patch)

	registry := s.api.OpenAPI().Components.Schemas
	schema := registry.Schema(reflect.TypeFor[campaigns.Campaign](), true, "")
	found := huma.ValidateResult{}
	huma.Validate(registry, schema, huma.NewPathBuffer([]byte("body"), 0), huma.ModeWriteToServer, document, &found)
	if len(found.Errors) > 0 {
		p := invalid()
		for _, e := range found.Errors {
			p.Errors = append(p.Errors, detailOf(e))
		}
		return nil, p
	}
	body, err = json.Marshal(document)
	if err != nil {
		return nil, fmt.Errorf("patch campaign %s: %w", now.ID, err)
	}
	changed := new(campaigns.Campaign)
	if err := json.Unmarshal(body, changed); err != nil {
		return nil, invalid(inBody("", err.Error()))
	}
	return changed, nil
}

// merge is the algorithm of RFC 7396, section 2.
func merge(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merge(object[name], value)
		}
	}
	return object
}
