-- What the provider says became of a message. A final state beats any other
-- and stays; reports repeat and come in any order.
--   accepted | unknown | sending → delivered | failed | expired
--   unknown | sending            → accepted
-- A report also proves that a message queued for another try was taken the
-- first time: it is not tried again. A message never tried has no report.
--
-- KEYS  1 message  2 outbox  3 queued
-- ARGV  1 id  2 state  3 reason  4 provider's id
-- Answers {'ok', ms since the message was made, campaign, test, was it taken
--          only now? 1 : 0} | {'stale', state} | {'missing'}
local r = redis.call('HMGET', KEYS[1], 'state', 'attempts', 'created', 'campaign', 'test', 'provider_id')
local state, attempts, created = r[1], tonumber(r[2]), tonumber(r[3])
if not created then
  return { 'missing' }
end
if (r[6] or '') == '' and ARGV[4] ~= '' and attempts > 0 then
  redis.call('HSET', KEYS[1], 'provider_id', ARGV[4])
end
local final = state == 'delivered' or state == 'failed' or state == 'expired' or state == 'cancelled'
if final or state == ARGV[2] or attempts == 0 then
  return { 'stale', state }
end
local at = clock()
local taken = 0
if state ~= 'accepted' and state ~= 'unknown' and ARGV[2] ~= 'accepted' then
  change(KEYS[1], at, 'accepted', 'report')
  taken = 1
end
change(KEYS[1], at, ARGV[2], ARGV[3] ~= '' and ARGV[3] or 'report', 'reason', ARGV[3], 'holder', '')
leave(KEYS[2], KEYS[3], ARGV[1])
return { 'ok', at - created, r[4] or '', r[5] or '', taken }
