-- Takes a number out of the record of a call, and the call out of the index of
-- that number, unless the record has changed since it was read. Harmless when
-- repeated.
--
-- KEYS  1 record  2 index of the number
-- ARGV  1 id  2 the record as it was read  3 the record without the number
-- Answers 1, or 0 when the record is to be read again
local there = redis.call('GET', KEYS[1])
if there and there ~= ARGV[2] then
  return 0
end
if there then
  redis.call('SET', KEYS[1], ARGV[3], 'XX', 'KEEPTTL')
end
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
