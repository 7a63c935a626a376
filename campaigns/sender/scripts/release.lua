-- Notes that a number is about to be released, before the provider is asked.
-- From now on nothing comes from it.
--
-- KEYS[1]  hash of senders: number -> json
-- KEYS[2]  hash of what is under way: number -> see common.lua
-- KEYS[3]  sorted set of released numbers, by time (ms)
-- ARGV[1]  number
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  its lease (ms)
-- ARGV[4]  the configured sender; empty where there is none or it is this one
-- ARGV[5]  1 where campaigns name this number
-- ARGV[6]  1 where it was confirmed
-- ARGV[7]  channel of notices
--
-- Answers {'ok'}, {'missing'}, {'busy'}, or {'confirm', whether it is the last}.
-- Of two that are released at once, the second is the last.

local number, nonce = ARGV[1], ARGV[2]
if redis.call('HEXISTS', KEYS[1], number) == 0 then
  return {'missing'}
end
local time = now()
local p = parse(redis.call('HGET', KEYS[2], number))
if p and p.nonce == nonce then
  return {'ok'}
end
if p and p.till > time then
  return {'busy'}
end

local last = ARGV[4] == '' or redis.call('ZSCORE', KEYS[3], ARGV[4])
for _, other in ipairs(redis.call('HKEYS', KEYS[1])) do
  if other ~= number and redis.call('HEXISTS', KEYS[2], other) == 0 then
    last = false
  end
end
if ARGV[6] ~= '1' and (last or ARGV[5] == '1') then
  return {'confirm', last and 1 or 0}
end
redis.call('HSET', KEYS[2], number, format({
  kind = 'release', nonce = nonce, till = time + tonumber(ARGV[3]), begun = time,
  tries = (p and p.tries or 0) + 1, key = '-', digest = '-', body = '',
}))
redis.call('PUBLISH', ARGV[7], number)
return {'ok'}
