-- Replaces a campaign, if it still has the version the writer has seen.
--
-- KEYS[1]  hash of campaigns: id -> record
-- KEYS[2]  hash of numbers: DNIS -> id of the campaign that answers it
-- ARGV[1]  id
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  the campaign as JSON
-- ARGV[4]  channel of notices
-- ARGV[5]  the version it must have
-- ARGV[6…] its numbers
--
-- Answers {'ok', version, created, updated, deleted}, {'missing'}, {'stale'},
-- or {'taken', number, id}.

local id, nonce = ARGV[1], ARGV[2]
local record = redis.call('HGET', KEYS[1], id)
if not record then
  return {'missing'}
end
local c = parse(record)
if c.nonce == nonce then
  return done(c)
end
if c.deleted ~= 0 then
  return {'missing'}
end
if c.version ~= tonumber(ARGV[5]) then
  return {'stale'}
end

local numbers = {unpack(ARGV, 6)}
local refusal = taken(KEYS[2], id, numbers)
if refusal then
  return refusal
end

free(KEYS[2], id, c.body)
claim(KEYS[2], id, numbers)
c.version, c.updated, c.nonce, c.body = c.version + 1, now(), nonce, ARGV[3]
write(KEYS[1], id, c)
redis.call('PUBLISH', ARGV[4], id)
return done(c)
