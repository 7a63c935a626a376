-- Put in front of scripts that must know who has opted out. A person is the
-- pseudonym of a number; the keys made of it share the slot of all others.
-- People write these keys and no other:
--   …:optout:<person>  hash: number (gone once the person was forgotten), since
--                      (Unix ms), source, reason, by, request, again (Unix
--                      ms; when it was last asked for, where that was later)
--   …:optouts          sorted set of all persons on the list, by since
--   …:optout:removed:<person>  hash: at (Unix ms), by, reason, where an operator
--                      was the last who took the person off the list

-- optout_has says whether a person is on the list.
local function optout_has(person)
  return redis.call('EXISTS', OPTOUT .. person) == 1
end

-- optout_latest is when it was last asked for that a person be on the list (Unix
-- ms), and the source of the entry; nil where the person is not on it.
local function optout_latest(person)
  local r = redis.call('HMGET', OPTOUT .. person, 'since', 'again', 'source')
  return tonumber(r[2] or r[1]), r[3]
end

-- optout_add puts a person on the list and answers 1 where that was new. An
-- entry that is there stays as it was, but for when it was last asked for: what
-- was said before that does not take it back. The last two may be left out: the name of
-- the token that did it, and a word never used twice by which a repeated request
-- is known, which then answers 1 again.
local function optout_add(person, number, at, source, reason, by, request)
  local key = OPTOUT .. person
  if optout_has(person) then
    if request and redis.call('HGET', key, 'request') == request then
      return 1
    end
    local latest = optout_latest(person)
    if not latest or tonumber(at) > latest then
      redis.call('HSET', key, 'again', at)
    end
    return 0
  end
  redis.call('HSET', key, 'since', at, 'source', source)
  if (number or '') ~= '' then
    redis.call('HSET', key, 'number', number)
  end
  if (reason or '') ~= '' then
    redis.call('HSET', key, 'reason', reason)
  end
  if (by or '') ~= '' then
    redis.call('HSET', key, 'by', by)
  end
  if request then
    redis.call('HSET', key, 'request', request)
  end
  redis.call('ZADD', OPTOUTS, at, person)
  return 1
end

-- optout_remove takes a person off the list and answers 1 where it was on it. What
-- was noted when that was done before is no longer why it is off the list.
local function optout_remove(person)
  redis.call('ZREM', OPTOUTS, person)
  local removed = redis.call('DEL', OPTOUT .. person)
  if removed == 1 then
    redis.call('DEL', OPTOUT .. 'removed:' .. person)
  end
  return removed
end
