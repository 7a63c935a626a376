-- Whether a number may be texted, and a call of it counted.
--
-- KEYS  1 any of the guards' keys: on a cluster it says where to ask
-- ARGV  1 the call that is counted, a word never used twice; '' for none
--       2 the segments of the text
--       3… see guard_args
-- Answers {reason, limit, ms} of the rules by which it may not, one after the
-- other: of the first for a call, of all where none is counted
local subject, limits = guard_args(3)
local at = clock()
local call = ARGV[1] ~= ''
if call then
  guard_called(subject, at, ARGV[1])
end
local found = {}
guard_rules(subject, limits, at, tonumber(ARGV[2]), function(reason, limit, left)
  for _, value in ipairs({ reason, limit, left }) do
    found[#found + 1] = value
  end
  return call
end)
return found
