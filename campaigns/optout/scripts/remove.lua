-- Takes a number off the list.
--
-- KEYS  1 entry  2 the list
-- ARGV  1 person
-- Answers 1 where it was on it, 0 where not
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('DEL', KEYS[1])
