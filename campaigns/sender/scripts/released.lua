-- Forgets a sender that the account does not own any more.
--
-- KEYS[1]  hash of senders: number -> json
-- KEYS[2]  hash of what is under way: number -> see common.lua
-- KEYS[3]  sorted set of released numbers, by time (ms)
-- ARGV[1]  number
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  channel of notices
--
-- Answers {'ok'}, also where that was done, or {'busy'} where somebody else took
-- the request up.

local number = ARGV[1]
local p = parse(redis.call('HGET', KEYS[2], number))
if not p then
  return {'ok'}
end
if p.nonce ~= ARGV[2] then
  return {'busy'}
end
redis.call('HDEL', KEYS[1], number)
redis.call('HDEL', KEYS[2], number)
redis.call('ZADD', KEYS[3], now(), number)
redis.call('PUBLISH', ARGV[3], number)
return {'ok'}
