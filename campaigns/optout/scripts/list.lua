-- A page of the list, newest first.
-- Where it begins is found by rank, however many entries are of the same
-- millisecond; an entry that was the end of the page before and has gone since
-- stands in its place for a moment.
--
-- KEYS  1 the list
-- ARGV  1 since (Unix ms) and  2 person of the last entry of the page before,
--       both '' for the first page  3 how many
-- Answers {person, since (ms), number, source, reason, by} …; of an entry that
-- lost its record, {person, since}
local first = 0
if ARGV[2] ~= '' then
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or -1) == tonumber(ARGV[1]) then
    first = redis.call('ZREVRANK', KEYS[1], ARGV[2]) + 1
  else
    local mark = ARGV[2] .. '!'
    redis.call('ZADD', KEYS[1], ARGV[1], mark)
    first = redis.call('ZREVRANK', KEYS[1], mark)
    redis.call('ZREM', KEYS[1], mark)
  end
end
local ranked = redis.call('ZREVRANGE', KEYS[1], first, first + ARGV[3] - 1, 'WITHSCORES')
local page = {}
for i = 1, #ranked, 2 do
  local r = redis.call('HMGET', OPTOUT .. ranked[i], 'number', 'source', 'reason', 'by')
  if r[2] then
    page[#page + 1] = { ranked[i], ranked[i + 1], r[1] or '', r[2], r[3] or '', r[4] or '' }
  else
    page[#page + 1] = { ranked[i], ranked[i + 1] }
  end
end
return page
