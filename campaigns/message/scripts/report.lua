-- What the provider says became of a message. A final state beats any other
-- and stays; reports repeat and come in any order.
--   unknown | sending | queued → accepted
--   accepted | unknown         → delivered | failed | expired
--   sending | queued           → accepted → delivered | failed | expired
-- A report proves that a message queued for another try was taken the first
-- time: it is not tried again. So it is where no attempt is known: Redis has lost
-- its last writes, the one of the attempt among them.
-- Of a message that was sent a second time, each text has reports of its own. That
-- one did not arrive says nothing of the other: it counts only where it is known,
-- by the provider's id, to be of the second one.
-- What it says of the number is learnt in any state.
-- Repeated for the same request it answers the same, for as long as nothing
-- else happened to the message.
--
-- KEYS  1 message
-- ARGV  1 id  2 state  3 reason  4 provider's id
--       5 the request, a word never used twice
--       6 for how long the number is not to be texted (ms), 0 where it may be
-- Answers {'ok', is an opt-out new? 1 : 0, ms since the message was made,
--          campaign, test, was it taken only now? 1 : 0}
--       | {'stale', is an opt-out new? 1 : 0} | {'missing'}
local r = redis.call('HMGET', KEYS[1], 'state', 'attempts', 'created', 'campaign', 'test', 'provider_id',
  'updated', 'report', 'taken', 'resent')
local state, attempts, created = r[1], tonumber(r[2]), tonumber(r[3])
if not created then
  return { 'missing' }
end
local at = clock()
local known = r[6] or ''
if known == '' and ARGV[4] ~= '' and (not r[10] or ARGV[2] == 'delivered') then
  redis.call('HSET', KEYS[1], 'provider_id', ARGV[4])
end
local new = learn(KEYS[1], at, ARGV[3], tonumber(ARGV[6]), ARGV[5])
if r[8] == ARGV[5] and state == ARGV[2] then -- taken already
  return { 'ok', new, r[7] - created, r[4] or '', r[5] or '', tonumber(r[9]) }
end
if FINAL[state] or state == ARGV[2] then
  return { 'stale', new }
end
if r[10] and (ARGV[2] == 'failed' or ARGV[2] == 'expired')
  and (state == 'queued' or state == 'sending' or known == '' or known ~= ARGV[4]) then
  return { 'stale', new }
end
if attempts == 0 then
  redis.call('HSET', KEYS[1], 'attempts', 1)
end
took(KEYS[1])
local taken = 0
if state ~= 'accepted' and state ~= 'unknown' and ARGV[2] ~= 'accepted' then
  change(KEYS[1], at, 'accepted', 'report')
  taken = 1
end
change(KEYS[1], at, ARGV[2], ARGV[3] ~= '' and ARGV[3] or 'report', 'reason', ARGV[3], 'holder', '',
  'report', ARGV[5], 'taken', taken)
leave(ARGV[1])
return { 'ok', new, at - created, r[4] or '', r[5] or '', taken }
