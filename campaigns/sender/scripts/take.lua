-- Takes up what was under way with a number and is held by nobody.
--
-- KEYS[1]  hash of what is under way: number -> see common.lua
-- ARGV[1]  number
-- ARGV[2]  nonce of whoever takes it (hexadecimal)
-- ARGV[3]  its lease (ms)
--
-- Answers {'ok', now, record}, or {'missing'} where there is nothing to take.

local time = now()
local p = parse(redis.call('HGET', KEYS[1], ARGV[1]))
if not p or (p.till > time and p.nonce ~= ARGV[2]) then
  return {'missing'}
end
p.nonce, p.till = ARGV[2], time + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], format(p))
return {'ok', time, format(p)}
