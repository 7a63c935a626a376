package message

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"deflectd/campaigns"
)

// recentMost is for how many days figures are kept: see TEXTS_KEPT in
// scripts/common.lua.
const recentMost = 31

// recentFields are what a day counts of a campaign, in the order of the fields of
// campaigns.Texts.
var recentFields = []string{"sent", "delivered", "failed", "unknown"}

// Recent says what became of the texts of campaigns that were made within the last
// days: days of UTC, today is one of them, and 31 are the most. A text counts on the
// day it was made, whenever the news of it comes: as sent once the provider has
// taken it, be it that it failed or expired afterwards; as delivered; as failed
// where it certainly did not arrive, for it failed or expired at any point; as
// unknown for as long as that is its state. One that is on its way or was cancelled
// is none of these. Tests are not counted, and what another gateway sends is.
//
// Every campaign that is asked for is answered, in one round trip. The error is
// ErrStore.
func (o *Outbox) Recent(ctx context.Context, ids []string, days int) (map[string]campaigns.Texts, error) {
	days = max(1, min(days, recentMost))
	found := make(map[string]campaigns.Texts, len(ids))
	answers := make(map[string][]*redis.SliceCmd, len(ids))
	if len(ids) == 0 {
		return found, nil
	}
	today := dayOf(time.Now())
	err := o.do(ctx, "read the figures of campaigns", func(ctx context.Context) error {
		_, err := o.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for _, id := range ids {
				if answers[id] != nil {
					continue
				}
				for day := today - int64(days) + 1; day <= today; day++ {
					answers[id] = append(answers[id], p.HMGet(ctx, textsKey(id, day), recentFields...))
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	for id, list := range answers {
		t := campaigns.Texts{Days: days}
		for _, a := range list {
			for i, sum := range []*int64{&t.Sent, &t.Delivered, &t.Failed, &t.Unknown} {
				n, err := count(a.Val()[i])
				if err != nil {
					return nil, storeError("read the figures of campaigns", err)
				}
				*sum += n
			}
		}
		found[id] = t
	}
	return found, nil
}

// dayOf is the number of the day of UTC: 0 is the first of 1970.
func dayOf(t time.Time) int64 { return t.Unix() / int64(24*time.Hour/time.Second) }

// textsKey has what became of the texts of a campaign that were made on a day.
func textsKey(campaign string, day int64) string {
	return textsPrefix + campaign + ":" + strconv.FormatInt(day, 10)
}

// count reads a figure, 0 where there is none.
func count(v any) (int64, error) {
	if v == nil {
		return 0, nil
	}
	if s, ok := v.(string); ok {
		return strconv.ParseInt(s, 10, 64)
	}
	return 0, errors.New("a figure is no number")
}
