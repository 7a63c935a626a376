-- Marks a campaign as deleted and frees its numbers.
--
-- KEYS[1]  hash of campaigns: id -> record
-- KEYS[2]  hash of numbers: DNIS -> id of the campaign that answers it
-- KEYS[3]  sorted set of deleted campaigns: id by time of deletion (ms)
-- ARGV[1]  id
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  channel of notices
-- ARGV[4]  how long deleted campaigns are kept (ms)
-- ARGV[5]  the version it must have; 0 for any
--
-- Answers {'ok', version, created, updated, deleted}, {'missing'} or {'stale'}.

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
local wanted = tonumber(ARGV[5])
if wanted ~= 0 and c.version ~= wanted then
  return {'stale'}
end

local time = now()
free(KEYS[2], id, c.body)
c.version, c.updated, c.deleted, c.nonce = c.version + 1, time, time, nonce
write(KEYS[1], id, c)
redis.call('ZADD', KEYS[3], time, id)
purge(KEYS[1], KEYS[3], time, tonumber(ARGV[4]))
redis.call('PUBLISH', ARGV[3], id)
return done(c)
