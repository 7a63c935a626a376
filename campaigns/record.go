package campaigns

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// record is a campaign as it was read from the store.
type record struct {
	campaign *Campaign
	newer    bool // it has fields or words that this version does not know
}

var errRecord = errors.New("not a record of a campaign")

// encode is the JSON kept in the store: what people wrote, without the facts
// that the store keeps beside it (see scripts/common.lua).
func encode(c *Campaign) ([]byte, error) {
	plain := *c
	plain.Version, plain.CreatedAt, plain.UpdatedAt, plain.DeletedAt = 0, time.Time{}, time.Time{}, nil
	plain.Warnings, plain.Texts = nil, nil
	if plain.DNIS == nil {
		plain.DNIS = []string{} // the scripts expect a list
	}
	body, err := json.Marshal(&plain)
	if err != nil {
		return nil, fmt.Errorf("encode campaign %s: %w", c.ID, err)
	}
	return body, nil
}

// decode reads a record as scripts/common.lua describes it: what people wrote,
// without defaults. Fields that this version does not know are passed over and
// noted, and so are words: what they ask for may be what forbids a text.
func decode(raw string) (record, error) {
	facts, body, ok := strings.Cut(raw, "\n")
	if !ok {
		return record{}, errRecord
	}
	var version, created, updated, deleted int64
	var by string
	if _, err := fmt.Sscanf(facts, "%d %d %d %d %s", &version, &created, &updated, &deleted, &by); err != nil {
		return record{}, fmt.Errorf("%w: %w", errRecord, err)
	}
	r := record{campaign: new(Campaign)}
	strict := json.NewDecoder(strings.NewReader(body))
	strict.DisallowUnknownFields()
	if err := strict.Decode(r.campaign); err != nil {
		r.campaign, r.newer = new(Campaign), true
		if err := json.NewDecoder(bytes.NewReader([]byte(body))).Decode(r.campaign); err != nil {
			return record{}, fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	r.newer = r.newer || !r.campaign.understood()
	r.campaign.setFacts(version, created, updated, deleted)
	return r, nil
}

func (c *Campaign) setFacts(version, created, updated, deleted int64) {
	c.Version = version
	c.CreatedAt = time.UnixMilli(created).UTC()
	c.UpdatedAt = time.UnixMilli(updated).UTC()
	c.DeletedAt = nil
	if deleted != 0 {
		t := time.UnixMilli(deleted).UTC()
		c.DeletedAt = &t
	}
}
