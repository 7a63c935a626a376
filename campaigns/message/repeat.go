package message

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Repeated answers the message that a request with the same Key has made
// already, and whether there is one. It looks at nothing else: a repetition is
// answered also when the campaign has been switched off or deleted since, so of
// the campaign only the id is needed. The errors are ErrConflict where the key
// belongs to another request, ErrNotFound where the message is kept no longer,
// and ErrStore.
func (o *Outbox) Repeated(ctx context.Context, r Request) (Message, bool, error) {
	if r.Key == "" {
		return Message{}, false, nil
	}
	var marker string
	err := o.do(ctx, "look for the first request", func(ctx context.Context) (err error) {
		marker, err = o.rdb.Get(ctx, idempotencyKey(r.Key)).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	if err != nil || marker == "" {
		return Message{}, false, err
	}
	id, asked, _ := strings.Cut(marker, " ")
	if asked != digest(r, &Message{Campaign: r.Campaign.ID, To: r.To.E164, Call: r.Call, Test: r.Test}) {
		return Message{}, false, ErrConflict
	}
	m, err := o.Get(ctx, id)
	return m, err == nil, err
}
