-- Puts numbers on the list; those that are there stay as they were.
-- Harmless when repeated. For one number with a request it answers the same
-- then; for many, those of the first time are no longer new.
--
-- KEYS  1 the list: on a cluster it says where to ask
-- ARGV  1 the request, a word never used twice; '' for none
--       2… for each number: person, number or '', since (Unix ms; '' or later
--       than now: now), source, reason or '', by or ''
-- Answers how many are new
local request = ARGV[1] ~= '' and ARGV[1] or nil
local now = clock()
local new = 0
for i = 2, #ARGV, 6 do
  local since = math.min(tonumber(ARGV[i + 2]) or now, now)
  new = new + optout_add(ARGV[i], ARGV[i + 1], since, ARGV[i + 3], ARGV[i + 4], ARGV[i + 5], request)
end
return new
