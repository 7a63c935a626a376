-- Brings a deleted campaign back as it was and claims its numbers again.
--
-- KEYS[1…5], ARGV[1…8]  see common.lua
-- ARGV[9]  the version it must have; 0 for any
--
-- Answers {'record', record}, {'missing'}, {'alive'}, {'stale'}, or
-- {'taken', number, id}.

local record = redis.call('HGET', KEYS[1], id)
if not record then
  return {'missing'}
end
local old = parse(record)
if old.nonce == nonce then
  return {'record', record}
end
if old.deleted == 0 then
  return {'alive'}
end
local wanted = tonumber(ARGV[9])
if wanted ~= 0 and old.version ~= wanted then
  return {'stale'}
end
local numbers = numbers_of(old.body)
local refusal = taken(numbers)
if refusal then
  return refusal
end

claim(numbers)
local c = {version = old.version + 1, created = old.created, updated = now(), deleted = 0, nonce = nonce, body = old.body}
put(old, c)
return {'record', format(c)}
