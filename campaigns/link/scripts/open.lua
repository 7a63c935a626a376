-- Reads a link, and counts that it was opened.
--
-- KEYS[1]  the link: a hash, see the Field constants of this package; 'opens'
--          and 'bots' in it are how often people and programs opened it
-- KEYS[2]  where it leads; gone once the link has expired
-- ARGV[1]  who opens it: 'human' or 'bot'
--
-- Answers {} where there is no such link, {campaign} where it has expired,
-- which is not counted, else {campaign, url}.

local campaign = redis.call('HGET', KEYS[1], 'campaign')
if not campaign then
  return {}
end
local url = redis.call('GET', KEYS[2])
if not url then
  return {campaign}
end
redis.call('HINCRBY', KEYS[1], ARGV[1] == 'bot' and 'bots' or 'opens', 1)
return {campaign, url}
