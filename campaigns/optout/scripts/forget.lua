-- Takes the number, and what people noted, out of an entry that goes on
-- counting.
--
-- KEYS  1 entry
-- Answers 1 where there is an entry, 0 where not
redis.call('HDEL', KEYS[1], 'number', 'reason', 'request')
return redis.call('EXISTS', KEYS[1])
