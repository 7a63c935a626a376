-- Replaces a campaign, if it still has the version the writer has seen.
--
-- KEYS[1…5], ARGV[1…8]  see common.lua
-- ARGV[9]   the campaign as JSON
-- ARGV[10]  the version it must have
-- ARGV[11]  same, where it means what the one that is there means and is only
--           written otherwise: then the version stays and nobody need hear of
--           it; else empty
-- ARGV[12…] its numbers
--
-- Answers {'ok', version, created, updated, deleted}, {'missing'}, {'stale'},
-- or {'taken', number, id}.

local record = redis.call('HGET', KEYS[1], id)
if not record then
  return {'missing'}
end
local old = parse(record)
if old.nonce == nonce then
  return done(old)
end
if old.deleted ~= 0 then
  return {'missing'}
end
if old.version ~= tonumber(ARGV[10]) then
  return {'stale'}
end
local c = {version = old.version, created = old.created, updated = old.updated, deleted = 0, nonce = nonce, body = ARGV[9]}
if ARGV[11] == 'same' then
  redis.call('HSET', KEYS[1], id, format(c))
  return done(c)
end

local numbers = {unpack(ARGV, 12)}
local refusal = taken(numbers)
if refusal then
  return refusal
end

free(old.body)
claim(numbers)
c.version, c.updated = old.version + 1, now()
return put(old, c)
