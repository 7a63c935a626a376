-- Put in front of the scripts that keep a sender's rate: the generic cell rate
-- algorithm, one key a sender. The key holds when the text after the last would
-- be due at an even pace (µs), and when that was said (ms); one may go as much
-- sooner as a burst is long.

-- rate_read is that time, now at the earliest. Where the clock was set back since
-- the last text, what was said by it moves as far: else the sender would be silent
-- for as long.
local function rate_read(key, at)
  local pace, last = (redis.call('GET', key) or '0'):match('^(%d+) ?(%d*)$')
  pace, last = tonumber(pace), tonumber(last) or at
  if at < last then
    pace = pace - (last - at) * 1000
  end
  return math.max(pace, at * 1000)
end

-- rate_slot is when a text may go (ms), at the pace read before; now or earlier
-- means now.
local function rate_slot(pace, burst)
  return math.ceil((pace - burst) / 1000)
end

-- rate_take takes the slot.
local function rate_take(key, at, pace, interval)
  local next = pace + interval
  redis.call('SET', key, string.format('%.0f %.0f', next, at), 'PX', math.ceil(next / 1000) - at + 1000)
end
