-- Makes a message durable, with its link, its place in the queue, the lease of
-- the worker that will try it at once, and its entries in the indices.
-- Harmless when repeated: a message that is there already stays as it is.
-- A request may lie before a Redis that hangs until whoever made it has given it
-- up. It says until when it may be heard, by Redis' clock: after that nothing is
-- written.
--
-- KEYS  1 message  2 link  3 where the link leads  4 outbox  5 queued  6 index
--       of all  7 index of the number  8 service switch  9 idempotency key (only
--       where there is one)
-- ARGV  1 id  2 holder  3 lease (ms)  4 validity (ms)  5 retention (ms)
--       6 where the link leads  7 for how long (ms)  8 link is kept for (ms)
--       9 "id digest" for the idempotency key  10 how long that is kept (ms)
--       11 not after (Unix ms)
--       12 how many of the following belong to the link, then those fields and
--       values, then those of the message
-- Answers {'ok', created (ms)}
--       | {'again', state}            this id is there already
--       | {'late', now (ms)}          nothing is made any more
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
local at = clock()
if at > tonumber(ARGV[11]) then
  return { 'late', at }
end
if KEYS[9] then
  local first = redis.call('GET', KEYS[9])
  if first then
    local other, digest = first:match('^(%S+) (%S+)$')
    if digest == ARGV[9]:match(' (%S+)$') then
      return { 'repeat', other }
    end
    return { 'conflict', other }
  end
end
if redis.call('GET', KEYS[8]) == 'off' then
  return { 'off' }
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return { 'collision' }
end

local split = 12 + tonumber(ARGV[12])
redis.call('HSET', KEYS[2], unpack(ARGV, 13, split))
redis.call('PEXPIRE', KEYS[2], ARGV[8])
redis.call('SET', KEYS[3], ARGV[6], 'PX', ARGV[7])
redis.call('HSET', KEYS[1], 'created', at, 'expires', at + ARGV[4], 'holder', ARGV[2], 'attempts', 0,
  unpack(ARGV, split + 1))
change(KEYS[1], at, 'queued', 'requested')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('ZADD', KEYS[4], at + ARGV[3], id)
redis.call('ZADD', KEYS[5], at, id)
redis.call('ZADD', KEYS[6], at, id)
redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', at - ARGV[5])
redis.call('ZADD', KEYS[7], at, id)
redis.call('PEXPIRE', KEYS[7], ARGV[5])
if KEYS[9] then
  redis.call('SET', KEYS[9], ARGV[9], 'PX', ARGV[10])
end
return { 'ok', at }
