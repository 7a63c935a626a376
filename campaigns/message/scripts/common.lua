-- Put in front of every script: the clock, and the one way to change a state.

-- The most changes a record keeps: a text that is tried for days keeps its
-- first ones and its last one.
local MAX_CHANGES = 100

-- clock is the time in Unix milliseconds, by Redis: no two machines need agree.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- change writes the state a message enters, when and why, and any further
-- fields, to its record.
local function change(message, at, state, cause, ...)
  local n = redis.call('HINCRBY', message, 'changes', 1)
  if n > MAX_CHANGES then
    n = MAX_CHANGES
  end
  redis.call('HSET', message, 'state', state, 'updated', at,
    'change:' .. n, at .. ' ' .. state .. ' ' .. cause, ...)
end

-- leave takes a message out of the queue for good.
local function leave(outbox, queued, id)
  redis.call('ZREM', outbox, id)
  redis.call('ZREM', queued, id)
end
