-- Takes a number off the list, and notes who did it and why.
--
-- KEYS  1 entry  2 the list  3 the note
-- ARGV  1 person  2 by  3 reason  4 how long the note is kept, in seconds
-- Answers 1 where it was on it, 0 where not; by and reason may be empty: there is
-- no note then
local removed = optout_remove(ARGV[1])
if removed == 1 and (ARGV[2] ~= '' or ARGV[3] ~= '') then
  redis.call('HSET', KEYS[3], 'at', clock(), 'by', ARGV[2], 'reason', ARGV[3])
  redis.call('EXPIRE', KEYS[3], ARGV[4])
end
return removed
