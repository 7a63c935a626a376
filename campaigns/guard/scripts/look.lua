-- Whether a number may be texted, and a call of it counted. The text counts as
-- one segment.
--
-- KEYS  1 any of the guards' keys: on a cluster it says where to ask
-- ARGV  1 the call that is counted, a word never used twice; '' for none
--       2… see guard_args
-- Answers what guard_refusal does
local subject, limits = guard_args(2)
local at = clock()
if ARGV[1] ~= '' then
  guard_called(subject, at, ARGV[1])
end
return { guard_refusal(subject, limits, at, 1) }
