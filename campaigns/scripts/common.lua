-- Shared by the scripts of the campaign store; put in front of each. They all
-- begin with the same keys and arguments:
--
-- KEYS[1]  hash of campaigns: id -> record
-- KEYS[2]  hash of numbers: DNIS -> id of the campaign that answers it
-- KEYS[3]  sorted set of deleted campaigns: id by time of deletion (ms)
-- KEYS[4]  list of the latest changes of any campaign, "nonce id" each, the last
--          first: who keeps them all in memory sees there what to read anew
-- KEYS[5]  the history of this campaign: a sorted set of its versions, each
--          "note LF record" by its number
-- ARGV[1]  id
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  the note: what is done and by whom, as JSON
-- ARGV[4]  channel of notices
-- ARGV[5]  how long are kept: deleted campaigns, and versions that were
--          replaced (ms)
-- ARGV[6]  how many versions are kept whatever their age
-- ARGV[7]  what the keys of histories begin with: an id follows
-- ARGV[8]  how many of the latest changes are kept
--
-- A record is one line of facts and the campaign as JSON:
--   version created updated deleted nonce LF json
-- Times are Unix milliseconds, deleted is 0 for a live campaign. The nonce
-- names the request that wrote the record: a client that lost the answer and
-- repeats its request finds its own nonce and gets the answer again.

local id, nonce = ARGV[1], ARGV[2]

local function parse(record)
  local version, created, updated, deleted, by, body =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%x+)\n(.*)$')
  return {
    version = tonumber(version), created = tonumber(created), updated = tonumber(updated),
    deleted = tonumber(deleted), nonce = by, body = body,
  }
end

local function format(c)
  return string.format('%.0f %.0f %.0f %.0f %s\n%s',
    c.version, c.created, c.updated, c.deleted, c.nonce, c.body)
end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function done(c)
  return {'ok', c.version, c.created, c.updated, c.deleted}
end

-- The first number that belongs to another campaign, as an answer; or nil.
local function taken(numbers)
  for _, number in ipairs(numbers) do
    local owner = redis.call('HGET', KEYS[2], number)
    if owner and owner ~= id then
      return {'taken', number, owner}
    end
  end
  return nil
end

local function claim(numbers)
  for _, number in ipairs(numbers) do
    redis.call('HSET', KEYS[2], number, id)
  end
end

local function numbers_of(body)
  return cjson.decode(body).dnis
end

local function free(body)
  for _, number in ipairs(numbers_of(body)) do
    if redis.call('HGET', KEYS[2], number) == id then
      redis.call('HDEL', KEYS[2], number)
    end
  end
end

-- Notes a version, after the one it replaces (nil: none): that may have been
-- written before there was a history, and nobody knows by whom. Then forgets
-- some of what is neither among the newest nor was replaced a short while ago.
-- A version was replaced when the next was written.
local function remember(old, c)
  local history, keep = KEYS[5], tonumber(ARGV[6])
  if old and redis.call('ZCOUNT', history, old.version, old.version) == 0 then
    local action = 'changed'
    if old.deleted ~= 0 then
      action = 'deleted'
    elseif old.version == 1 then
      action = 'created'
    end
    redis.call('ZADD', history, old.version, '{"action":"' .. action .. '"}\n' .. format(old))
  end
  redis.call('ZADD', history, c.version, ARGV[3] .. '\n' .. format(c))
  for _ = 1, math.min(10, redis.call('ZCARD', history) - keep) do
    local replaced = string.match(redis.call('ZRANGE', history, 1, 1)[1], '^[^\n]*\n%d+ %d+ (%d+) ')
    if tonumber(replaced) > c.updated - tonumber(ARGV[5]) then
      break
    end
    redis.call('ZREMRANGEBYRANK', history, 0, 0)
  end
end

-- Forgets some of the campaigns that were deleted too long ago, for good.
local function purge(time)
  local old = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', time - tonumber(ARGV[5]), 'LIMIT', 0, 100)
  for _, gone in ipairs(old) do
    redis.call('HDEL', KEYS[1], gone)
    redis.call('ZREM', KEYS[3], gone)
    redis.call('UNLINK', ARGV[7] .. gone)
    redis.call('LPUSH', KEYS[4], nonce .. ' ' .. gone)
  end
end

-- Puts a new version in the place of an old one (nil: there was none) and tells
-- everybody. The answer is that of the script.
local function put(old, c)
  redis.call('HSET', KEYS[1], id, format(c))
  if c.deleted == 0 then
    redis.call('ZREM', KEYS[3], id)
  else
    redis.call('ZADD', KEYS[3], c.deleted, id)
  end
  remember(old, c)
  purge(c.updated)
  redis.call('LPUSH', KEYS[4], nonce .. ' ' .. id)
  redis.call('LTRIM', KEYS[4], 0, ARGV[8] - 1)
  redis.call('PUBLISH', ARGV[4], id)
  return done(c)
end
