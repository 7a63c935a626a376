-- Put in front of every script: the clock, the one way to change a state, and
-- the queue, whose keys all scripts know (they share the hash slot of KEYS):
--   LIVE, LISTS  the ids of all messages that are queued or sending, by when they
--                are due (Unix ms), which is the end of the lease for those that
--                a worker holds; in two lanes, for texts that somebody waits for
--                and for those of lists
--   QUEUED       the ids of those that are queued, by when they were made
--   DOUBTED      the ids of those that are unknown and will be sent once more, by
--                when
-- And the figures of campaigns: TEXTS<campaign>:<day of UTC> has of the texts made on
-- that day how many were sent, delivered, failed, and are unknown.

-- The most changes a record keeps: a text that is tried for days keeps its
-- first ones and its last one.
local MAX_CHANGES = 100

-- clock is the time in Unix milliseconds, by Redis: no two machines need agree.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- What is final is never left again.
local FINAL = { delivered = true, failed = true, expired = true, cancelled = true }

-- For how many days the figures of a day are kept (ms), beside the day itself.
local TEXTS_KEPT = 31 * 86400000

-- What a message counts as in each state; nothing in the others, which it enters
-- from one another, or from unknown (see resend in claim.lua). It has failed,
-- whether it went out or not, where it did not arrive for certain.
local COUNTS = {
  accepted = 'sent', delivered = 'sent delivered', failed = 'failed', expired = 'failed', unknown = 'unknown',
}

-- tally has a message count as what it is now, and no longer as what it was. What
-- it counts as is in its record, so that it counts once.
local function tally(message, as)
  local r = redis.call('HMGET', message, 'counts', 'campaign', 'test', 'created')
  local was = r[1] or ''
  if was == as or (r[2] or '') == '' or (r[3] or '') ~= '' or not r[4] then
    return
  end
  local day = math.floor(r[4] / 86400000)
  local key = TEXTS .. r[2] .. ':' .. string.format('%.0f', day)
  local first = false -- of the day, maybe
  for figure in was:gmatch('%S+') do
    first = redis.call('HINCRBY', key, figure, -1) < 0 or first
  end
  for figure in as:gmatch('%S+') do
    first = redis.call('HINCRBY', key, figure, 1) <= 1 or first
  end
  if first then
    redis.call('PEXPIREAT', key, string.format('%.0f', (day + 1) * 86400000 + TEXTS_KEPT))
  end
  redis.call('HSET', message, 'counts', as)
end

-- took says that the provider has taken a message, whatever becomes of it.
local function took(message)
  if not (redis.call('HGET', message, 'counts') or ''):find('^sent') then
    tally(message, 'sent')
  end
end

-- change writes the state a message enters, when and why, and any further
-- fields, to its record. One whose person was forgotten loses the pseudonym in
-- the end, and what it has counted: until then the provider may say that they
-- have opted out, or that it did not go out.
local function change(message, at, state, cause, ...)
  local n = redis.call('HINCRBY', message, 'changes', 1)
  if n > MAX_CHANGES then
    n = MAX_CHANGES
  end
  redis.call('HSET', message, 'state', state, 'updated', at,
    'change:' .. n, at .. ' ' .. state .. ' ' .. cause, ...)
  local counts = COUNTS[state]
  if counts == 'failed' and redis.call('HGET', message, 'counts') == 'sent' then
    counts = 'sent failed'
  end
  if counts then
    tally(message, counts)
  end
  if FINAL[state] and redis.call('HEXISTS', message, 'forgotten') == 1 then
    redis.call('HDEL', message, 'person', 'prefix', 'counted')
  end
end

-- lane is where a message waits, by the field 'list' of its record.
local function lane(list)
  return list == '1' and LISTS or LIVE
end

-- leave takes a message out of the queue for good.
local function leave(id)
  redis.call('ZREM', LIVE, id)
  redis.call('ZREM', LISTS, id)
  redis.call('ZREM', QUEUED, id)
  redis.call('ZREM', DOUBTED, id)
end

-- doubt is for a message that has just become unknown: it leaves, and where its
-- campaign wants it sent once more, it waits for a report.
local function doubt(message, at, id)
  leave(id)
  local r = redis.call('HMGET', message, 'resend', 'withdrawn', 'expires')
  if r[1] and not r[2] and at + r[1] < tonumber(r[3]) then
    redis.call('ZADD', DOUBTED, at + r[1], id)
  end
end
