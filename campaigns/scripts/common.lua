-- Shared by the scripts of the campaign store; put in front of each.
--
-- A record is one line of facts and the campaign as JSON:
--   version created updated deleted nonce LF json
-- Times are Unix milliseconds, deleted is 0 for a live campaign. The nonce
-- names the request that wrote the record: a client that lost the answer and
-- repeats its request finds its own nonce and gets the answer again.

local function parse(record)
  local version, created, updated, deleted, nonce, body =
    string.match(record, '^(%d+) (%d+) (%d+) (%d+) (%x+)\n(.*)$')
  return {
    version = tonumber(version), created = tonumber(created), updated = tonumber(updated),
    deleted = tonumber(deleted), nonce = nonce, body = body,
  }
end

local function format(c)
  return string.format('%.0f %.0f %.0f %.0f %s\n%s',
    c.version, c.created, c.updated, c.deleted, c.nonce, c.body)
end

local function write(key, id, c)
  redis.call('HSET', key, id, format(c))
end

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function done(c)
  return {'ok', c.version, c.created, c.updated, c.deleted}
end

-- The first number that belongs to another campaign, as an answer; or nil.
local function taken(key, id, numbers)
  for _, number in ipairs(numbers) do
    local owner = redis.call('HGET', key, number)
    if owner and owner ~= id then
      return {'taken', number, owner}
    end
  end
  return nil
end

local function claim(key, id, numbers)
  for _, number in ipairs(numbers) do
    redis.call('HSET', key, number, id)
  end
end

local function free(key, id, body)
  for _, number in ipairs(cjson.decode(body).dnis) do
    if redis.call('HGET', key, number) == id then
      redis.call('HDEL', key, number)
    end
  end
end

-- Forgets some of the campaigns that were deleted longer ago than keep (ms).
local function purge(campaigns, deleted, time, keep)
  local old = redis.call('ZRANGEBYSCORE', deleted, '-inf', time - keep, 'LIMIT', 0, 100)
  for _, id in ipairs(old) do
    redis.call('HDEL', campaigns, id)
    redis.call('ZREM', deleted, id)
  end
end
