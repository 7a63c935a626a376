-- Has links that were made alone for a person lead nowhere any more, some at a
-- time: they stay as links that have expired. Harmless when repeated.
--
-- KEYS  1 links of the person
-- ARGV  1 what comes before and  2 behind the code in the key of where a link
--       leads (all in the hash slot of KEYS)  3 how many at a time
-- Answers how many are left
local codes = redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1)
for _, code in ipairs(codes) do
  redis.call('DEL', ARGV[1] .. code .. ARGV[2])
  redis.call('ZREM', KEYS[1], code)
end
return { redis.call('ZCARD', KEYS[1]) }
