-- Marks a campaign as deleted and frees its numbers.
--
-- KEYS[1…5], ARGV[1…8]  see common.lua
-- ARGV[9]  the version it must have; 0 for any
--
-- Answers {'ok', version, created, updated, deleted}, {'missing'} or {'stale'}.

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
local wanted = tonumber(ARGV[9])
if wanted ~= 0 and old.version ~= wanted then
  return {'stale'}
end

local time = now()
free(old.body)
return put(old, {
  version = old.version + 1, created = old.created, updated = time, deleted = time, nonce = nonce, body = old.body,
})
