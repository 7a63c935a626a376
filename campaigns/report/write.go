package report

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed scripts/record.lua
var recordSource string

var recordScript = redis.NewScript(recordSource)

// errAnswer is an answer of a script that makes no sense.
var errAnswer = errors.New("redis answered what the script never does")

// write puts a group into Redis in one round trip. Doing it twice changes
// nothing, so a group whose answer was lost is simply written again.
func (r *Recorder) write(ctx context.Context, group []record) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	keys := make([]string, 1, 1+2*len(group))
	args := make([]any, 2, 2+4*len(group))
	keys[0], args[0], args[1] = indexKey, r.retention.Milliseconds(), r.oldest(numberGrace)
	for _, rec := range group {
		keys = append(keys, recordKey(rec.id))
		for _, n := range rec.numbers {
			keys = append(keys, numberKey(n))
		}
		args = append(args, rec.id, scoreText(rec.score), len(rec.numbers), rec.body)
	}
	there, err := recordScript.Run(ctx, r.rdb, keys, args...).StringSlice()
	if err == nil && len(there) != len(group) {
		err = errAnswer
	}
	if err != nil {
		return fmt.Errorf("write %d records of calls: %w", len(group), err)
	}
	for i, rec := range group {
		switch {
		case there[i] == "" || rec.isForgotten(there[i]):
			// The first, or itself from a time when the answer was lost.
			rec.count.Inc()
		case !rec.orphan:
			r.again(rec)
		}
	}
	return nil
}

// isForgotten tells whether what is there is this very record, less a number
// that was forgotten since it was written.
func (rec *record) isForgotten(there string) bool {
	was, err := decode([]byte(there))
	if err != nil {
		return false
	}
	c, err := decode(rec.body)
	if err != nil {
		return false
	}
	if was.ANI == "" {
		c.ANI = ""
	}
	if was.Diverted == "" {
		c.Diverted = ""
	}
	body, err := json.Marshal(c)
	return err == nil && string(body) == there
}

// again queues a record under an id of its own: the call id and when this part
// of the call began.
func (r *Recorder) again(rec record) {
	var c Call
	if err := json.Unmarshal(rec.body, &c); err != nil || rec.second {
		r.log.Error("a second record of a call is lost", "call", rec.id, "error", err)
		r.dropped.Inc()
		return
	}
	c.ID = fmt.Sprintf("%s-%d", rec.id, c.Started.UnixMicro())
	r.log.Warn("a channel came that has a record already; the dialplan should not lead it here twice",
		"call", rec.id, "record", c.ID, "node", c.Node)
	r.record(c, true)
}
