-- A person has texted a word that means something: it is heeded, and it turns
-- out whether it is answered. A text that was heeded before changes nothing: it
-- gets the answer it got, if what it asked for still stands.
--
-- KEYS[1]  the words of this person. Hash: at (Unix ms) and kind of the latest one
--          that opts out or in; ids:<kind>, the last few texts of that kind that
--          were heeded, latest first; reply:<kind>, when a text of that kind was
--          answered last and the id of the text; day and replies, since when
--          replies are counted (Unix ms) and how many there were
-- ARGV      1 person (pseudonym of the number)  2 number
--           3 kind (stop, start, help)  4 id of the text
--           5 when it was sent (Unix ms; 0 if unknown)
--           6 whether there is a text to answer with (1 or 0)
--           7 how long an answer stands: a text that comes again gets it, and
--             help is not sent twice (ms)
--           8 how many replies there are in 24 hours at most
--           9 how long the words are kept (ms)
--          10 source of an opt-out  11 a word never used twice
--          12 whether the id tells the text from any other (1 or 0)
-- Answers  {whether it counts (1 or 0), whether it is a new opt-out (1 or 0),
--          when its answer was granted (Unix ms; 0 if there is to be none)}
--
-- A word that was sent before the latest one does not count: it comes late. Of
-- two that were sent at the same time the one that opts out does. Nor does one
-- that opts in count where the person has been put on the list since it was sent,
-- by whatever: that holds also where no words are known. Where nobody says when
-- a word was sent, it was now.
local IDS = 8
-- How far the provider's clock, which knows seconds alone, may differ from that
-- of Redis (ms).
local SKEW = 1000
local person, kind, id = ARGV[1], ARGV[3], ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- granted is when this text was answered; nil where it was not. The second value
-- says whether any of its kind was, lately.
local function granted()
  local last = redis.call('HGET', KEYS[1], 'reply:' .. kind)
  if not last then
    return nil, false
  end
  local when, whom = string.match(last, '^(%d+) (.*)$')
  if now - tonumber(when) >= tonumber(ARGV[7]) then
    return nil, false
  end
  return whom == id and tonumber(when) or nil, true
end

local ids = redis.call('HGET', KEYS[1], 'ids:' .. kind) or ''
if ARGV[12] == '1' and string.find(ids, id, 1, true) then
  if kind ~= 'help' and (kind == 'stop') ~= optout_has(person) then
    return {0, 0, 0}
  end
  local new = kind == 'stop' and redis.call('HGET', OPTOUT .. person, 'request') == ARGV[11]
  return {1, new and 1 or 0, granted() or 0}
end

local news, new = kind == 'help', 0
if kind ~= 'help' then
  local last = redis.call('HMGET', KEYS[1], 'at', 'kind')
  local last_at = tonumber(last[1])
  local at = math.min(tonumber(ARGV[5]), now)
  if at <= 0 then
    at = math.max(now, (last_at or 0) + 1)
  end
  if last_at and (at < last_at or at == last_at and kind == 'start' and last[2] == 'stop') then
    return {0, 0, 0}
  end
  if kind == 'start' then
    local latest, source = optout_latest(person)
    local clear = source == ARGV[10] and 0 or SKEW + 1 -- one that was texted is of the same clock
    if latest and math.floor(latest / 1000) * 1000 >= at + clear then
      return {0, 0, 0}
    end
    news = optout_remove(person) == 1
  else
    new = optout_add(person, ARGV[2], at, ARGV[10], '', '', ARGV[11])
    news = new == 1
  end
  redis.call('HSET', KEYS[1], 'at', at, 'kind', kind)
end
if ARGV[12] == '1' then
  local kept, n = id, 1
  for other in string.gmatch(ids, '%S+') do
    if n < IDS then
      kept, n = kept .. ' ' .. other, n + 1
    end
  end
  redis.call('HSET', KEYS[1], 'ids:' .. kind, kept)
end
redis.call('PEXPIRE', KEYS[1], ARGV[9])

local when, lately = granted()
if when then
  return {1, new, when}
end
if not news or ARGV[6] ~= '1' or kind == 'help' and lately then
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
