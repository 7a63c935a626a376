package message

import (
	"context"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Get reads a message with its history. The errors are ErrNotFound and ErrStore.
func (o *Outbox) Get(ctx context.Context, id string) (Message, error) {
	var fields map[string]string
	err := o.do(ctx, "read a message", func(ctx context.Context) (err error) {
		fields, err = o.rdb.HGetAll(ctx, messageKey(id)).Result()
		return err
	})
	if err != nil {
		return Message{}, err
	}
	m, ok := parseRecord(id, fields)
	if !ok {
		return Message{}, fmt.Errorf("message %s: %w", id, ErrNotFound)
	}
	return m, nil
}

// parseRecord makes a message of its hash in Redis. It answers false for a
// record that is not there.
func parseRecord(id string, fields map[string]string) (Message, bool) {
	if fields["created"] == "" {
		return Message{}, false
	}
	m := Message{
		ID: id, Campaign: fields["campaign"], Call: fields["call"], To: fields["to"],
		Originator: fields["originator"], Text: fields["text"], Link: fields["link"], URL: fields["url"],
		Encoding: fields["encoding"], Segments: number(fields["segments"]),
		State: State(fields["state"]), Reason: fields["reason"],
		Provider: fields["provider"], ProviderID: fields["provider_id"],
		Attempts: number(fields["attempts"]), Test: fields["test"] == "1",
		Created: instant(fields["created"]), Updated: instant(fields["updated"]), Expires: instant(fields["expires"]),
	}
	m.History = parseHistory(fields)
	return m, true
}

// parseHistory reads the fields "change:N", each "milliseconds state cause".
func parseHistory(fields map[string]string) []Change {
	type numbered struct {
		n int
		Change
	}
	var changes []numbered
	for name, value := range fields {
		n, ok := strings.CutPrefix(name, "change:")
		if !ok {
			continue
		}
		if parts := strings.SplitN(value, " ", 3); len(parts) == 3 {
			changes = append(changes, numbered{number(n), Change{instant(parts[0]), State(parts[1]), parts[2]}})
		}
	}
	sort.Slice(changes, func(i, j int) bool { return changes[i].n < changes[j].n })
	history := make([]Change, len(changes))
	for i, c := range changes {
		history[i] = c.Change
	}
	return history
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// instant reads Unix milliseconds.
func instant(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
