-- queued → sending, by the worker that holds the message, just before the text
-- goes to the provider; or
--   queued → expired      where its time is over
--   queued → cancelled    where the person has opted out meanwhile; an answer to
--                         what they have texted (exempt: reply) still goes out.
--                         And where its sender was released
-- (→ unknown instead of either, where an earlier attempt may have gone out.)
-- While the service is switched off it stays queued. Where the sender has no slot
-- left it does as well, held by nobody: a live one takes its slot now and is due
-- exactly then, one of a list has another look when the next is free. A slot
-- stands for a second: what waited longer, for whatever reason, takes another,
-- so that nothing goes out in a burst afterwards.
-- Harmless when repeated for the same attempt.
--
-- KEYS  1 message  2 service switch  3 rate of the sender
-- ARGV  1 id  2 holder  3 attempt  4 lease (ms)  5 µs between two texts of the
--       sender, 0 for no limit  6 how much sooner one may go (µs)
-- Answers {'ok', validity left (ms)} | {'ended', state, cause} | {'off'}
--       | {'wait', ms} | {'lost', state}
local SLOT = 1000 -- how long a slot stands (ms)
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'expires', 'ended', 'waits', 'reason', 'person',
  'exempt', 'list', 'slot', 'originator')
local state, holder, attempts, expires = r[1], r[2], r[3], tonumber(r[4])
if not expires then
  return { 'lost', '' }
end
local queue = lane(r[10])
local at = clock()
if r[5] == ARGV[2] and (state == 'expired' or state == 'cancelled' or state == 'unknown') then -- ended already
  return { 'ended', state, r[7] }
end
if r[6] == ARGV[2] and state == 'queued' and holder == '' then -- waits already
  return { 'wait', math.max(0, tonumber(redis.call('ZSCORE', queue, ARGV[1])) - at) }
end
if holder ~= ARGV[2] then
  return { 'lost', state }
end
if state == 'sending' and attempts == ARGV[3] then
  return { 'ok', expires - at }
end
if state ~= 'queued' then
  return { 'lost', state }
end

local function finish(as, cause)
  local entered = unsent(KEYS[1], ARGV[1], at, as, cause, 'ended', ARGV[2])
  leave(ARGV[1])
  return { 'ended', entered, cause }
end

local function wait(due)
  redis.call('HSET', KEYS[1], 'holder', '', 'waits', ARGV[2])
  redis.call('ZADD', queue, due, ARGV[1])
  return { 'wait', due - at }
end

if at >= expires then
  return finish('expired', 'validity_over')
end
if redis.call('GET', KEYS[2]) == 'off' then
  return { 'off' }
end
if (r[8] or '') ~= '' and r[9] ~= 'reply' and optout_has(r[8]) then
  return finish('cancelled', 'opted_out')
end
if r[12] and sender_released(r[12]) then
  return finish('cancelled', 'sender_released')
end
local interval = tonumber(ARGV[5])
local mine = tonumber(r[11])
if interval > 0 and not (mine and at >= mine and at <= mine + SLOT) then
  if mine and at < mine then
    return wait(math.min(mine, expires))
  end
  local pace = rate_read(KEYS[3], at)
  local slot = rate_slot(pace, tonumber(ARGV[6]))
  if slot >= expires then
    return wait(expires) -- it will not be its turn in time
  end
  if slot > at and r[10] == '1' then
    return wait(slot)
  end
  rate_take(KEYS[3], at, pace, interval)
  if slot > at then
    redis.call('HSET', KEYS[1], 'slot', slot)
    return wait(slot)
  end
end
if mine then
  redis.call('HDEL', KEYS[1], 'slot')
end
change(KEYS[1], at, 'sending', 'attempt ' .. ARGV[3], 'attempts', ARGV[3])
redis.call('ZADD', queue, at + ARGV[4], ARGV[1])
redis.call('ZREM', QUEUED, ARGV[1])
return { 'ok', expires - at }
