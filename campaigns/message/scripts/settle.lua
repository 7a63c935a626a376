-- What an attempt came to, as the provider's answer says:
--   sending → accepted | failed | unknown
-- A worker that was held up so long that others took it for dead may still tell
-- what it knows of its own attempt: unknown → accepted | failed.
-- And where Redis has lost its last writes (a replica took over), the message is
-- queued as before the attempt, still held by the worker that has made it:
--   queued → accepted | failed | unknown
-- Harmless when repeated. Where a delivery report came first, its state stays
-- and only the provider's id is added.
--
-- KEYS  1 message  2 outbox  3 queued
-- ARGV  1 id  2 holder  3 attempt  4 new state  5 reason  6 provider  7 its id
-- Answers {'ok', ms since the message was made} | {'lost', state}
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'created', 'provider_id')
local state, holder, attempts, created, known = r[1], r[2], r[3], tonumber(r[4]), r[5]
local lost = state == 'queued' and tonumber(attempts) == ARGV[3] - 1 -- the write that made it sending
if not created or not (attempts == ARGV[3] or lost) then
  return { 'lost', state or '' }
end
local at = clock()
if holder == ARGV[2] then
  if state == ARGV[4] then
    return { 'ok', at - created }
  end
  if state == 'sending' or lost or (state == 'unknown' and ARGV[4] ~= 'unknown') then
    change(KEYS[1], at, ARGV[4], ARGV[5] ~= '' and ARGV[5] or 'provider',
      'attempts', ARGV[3], 'reason', ARGV[5], 'provider', ARGV[6], 'provider_id', ARGV[7])
    leave(KEYS[2], KEYS[3], ARGV[1])
    return { 'ok', at - created }
  end
end
if ARGV[7] ~= '' and (known or '') == '' then
  redis.call('HSET', KEYS[1], 'provider', ARGV[6], 'provider_id', ARGV[7])
end
return { 'lost', state }
