-- Makes a message durable, with its link, its place in the queue, the lease of
-- the worker that will try it at once, and its entries in the indices.
-- Harmless when repeated: a message that is there already stays as it is.
--
-- KEYS  1 message  2 link  3 outbox  4 queued  5 index of all  6 index of the
--       number  7 service switch  8 idempotency key (only where there is one)
-- ARGV  1 id  2 holder  3 lease (ms)  4 validity (ms)  5 retention (ms)
--       6 link leads for (ms)  7 link is kept for (ms)
--       8 "id digest" for the idempotency key  9 how long that is kept (ms)
--       10 how many of the following belong to the link, then those fields and
--       values, then those of the message
-- Answers {'ok', created (ms)}
--       | {'again', state}            this id is there already
--       | {'repeat', id} | {'conflict', id}   the idempotency key is taken
--       | {'off'}                     the service switch is off
--       | {'collision'}               the link's code is taken
local id = ARGV[1]
local state = redis.call('HGET', KEYS[1], 'state')
if state then
  if state == 'queued' then
    return { 'ok', tonumber(redis.call('HGET', KEYS[1], 'created')) }
  end
  return { 'again', state }
end
if KEYS[8] then
  local first = redis.call('GET', KEYS[8])
  if first then
    local other, digest = first:match('^(%S+) (%S+)$')
    if digest == ARGV[8]:match(' (%S+)$') then
      return { 'repeat', other }
    end
    return { 'conflict', other }
  end
end
if redis.call('GET', KEYS[7]) == 'off' then
  return { 'off' }
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return { 'collision' }
end

local at = clock()
local split = 10 + tonumber(ARGV[10])
redis.call('HSET', KEYS[2], 'created', at, 'expires', at + ARGV[6], unpack(ARGV, 11, split))
redis.call('PEXPIRE', KEYS[2], ARGV[7])
redis.call('HSET', KEYS[1], 'created', at, 'expires', at + ARGV[4], 'holder', ARGV[2], 'attempts', 0,
  unpack(ARGV, split + 1))
change(KEYS[1], at, 'queued', 'requested')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[3], at + ARGV[3], id)
redis.call('ZADD', KEYS[4], at, id)
redis.call('ZADD', KEYS[5], at, id)
redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', at - ARGV[5])
redis.call('ZADD', KEYS[6], at, id)
redis.call('PEXPIRE', KEYS[6], ARGV[5])
if KEYS[8] then
  redis.call('SET', KEYS[8], ARGV[8], 'PX', ARGV[9])
end
return { 'ok', at }
