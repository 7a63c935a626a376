package admin

import (
	"encoding/json"
	"fmt"

	"deflectd/campaigns"
)

// patched applies a merge patch to a campaign. The result is to be checked like
// a campaign that somebody sends.
func patched(now *campaigns.Campaign, patch map[string]any) (any, error) {
	body, err := json.Marshal(now)
	if err != nil {
		return nil, fmt.Errorf("patch campaign %s: %w", now.ID, err)
	}
	var document any
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("patch campaign %s: %w", now.ID, err)
	}
	return merge(document, patch), nil
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
