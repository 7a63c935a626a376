-- clock is the time in Unix milliseconds, by Redis: no two machines need agree.
local function clock()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
