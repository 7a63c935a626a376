-- A worker gives a message back that certainly did not go out: sending → queued,
-- or it stays queued where it was not tried. It is held by nobody then and due
-- after a while, but no later than when it expires. One that was to be cancelled
-- meanwhile is: (sending →) queued → cancelled; or → unknown where an earlier
-- attempt may have gone out.
-- Repeated it answers the same, for as long as nothing else happened to the
-- message.
--
-- KEYS  1 message
-- ARGV  1 id  2 holder  3 attempt  4 delay (ms)  5 reason
--       6 why it is to be cancelled, '' where this worker knows of no such wish
-- Answers {'ok', ms until it is due, was it sending? 1 : 0}
--       | {'cancelled', cause, was it sending? 1 : 0, state it has entered}
--       | {'lost', state}
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'created', 'expires', 'withdrawn', 'returned',
  'list')
local state, holder, attempts, created, expires, withdrawn = r[1], r[2], r[3], r[4], tonumber(r[5]), r[6]
local queue = lane(r[8])
local at = clock()
if r[7] == ARGV[2] then -- given back already
  local tried = attempts == ARGV[3] and 1 or 0
  if state == 'queued' and holder == '' then
    return { 'ok', math.max(0, tonumber(redis.call('ZSCORE', queue, ARGV[1])) - at), tried }
  elseif (state == 'cancelled' or state == 'unknown') and withdrawn then
    return { 'cancelled', withdrawn, tried, state }
  end
end
local tried = state == 'sending' and attempts == ARGV[3]
if holder ~= ARGV[2] or not (tried or state == 'queued') then
  return { 'lost', state or '' }
end
redis.call('HSET', KEYS[1], 'returned', ARGV[2])
if tried then
  change(KEYS[1], at, 'queued', ARGV[5], 'reason', ARGV[5])
end
if not withdrawn and ARGV[6] ~= '' then
  withdrawn = ARGV[6]
  redis.call('HSET', KEYS[1], 'withdrawn', withdrawn)
end
if withdrawn then
  local entered = unsent(KEYS[1], ARGV[1], at, 'cancelled', withdrawn)
  leave(ARGV[1])
  return { 'cancelled', withdrawn, tried and 1 or 0, entered }
end
local due = math.min(at + ARGV[4], expires)
redis.call('HSET', KEYS[1], 'holder', '')
redis.call('ZADD', queue, due, ARGV[1])
redis.call('ZADD', QUEUED, created, ARGV[1])
return { 'ok', due - at, tried and 1 or 0 }
