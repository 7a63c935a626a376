-- Makes a link alone, of no text, or refuses it where the person has opted out.
-- Of one that is no short link, the address it is itself is kept for as long as the
-- idempotency key, under a code that nobody is told and that is unknown as a link.
-- Harmless when repeated, and answers the same.
--
-- KEYS  1 link  2 where it leads  3 links of the person (only written where there
--       is one)  4 idempotency key (only where there is one)
-- ARGV  1 code  2 where it leads  3 for how long (ms)  4 link is kept for (ms)
--       5 person, '' for none  6 is it to be refused in any case? 1 : 0
--       7 digest for the idempotency key  8 how long that is kept (ms)
--       9 what comes before and  10 behind the code in the key of where a link
--       leads (all in the hash slot of KEYS)  11 is it a short link? 1 : 0
--       12 the request, a word never used twice, then the fields and values of
--       the link
-- Answers {'ok', code, where it leads, expires (Unix ms)}; the code is '' and
--          expires is 0 where it is no short link; where it leads is '' where it
--          leads nowhere any more
--       | {'conflict'}     the idempotency key is taken
--       | {'refused'}
--       | {'collision'}    the code is taken
local at = clock()
local short = ARGV[11] == '1'
if KEYS[4] then
  local first = redis.call('GET', KEYS[4])
  if first then
    local code, digest, expires = first:match('^(%S+) (%S+) (%d+)$')
    if digest ~= ARGV[7] then
      return { 'conflict' }
    end
    local url = redis.call('GET', ARGV[9] .. code .. ARGV[10]) or ''
    return { 'ok', short and code or '', url, tonumber(expires) }
  end
end
local known = redis.call('HMGET', KEYS[1], 'request', 'expires')
if known[1] == ARGV[12] then
  return { 'ok', ARGV[1], ARGV[2], tonumber(known[2]) }
end
if ARGV[6] == '1' or (ARGV[5] ~= '' and optout_has(ARGV[5])) then
  return { 'refused' }
end
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  return { 'collision' }
end
local expires, keep = 0, ARGV[8]
if short then
  expires, keep = at + ARGV[3], ARGV[3]
  redis.call('HSET', KEYS[1], 'request', ARGV[12], 'expires', expires, unpack(ARGV, 13))
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
if short or KEYS[4] then
  redis.call('SET', KEYS[2], ARGV[2], 'PX', keep)
  if ARGV[5] ~= '' then
    redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', at)
    redis.call('ZADD', KEYS[3], at + keep, ARGV[1])
    if redis.call('PTTL', KEYS[3]) < tonumber(keep) then
      redis.call('PEXPIRE', KEYS[3], keep)
    end
  end
end
if KEYS[4] then
  redis.call('SET', KEYS[4], ARGV[1] .. ' ' .. ARGV[7] .. ' ' .. string.format('%.0f', expires), 'PX', ARGV[8])
end
return { 'ok', short and ARGV[1] or '', ARGV[2], expires }
