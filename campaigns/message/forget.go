package message

import "context"

// forgetBatch is how many messages one script takes a number out of.
const forgetBatch = 100

// Forget takes a number out of all messages to it, and answers how many there
// were. What is queued is cancelled, and what is with the provider is not tried
// again. Gone are the number, the text, the originator, and where the link
// leads; the link stays as one that has expired, and the record as what became
// of a message to somebody. Where the provider may yet say that the person has
// opted out, the pseudonym stays until the message is final. Links that were made
// alone for the number lead nowhere any more either. The error is ErrStore: it is
// to be asked for again.
func (o *Outbox) Forget(ctx context.Context, e164 string) (n int, err error) {
	if err := o.forgetLinks(ctx, e164); err != nil {
		return 0, err
	}
	before, behind := linkURLKey()
	key := numberKey(e164)
	for {
		var ids []string
		err := o.do(ctx, "forget a number", func(ctx context.Context) (err error) {
			ids, err = o.rdb.ZRange(ctx, key, 0, forgetBatch-1).Result()
			return err
		})
		if err != nil || len(ids) == 0 {
			return n, err
		}
		args := []any{messagePrefix, before, behind, o.unique()}
		for _, id := range ids {
			args = append(args, id)
		}
		answer, err := o.run(ctx, forgetScript, "forget a number", []string{key}, args...)
		if err != nil {
			return n, err
		}
		n += int(answer.int(0))
		for _, row := range answer.list(1) {
			r := reply(row.([]any))
			o.changed(change{
				message: r.string(0), state: State(r.string(1)), cause: "forgotten",
				campaign: r.string(2), call: r.string(3), test: r.string(4) == "1",
			})
		}
	}
}
