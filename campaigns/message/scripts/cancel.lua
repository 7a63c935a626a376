-- queued → cancelled; any other state stays. Harmless when repeated.
-- With a tombstone, a message that is not there yet is kept from ever being
-- made: the request to make it may still be on its way to Redis.
--
-- KEYS  1 message  2 outbox  3 queued
-- ARGV  1 id  2 cause  3 how long the tombstone stays (ms), 0 for none
-- Answers {state it is in, changed? 1 : 0, campaign, test}; the state is '' for
-- a message that is not there
local r = redis.call('HMGET', KEYS[1], 'state', 'campaign', 'test')
local state = r[1]
if not state then
  if tonumber(ARGV[3]) > 0 then
    redis.call('HSET', KEYS[1], 'state', 'cancelled')
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
  end
  return { '', 0, '', '' }
end
if state ~= 'queued' then
  return { state, 0, r[2] or '', r[3] or '' }
end
change(KEYS[1], clock(), 'cancelled', ARGV[2], 'reason', ARGV[2])
leave(KEYS[2], KEYS[3], ARGV[1])
return { 'cancelled', 1, r[2] or '', r[3] or '' }
