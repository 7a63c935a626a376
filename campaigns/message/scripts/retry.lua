-- A worker gives a message back that certainly did not go out: sending → queued,
-- or it stays queued where it was not tried. It is held by nobody then and due
-- after a while, but no later than when it expires. Harmless when repeated.
--
-- KEYS  1 message  2 outbox  3 queued
-- ARGV  1 id  2 holder  3 attempt  4 delay (ms)  5 reason
-- Answers {'ok', ms until it is due, was it sending? 1 : 0} | {'lost', state}
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'created', 'expires')
local state, holder, attempts, created, expires = r[1], r[2], r[3], r[4], tonumber(r[5])
local tried = state == 'sending' and attempts == ARGV[3]
if holder ~= ARGV[2] or not (tried or state == 'queued') then
  return { 'lost', state or '' }
end
local at = clock()
local due = math.min(at + ARGV[4], expires)
if tried then
  change(KEYS[1], at, 'queued', ARGV[5], 'reason', ARGV[5])
end
redis.call('HSET', KEYS[1], 'holder', '')
redis.call('ZADD', KEYS[2], due, ARGV[1])
redis.call('ZADD', KEYS[3], created, ARGV[1])
return { 'ok', due - at, tried and 1 or 0 }
