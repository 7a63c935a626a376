-- Creates a campaign and claims its numbers.
--
-- KEYS[1]  hash of campaigns: id -> record
-- KEYS[2]  hash of numbers: DNIS -> id of the campaign that answers it
-- KEYS[3]  sorted set of deleted campaigns: id by time of deletion (ms)
-- KEYS[4]  idempotency key: "digest record" of the campaign it made
-- ARGV[1]  id
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  the campaign as JSON
-- ARGV[4]  channel of notices
-- ARGV[5]  how long deleted campaigns are kept (ms)
-- ARGV[6]  digest of the request; empty where it has no idempotency key
-- ARGV[7]  how long that key is remembered (ms)
-- ARGV[8…] its numbers
--
-- Answers {'ok', version, created, updated, deleted}, {'exists'},
-- {'taken', number, id}, and where the idempotency key is known
-- {'again', record} or {'conflict'}. A key is noted together with what it made:
-- a refusal leaves none. A deleted campaign of that id is replaced; versions go
-- on counting, so that no old ETag fits the new campaign.

local id, nonce = ARGV[1], ARGV[2]
if ARGV[6] ~= '' then
  local first = redis.call('GET', KEYS[4])
  if first then
    local digest, made = string.match(first, '^(%x+) (.*)$')
    if digest == ARGV[6] then
      return {'again', made}
    end
    return {'conflict'}
  end
end
local version = 1
local record = redis.call('HGET', KEYS[1], id)
if record then
  local old = parse(record)
  if old.nonce == nonce then
    return done(old)
  end
  if old.deleted == 0 then
    return {'exists'}
  end
  version = old.version + 1
end

local numbers = {unpack(ARGV, 8)}
local refusal = taken(KEYS[2], id, numbers)
if refusal then
  return refusal
end

local time = now()
local c = {version = version, created = time, updated = time, deleted = 0, nonce = nonce, body = ARGV[3]}
redis.call('ZREM', KEYS[3], id)
write(KEYS[1], id, c)
if ARGV[6] ~= '' then
  redis.call('SET', KEYS[4], ARGV[6] .. ' ' .. format(c), 'PX', ARGV[7])
end
claim(KEYS[2], id, numbers)
purge(KEYS[1], KEYS[3], time, tonumber(ARGV[5]))
redis.call('PUBLISH', ARGV[4], id)
return done(c)
