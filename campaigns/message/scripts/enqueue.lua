-- Makes a message durable, with its link, its place in the queue, the lease of
-- the worker that will try it at once, its entries in the indices, and what it
-- counts against the limits; or refuses it. One that another gateway sends has no
-- place in the queue and is accepted from the first.
-- Harmless when repeated: a message that is there already stays as it is, and
-- counts once.
-- A request may lie before a Redis that hangs until whoever made it has given it
-- up. It says until when it may be heard, by Redis' clock: after that nothing is
-- written.
--
-- KEYS  1 message  2 link  3 where the link leads  4 index of all  5 index of
--       the number  6 service switch  7 idempotency key (only where there is one)
-- ARGV  1 id  2 holder  3 lease (ms)  4 validity (ms)  5 retention (ms)
--       6 where the link leads  7 for how long (ms)  8 link is kept for (ms)
--       9 "id digest" for the idempotency key  10 how long that is kept (ms)
--       11 not after (Unix ms)  12 who waits for it: 'live', 'list' or, where another gateway
--       sends it, 'external'  13 segments
--       14 how long any message is kept at most (ms): what is older leaves the
--       index of the number
--       15 does it go out though a limit is reached, but count? 1 : 0
--       16 where the arguments of the guards begin, behind all others, 0 where
--       nothing is guarded
--       17 how many of the following belong to the link (0: there is none), then
--       those fields and values, then those of the message
-- Answers {'ok', created (ms)}
--       | {'again', state}            this id is there already
--       | {'late', now (ms)}          nothing is made any more
--       | {'repeat', id} | {'conflict', id}   the idempotency key is taken
--       | {'off'}                     the service switch is off
--       | {'refused', reason, limit, ms until it is worth asking again or 0}
--       | {'collision'}               the link's code is taken
local id, way = ARGV[1], ARGV[12]
local enters = way == 'external' and 'accepted' or 'queued'
local state = redis.call('HGET', KEYS[1], 'state')
if state then
  if state == enters then
    return { 'ok', tonumber(redis.call('HGET', KEYS[1], 'created')) }
  end
  return { 'again', state }
end
local at = clock()
if at > tonumber(ARGV[11]) then
  return { 'late', at }
end
if KEYS[7] then
  local first = redis.call('GET', KEYS[7])
  if first then
    local other, digest = first:match('^(%S+) (%S+)$')
    if digest == ARGV[9]:match(' (%S+)$') then
      return { 'repeat', other }
    end
    return { 'conflict', other }
  end
end
if redis.call('GET', KEYS[6]) == 'off' then
  return { 'off' }
end
local segments, guarded = tonumber(ARGV[13]), tonumber(ARGV[16])
local subject, limits
if guarded > 0 then
  subject, limits = guard_args(guarded)
  if ARGV[15] ~= '1' then
    local reason, limit, retry = guard_refusal(subject, limits, at, segments)
    if reason ~= '' then
      return { 'refused', reason, limit, retry }
    end
  end
end
local split = 17 + tonumber(ARGV[17])
if split > 17 then
  if redis.call('EXISTS', KEYS[2]) == 1 then
    return { 'collision' }
  end
  redis.call('HSET', KEYS[2], unpack(ARGV, 18, split))
  redis.call('PEXPIRE', KEYS[2], ARGV[8])
  redis.call('SET', KEYS[3], ARGV[6], 'PX', ARGV[7])
end

local list = way == 'list'
redis.call('HSET', KEYS[1], 'created', at, 'expires', at + ARGV[4], 'holder', way == 'live' and ARGV[2] or '', 'attempts', 0,
  'segments', segments, unpack(ARGV, split + 1, guarded > 0 and guarded - 1 or #ARGV))
if list then
  redis.call('HSET', KEYS[1], 'list', 1)
end
if subject then
  guard_count(subject, at, id, segments)
  redis.call('HSET', KEYS[1], 'person', subject.person, 'prefix', subject.prefix, 'exempt', subject.exempt,
    'counted', subject.exempt == 'test' and '' or '1')
end
change(KEYS[1], at, enters, way == 'external' and 'external' or 'requested')
redis.call('PEXPIRE', KEYS[1], ARGV[5])
if list then
  redis.call('ZADD', LISTS, at, id)
elseif way == 'live' then
  redis.call('ZADD', LIVE, at + ARGV[3], id)
end
if enters == 'queued' then
  redis.call('ZADD', QUEUED, at, id)
end
redis.call('ZADD', KEYS[4], at, id)
redis.call('ZREMRANGEBYSCORE', KEYS[5], '-inf', at - ARGV[14])
redis.call('ZADD', KEYS[5], at, id)
if redis.call('PTTL', KEYS[5]) < tonumber(ARGV[5]) then -- never less than what is there needs
  redis.call('PEXPIRE', KEYS[5], ARGV[5])
end
if KEYS[7] then
  redis.call('SET', KEYS[7], ARGV[9], 'PX', ARGV[10])
end
return { 'ok', at }
