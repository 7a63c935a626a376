-- Ends what is under way with a number without having done it, or leaves it to
-- whoever takes it up next.
--
-- KEYS[1]  hash of what is under way: number -> see common.lua
-- KEYS[2]  idempotency key; KEYS[1] again where there is none
-- ARGV[1]  number
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  drop; leave; or undo, where this request has asked the provider for
--          nothing: that drops it where it was the first
-- ARGV[4]  channel of notices
--
-- Answers {'ok'}, also where somebody else took it up.

local p = parse(redis.call('HGET', KEYS[1], ARGV[1]))
if not p or p.nonce ~= ARGV[2] then
  return {'ok'}
end
if ARGV[3] == 'leave' or (ARGV[3] == 'undo' and p.tries > 1) then
  p.till = 0
  redis.call('HSET', KEYS[1], ARGV[1], format(p))
  return {'ok'}
end
redis.call('HDEL', KEYS[1], ARGV[1])
if p.key ~= '-' then
  redis.call('DEL', KEYS[2])
end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return {'ok'}
