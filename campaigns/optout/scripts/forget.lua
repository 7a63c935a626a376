-- Takes the number, and what people noted, out of an entry that goes on
-- counting, and what was noted when an entry was removed.
--
-- KEYS  1 entry  2 the note of its removal
-- Answers 1 where there is an entry, 0 where not
redis.call('HDEL', KEYS[1], 'number', 'reason', 'request')
redis.call('DEL', KEYS[2])
return redis.call('EXISTS', KEYS[1])
