-- Creates a campaign and claims its numbers.
--
-- KEYS[1…5], ARGV[1…8]  see common.lua
-- KEYS[6]   idempotency key: "digest record" of the campaign it made
-- ARGV[9]   the campaign as JSON
-- ARGV[10]  digest of the request; empty where it has no idempotency key
-- ARGV[11]  how long that key is remembered (ms)
-- ARGV[12…] its numbers
--
-- Answers {'ok', version, created, updated, deleted}, {'exists'},
-- {'taken', number, id}, and where the idempotency key is known
-- {'record', record} or {'conflict'}. A key is noted together with what it made:
-- a refusal leaves none. A deleted campaign of that id is replaced; versions go
-- on counting, so that no old ETag fits the new campaign.

local digest = ARGV[10]
if digest ~= '' then
  local first = redis.call('GET', KEYS[6])
  if first then
    local known, made = string.match(first, '^(%x+) (.*)$')
    if known == digest then
      return {'record', made}
    end
    return {'conflict'}
  end
end
local version, old = 1, nil
local record = redis.call('HGET', KEYS[1], id)
if record then
  old = parse(record)
  if old.nonce == nonce then
    return done(old)
  end
  if old.deleted == 0 then
    return {'exists'}
  end
  version = old.version + 1
end

local numbers = {unpack(ARGV, 12)}
local refusal = taken(numbers)
if refusal then
  return refusal
end

local time = now()
local c = {version = version, created = time, updated = time, deleted = 0, nonce = nonce, body = ARGV[9]}
if digest ~= '' then
  redis.call('SET', KEYS[6], digest .. ' ' .. format(c), 'PX', ARGV[11])
end
claim(numbers)
return put(old, c)
