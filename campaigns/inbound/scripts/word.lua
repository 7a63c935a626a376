-- A person has texted a word that means something: it is heeded, and it turns
-- out whether it is answered. Harmless when repeated: the same text gets the same
-- answer again, unless something else was texted in between.
--
-- KEYS[1]  the words of this person. Hash: at (Unix ms), kind and id of the
--          latest one that opts out or in; reply:<kind>, when a text of that kind
--          was answered last and the id of the text; day and replies, since when
--          replies are counted (Unix ms) and how many there were
-- ARGV      1 person (pseudonym of the number)  2 number
--           3 kind (stop, start, help)  4 id of the text
--           5 when it was sent (Unix ms; 0 if unknown)
--           6 whether there is a text to answer with (1 or 0)
--           7 for how long of one kind one is answered (ms)
--           8 how many replies there are in 24 hours at most
--           9 how long the words are kept (ms)
--          10 source of an opt-out  11 a word never used twice
-- Answers  {whether it counts (1 or 0), whether it is a new opt-out (1 or 0),
--          when its answer was granted (Unix ms; 0 if there is to be none)}
--
-- A word that was sent before the latest one does not count: it comes late. Of
-- two that were sent at the same time the one that opts out does. Where nobody
-- says when a word was sent, it was now.
local person, kind, id = ARGV[1], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local news, new = kind == 'help', 0
if kind ~= 'help' then
  local last = redis.call('HMGET', KEYS[1], 'at', 'kind', 'id')
  local last_at = tonumber(last[1])
  local at = math.min(tonumber(ARGV[5]), now)
  if at <= 0 then
    at = math.max(now, (last_at or 0) + 1)
  end
  if last_at and last[3] ~= id
    and (at < last_at or at == last_at and kind == 'start' and last[2] == 'stop') then
    return {0, 0, 0}
  end
  redis.call('HSET', KEYS[1], 'at', at, 'kind', kind, 'id', id)
  redis.call('PEXPIRE', KEYS[1], ARGV[9])
  if kind == 'stop' then
    new = optout_add(person, ARGV[2], now, ARGV[10], '', '', ARGV[11])
    news = new == 1
  else
    news = optout_remove(person) == 1
  end
end

local answered = redis.call('HGET', KEYS[1], 'reply:' .. kind)
if answered then
  local when, whom = string.match(answered, '^(%d+) (.*)$')
  if now - tonumber(when) < tonumber(ARGV[7]) then
    return {1, new, whom == id and tonumber(when) or 0}
  end
end
if not news or ARGV[6] ~= '1' then
  return {1, new, 0}
end
local day = tonumber(redis.call('HGET', KEYS[1], 'day'))
if not day or now - day >= 24 * 60 * 60 * 1000 then
  redis.call('HSET', KEYS[1], 'day', now, 'replies', 0)
end
if redis.call('HINCRBY', KEYS[1], 'replies', 1) > tonumber(ARGV[8]) then
  return {1, new, 0}
end
redis.call('HSET', KEYS[1], 'reply:' .. kind, string.format('%d', now) .. ' ' .. id)
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return {1, new, now}
