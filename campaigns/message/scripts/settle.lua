-- What an attempt came to, as the provider's answer says:
--   sending → accepted | failed | unknown
-- A worker that was held up so long that others took it for dead may still tell
-- what it knows of its own attempt: unknown → accepted | failed.
-- And where Redis has lost its last writes (a replica took over), the message is
-- queued as before the attempt, still held by the worker that has made it:
--   queued → accepted | failed | unknown
-- One that fails where an earlier attempt may have gone out is unknown.
-- Harmless when repeated. Where a delivery report came first, its state stays
-- and only the provider's id is added.
--
-- KEYS  1 message
-- ARGV  1 id  2 holder  3 attempt  4 new state  5 reason  6 provider  7 its id
--       8 for how long the number is not to be texted (ms), 0 where it may be
-- Answers {'ok', ms since the message was made, state it has entered, is an
--          opt-out new? 1 : 0} | {'lost', state}
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'created', 'provider_id', 'resent', 'settled')
local state, holder, attempts, created, known = r[1], r[2], r[3], tonumber(r[4]), r[5]
local lost = state == 'queued' and tonumber(attempts) == ARGV[3] - 1 -- the write that made it sending
if not created or not (attempts == ARGV[3] or lost) then
  return { 'lost', state or '' }
end
local at = clock()
local token = table.concat({ ARGV[2], ARGV[3], ARGV[4], ARGV[5] }, ' ')
if holder == ARGV[2] then
  local enters = (ARGV[4] == 'failed' and r[6]) and 'unknown' or ARGV[4]
  if state == enters and r[7] == token then -- settled already
    return { 'ok', at - created, enters, learn(KEYS[1], at, ARGV[5], tonumber(ARGV[8]), token) }
  end
  if state == 'sending' or lost or (state == 'unknown' and enters ~= 'unknown') then
    local new = learn(KEYS[1], at, ARGV[5], tonumber(ARGV[8]), token)
    if ARGV[4] == 'failed' then
      unsent(KEYS[1], ARGV[1], at, 'failed', ARGV[5], 'attempts', ARGV[3], 'settled', token,
        'provider', ARGV[6], 'provider_id', ARGV[7])
    else
      change(KEYS[1], at, ARGV[4], ARGV[5] ~= '' and ARGV[5] or 'provider', 'attempts', ARGV[3], 'settled', token,
        'reason', ARGV[5], 'provider', ARGV[6], 'provider_id', ARGV[7])
    end
    if enters == 'unknown' then
      doubt(KEYS[1], at, ARGV[1])
    else
      leave(ARGV[1])
    end
    return { 'ok', at - created, enters, new }
  end
end
if ARGV[7] ~= '' and (known or '') == '' then
  redis.call('HSET', KEYS[1], 'provider', ARGV[6], 'provider_id', ARGV[7])
end
return { 'lost', state }
