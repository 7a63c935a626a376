-- Reads a link, and counts that it was opened.
--
-- KEYS[1]  the link: a hash, see the Field constants of this package
-- ARGV[1]  whom to count: 'human', 'bot', or '' for nobody
--
-- Answers nothing where there is no such link, else
-- {url, campaign, message, created, expires, opens, bots, expired}: times in Unix
-- milliseconds, and expired is 1 or 0. A link that has expired is not counted.

local link = redis.call('HMGET', KEYS[1], 'url', 'campaign', 'message', 'created', 'expires', 'opens', 'bots')
if not link[1] then
  return nil
end
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
if now >= (tonumber(link[5]) or 0) then
  link[8] = 1
elseif ARGV[1] == 'bot' then
  link[7] = redis.call('HINCRBY', KEYS[1], 'bots', 1)
elseif ARGV[1] == 'human' then
  link[6] = redis.call('HINCRBY', KEYS[1], 'opens', 1)
end
for i = 1, 8 do
  link[i] = tostring(link[i] or '')
end
return link
