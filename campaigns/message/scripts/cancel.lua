-- queued → cancelled (→ unknown where an earlier attempt may have gone out); any
-- other state stays. One that is with the provider is marked: where it turns out
-- not to have gone out, it is cancelled instead of tried again (see retry). One
-- that is unknown is not sent again.
-- Repeated for the same request it answers the same, for as long as nothing
-- else happened to the message.
--
-- KEYS  1 message
-- ARGV  1 id  2 cause  3 the request, a word never used twice
-- Answers {state it is in, changed by this request? 1 : 0, campaign, test, now
--          (ms)}; the state is '' for a message that is not there
local r = redis.call('HMGET', KEYS[1], 'state', 'campaign', 'test', 'cancel')
local state, mine = r[1], r[4] == ARGV[3] and 1 or 0
local at = clock()
if state == 'sending' or (state == 'unknown' and mine == 0) then
  redis.call('HSET', KEYS[1], 'withdrawn', ARGV[2])
  if state == 'unknown' then
    leave(ARGV[1])
  end
elseif state == 'queued' then
  state = unsent(KEYS[1], ARGV[1], at, 'cancelled', ARGV[2], 'cancel', ARGV[3])
  leave(ARGV[1])
  mine = 1
end
return { state or '', mine, r[2] or '', r[3] or '', at }
