-- queued → sending, by the worker that holds the message, just before the text
-- goes to the provider; or queued → expired where its time is over.
-- While the service is switched off it stays queued.
-- Harmless when repeated for the same attempt.
--
-- KEYS  1 message  2 outbox  3 queued  4 service switch
-- ARGV  1 id  2 holder  3 attempt  4 lease (ms)
-- Answers {'ok', validity left (ms)} | {'expired'} | {'off'}
--       | {'lost', state}
local r = redis.call('HMGET', KEYS[1], 'state', 'holder', 'attempts', 'expires')
local state, holder, attempts, expires = r[1], r[2], r[3], tonumber(r[4])
if holder ~= ARGV[2] or not expires then
  return { 'lost', state or '' }
end
local at = clock()
if state == 'sending' and attempts == ARGV[3] then
  return { 'ok', expires - at }
end
if state == 'expired' then
  return { 'expired' }
end
if state ~= 'queued' then
  return { 'lost', state }
end
if at >= expires then
  change(KEYS[1], at, 'expired', 'validity_over', 'reason', 'validity_over')
  leave(KEYS[2], KEYS[3], ARGV[1])
  return { 'expired' }
end
if redis.call('GET', KEYS[4]) == 'off' then
  return { 'off' }
end
change(KEYS[1], at, 'sending', 'attempt ' .. ARGV[3], 'attempts', ARGV[3])
redis.call('ZADD', KEYS[2], at + ARGV[4], ARGV[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return { 'ok', expires - at }
