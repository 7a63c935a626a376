-- Takes a number out of messages to it:
--   queued            → cancelled (→ unknown where an attempt may have gone out)
--   sending, unknown  is marked: it is not sent again
-- What says whom it went to is gone then, and so is where the link leads; the
-- link stays as one that has expired. The pseudonym stays with a message that
-- the provider may still report on, so that an opt-out is heard, and goes when
-- that one is final; who has opted out already leaves none behind, nor does one
-- that another gateway sends. What one that
-- may not have gone out has counted against the limits of its campaign, of its
-- range of numbers and of the service is known until it is final, to be taken back.
-- Repeated for the same request it answers the same.
--
-- KEYS  1 index of the number
-- ARGV  1 prefix of message keys  2 what comes before and  3 behind the code in
--       the key of where a link leads (all in the hash slot of KEYS)
--       4 the request, a word never used twice, then the ids
-- Answers {how many there were, {changed: id, state, campaign, call, test} …}
local at = clock()
local count, changed = 0, {}
for i = 5, #ARGV do
  local id = ARGV[i]
  local message = ARGV[1] .. id
  local r = redis.call('HMGET', message, 'state', 'created', 'link', 'campaign', 'call', 'test', 'forgotten', 'cancel',
    'person', 'provider')
  local state = r[1]
  if r[2] then
    count = count + 1
  end
  if r[2] and r[7] ~= ARGV[4] then
    if state == 'queued' then
      state = unsent(message, id, at, 'cancelled', 'forgotten', 'cancel', ARGV[4])
      r[8] = ARGV[4]
    elseif state == 'sending' or state == 'unknown' then
      redis.call('HSET', message, 'withdrawn', 'forgotten')
    end
    if state ~= 'sending' then
      leave(id)
    end
    redis.call('HDEL', message, 'to', 'text', 'url', 'originator')
    if state ~= 'sending' and state ~= 'unknown' then
      redis.call('HDEL', message, 'prefix', 'counted')
    end
    if FINAL[state] or r[10] == 'external' or ((r[9] or '') ~= '' and optout_has(r[9])) then
      redis.call('HDEL', message, 'person')
    end
    redis.call('HSET', message, 'forgotten', ARGV[4])
    if (r[3] or '') ~= '' then
      redis.call('DEL', ARGV[2] .. r[3] .. ARGV[3])
    end
  end
  if r[2] and r[8] == ARGV[4] then
    changed[#changed + 1] = { id, state, r[4] or '', r[5] or '', r[6] or '' }
  end
  redis.call('ZREM', KEYS[1], id)
end
return { count, changed }
