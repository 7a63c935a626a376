-- Whether a number may be texted, and a call of it counted.
--
-- KEYS  1 any of the guards' keys: on a cluster it says where to ask
-- ARGV  1 the call that is counted, a word never used twice; '' for none
--       2 the segments of the text
--       3… see guard_args
-- Answers what guard_refusal does
local subject, limits = guard_args(3)
local at = clock()
if ARGV[1] ~= '' then
  guard_called(subject, at, ARGV[1])
end
return { guard_refusal(subject, limits, at, tonumber(ARGV[2])) }
