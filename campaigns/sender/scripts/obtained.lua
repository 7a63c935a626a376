-- Makes a number that the account owns a sender.
--
-- KEYS[1]  hash of senders: number -> json
-- KEYS[2]  hash of what is under way: number -> see common.lua
-- KEYS[3]  sorted set of released numbers, by time (ms)
-- KEYS[4]  idempotency key; KEYS[1] again where there is none
-- ARGV[1]  number
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  the record, as json
-- ARGV[4]  digest of the request; "-" where it has no idempotency key
-- ARGV[5]  how long the idempotency key is remembered (ms)
-- ARGV[6]  channel of notices
--
-- Answers {'ok', json} with what is the record now, or {'busy'}: somebody else
-- took the request up, and will find the number owned. Nobody holding it, it is
-- written, for it costs money.

local number = ARGV[1]
local p = parse(redis.call('HGET', KEYS[2], number))
if not p or p.nonce ~= ARGV[2] then
  local sender = redis.call('HGET', KEYS[1], number)
  if sender then
    return {'ok', sender}
  end
  if p then
    return {'busy'}
  end
end
redis.call('HSET', KEYS[1], number, ARGV[3])
redis.call('HDEL', KEYS[2], number)
redis.call('ZREM', KEYS[3], number)
if ARGV[4] ~= '-' then
  redis.call('SET', KEYS[4], ARGV[4] .. '\n' .. ARGV[3], 'PX', ARGV[5])
end
redis.call('PUBLISH', ARGV[6], number)
return {'ok', ARGV[3]}
