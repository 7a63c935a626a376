-- Put in front of scripts that send or look whether they may, behind the
-- functions of optout.lua and a function clock() (Unix ms by Redis' clock).
-- A person is the pseudonym of a number, a prefix that of a number less its
-- last four digits. All keys made of them share the slot of all others:
--   …:guard:caller:<person>      sorted set "campaign id" of the texts of the last 24 hours, by when
--   …:guard:cooldown:<person>    hash campaign -> "when id" of its last text
--   …:guard:prefix:<prefix>      sorted set of the ids of the texts of the last hour, by when
--   …:guard:campaign:<campaign>  texts of a campaign by the hour, see guard_day
--   …:guard:segments             segments of the service by the hour, likewise
--   …:guard:suppressed:<person>  is there while texts to a number are pointless
--   …:guard:calls                calls of the last minutes, see guard_calls
--   …:guard:calls:<person>       those of one number
-- Nothing is written for a limit that is 0.
local HOUR = 3600000
local DAY = 24 * HOUR
local SURGE = 300000   -- half of the time in which the calls of one number are counted
local SURGE_SHARE = 5  -- one call in so many of one number is a surge

-- guard_args reads what Args has made, from ARGV[i] on.
local function guard_args(i)
  local limits = {
    cooldown = tonumber(ARGV[i + 4]),        -- ms between two texts of a campaign to one number
    caller = tonumber(ARGV[i + 5]),          -- texts to one number in 24 h
    campaign_caller = tonumber(ARGV[i + 6]), -- of one campaign
    campaign = tonumber(ARGV[i + 7]),        -- texts of a campaign in 24 h
    prefix = tonumber(ARGV[i + 8]),          -- texts to one prefix in an hour
    segments = tonumber(ARGV[i + 9]),        -- segments of the service in 24 h
    surge = tonumber(ARGV[i + 10]),          -- calls of one number
  }
  return {
    person = ARGV[i], prefix = ARGV[i + 1], campaign = ARGV[i + 2], exempt = ARGV[i + 3], limits = limits,
  }, limits
end

-- guard_full says for how many ms yet a sorted set holds limit or more members
-- of the last span ms; nil where it has room.
local function guard_full(key, at, span, limit)
  local after = '(' .. (at - span)
  local n = redis.call('ZCOUNT', key, after, '+inf')
  if n < limit then
    return nil
  end
  local first = redis.call('ZRANGE', key, after, '+inf', 'BYSCORE', 'LIMIT', n - limit, 1, 'WITHSCORES')
  return math.max(1, first[2] + span - at)
end

-- guard_full_of is guard_full for the members of one campaign in a caller's set.
local function guard_full_of(campaign, key, at, limit)
  local begins = campaign .. ' '
  local times = {}
  local all = redis.call('ZRANGE', key, '(' .. (at - DAY), '+inf', 'BYSCORE', 'WITHSCORES')
  for i = 1, #all, 2 do
    if all[i]:sub(1, #begins) == begins then
      times[#times + 1] = tonumber(all[i + 1])
    end
  end
  if #times < limit then
    return nil
  end
  return math.max(1, times[#times - limit + 1] + DAY - at)
end

-- guard_day answers what was counted in the current hour and the 23 before, and
-- the number of that hour. The hash has a field for each hour, and the sum of
-- them as it was in the hour that was counted in last, so that it need be added
-- up only once an hour.
local function guard_day(key, at)
  local hour = math.floor(at / HOUR)
  local r = redis.call('HMGET', key, 'hour', 'sum')
  local last = tonumber(r[1])
  if not last then
    return 0, hour
  elseif last >= hour then
    return tonumber(r[2]), last
  end
  local sum = 0
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local h = tonumber(all[i])
    if h and h > hour - 24 then
      sum = sum + all[i + 1]
    end
  end
  return sum, hour
end

-- guard_day_full says for how many ms yet there is no room for more beside what
-- guard_day counts; nil where there is room, 0 where there will never be.
local function guard_day_full(key, at, more, limit)
  local sum, hour = guard_day(key, at)
  if sum + more <= limit then
    return nil
  end
  for h = hour - 23, hour do
    sum = sum - (tonumber(redis.call('HGET', key, h)) or 0)
    if sum + more <= limit then
      return math.max(1, (h + 24) * HOUR - at)
    end
  end
  return 0
end

-- guard_day_add counts n in the current hour.
local function guard_day_add(key, at, n)
  local sum, hour = guard_day(key, at)
  local r = redis.call('HMGET', key, 'hour', hour)
  if tonumber(r[1]) ~= hour then
    for _, field in ipairs(redis.call('HKEYS', key)) do
      local h = tonumber(field)
      if h and h <= hour - 24 then
        redis.call('HDEL', key, field)
      end
    end
  end
  redis.call('HSET', key, 'hour', hour, 'sum', sum + n, hour, (tonumber(r[2]) or 0) + n)
  if tonumber(r[1]) ~= hour then
    redis.call('PEXPIRE', key, DAY + HOUR)
  end
end

-- guard_day_take takes back n that were counted at a time, as far as that is
-- known: the limit may be newer than the text.
local function guard_day_take(key, at, n)
  local hour = math.floor(at / HOUR)
  local r = redis.call('HMGET', key, hour, 'sum')
  local known = tonumber(r[1]) or 0
  n = math.min(n, known)
  if n > 0 then
    redis.call('HSET', key, hour, known - n, 'sum', math.max(0, r[2] - n))
  end
end

-- guard_calls answers how many calls a hash has counted in the window of at and
-- in the one before, the number of that window, and the request counted last.
-- A window is one of the fixed spans of SURGE ms.
local function guard_calls(key, at)
  local window = math.floor(at / SURGE)
  local r = redis.call('HMGET', key, 'window', 'now', 'before', 'request')
  local ago = window - (tonumber(r[1]) or -2)
  if ago <= 0 then
    return tonumber(r[2]), tonumber(r[3]), tonumber(r[1]), r[4]
  elseif ago == 1 then
    return 0, tonumber(r[2]), window, r[4]
  end
  return 0, 0, window, r[4]
end

-- guard_called counts a call, once for each request.
local function guard_called(subject, at, request)
  if subject.limits.surge <= 0 then
    return
  end
  local mine, all = GUARD .. 'calls:' .. subject.person, GUARD .. 'calls'
  local now, before, window, last = guard_calls(mine, at)
  if last == request then
    return
  end
  redis.call('HSET', mine, 'window', window, 'now', now + 1, 'before', before, 'request', request)
  if now == 0 then -- it is needed until the next window is over
    redis.call('PEXPIRE', mine, 2 * SURGE)
  end
  now, before, window = guard_calls(all, at)
  redis.call('HSET', all, 'window', window, 'now', now + 1, 'before', before)
  if now == 0 then
    redis.call('PEXPIRE', all, 2 * SURGE)
  end
end

-- guard_surge says whether so many calls of one number, of all that came, are too
-- many and too great a share: the trunk seems to show one number for many people.
local function guard_surge(mine, all, limit)
  return mine >= limit and mine * SURGE_SHARE >= all
end

-- guard_surging says for how many ms yet the calls of a number are a surge; nil
-- where they are not.
local function guard_surging(person, at, limit)
  local now, before, window = guard_calls(GUARD .. 'calls:' .. person, at)
  if now + before < limit then
    return nil
  end
  local all_now, all_before = guard_calls(GUARD .. 'calls', at)
  if not guard_surge(now + before, all_now + all_before, limit) then
    return nil
  end
  local windows = guard_surge(now, all_now, limit) and 2 or 1 -- until these are over
  return math.max(1, (window + windows) * SURGE - at)
end

-- guard_capped tells of each limit that is reached: refuse(reason, limit, for how
-- many ms yet), until that answers true. For a reply, which belongs to no campaign,
-- those of the prefix and of the service hold alone.
local function guard_capped(s, l, at, segments, refuse)
  local caller = GUARD .. 'caller:' .. s.person
  local reply = s.exempt == 'reply'
  local full = l.caller > 0 and not reply and guard_full(caller, at, DAY, l.caller)
  if full and refuse('capped', 'per_caller_per_day', full) then
    return
  end
  full = l.campaign_caller > 0 and not reply and guard_full_of(s.campaign, caller, at, l.campaign_caller)
  if full and refuse('capped', 'campaign.per_caller_per_day', full) then
    return
  end
  full = l.prefix > 0 and guard_full(GUARD .. 'prefix:' .. s.prefix, at, HOUR, l.prefix)
  if full and refuse('capped', 'per_prefix_per_hour', full) then
    return
  end
  full = l.campaign > 0 and not reply and guard_day_full(GUARD .. 'campaign:' .. s.campaign, at, 1, l.campaign)
  if full and refuse('capped', 'campaign.per_day', full) then
    return
  end
  full = l.segments > 0 and guard_day_full(GUARD .. 'segments', at, segments, l.segments)
  if full then
    refuse('capped', 'segments_per_day', full)
  end
end

-- guard_rules tells of each rule by which a text of so many segments may not go
-- out now: refuse(reason, the limit that is reached, for how many ms yet, 0 where
-- that is not known), until that answers true. It writes nothing.
local function guard_rules(subject, limits, at, segments, refuse)
  if subject.exempt == 'reply' then
    return guard_capped(subject, limits, at, segments, refuse)
  end
  if optout_has(subject.person) and refuse('opted_out', '', 0) then
    return
  end
  if subject.exempt == 'test' then
    return
  end
  local left = redis.call('PTTL', GUARD .. 'suppressed:' .. subject.person)
  if left ~= -2 and refuse('suppressed', '', math.max(left, 0)) then
    return
  end
  left = limits.surge > 0 and guard_surging(subject.person, at, limits.surge)
  if left and refuse('ani_untrusted', 'surge', left) then
    return
  end
  if limits.cooldown > 0 then
    local last = redis.call('HGET', GUARD .. 'cooldown:' .. subject.person, subject.campaign)
    left = last and tonumber(last:match('^%d+')) + limits.cooldown - at
    if left and left > 0 and refuse('cooldown', '', left) then
      return
    end
  end
  return guard_capped(subject, limits, at, segments, refuse)
end

-- guard_refusal answers the first rule by which a text of so many segments may not
-- go out now: the reason ('' where it may), the limit that is reached, and for how
-- many ms yet (0: that is not known). It writes nothing.
local function guard_refusal(subject, limits, at, segments)
  local reason, limit, left = '', '', 0
  guard_rules(subject, limits, at, segments, function(...)
    reason, limit, left = ...
    return true
  end)
  return reason, limit, left
end

-- guard_count counts a text that was made durable. It must not be told twice of
-- the same text. A reply counts as what costs money: to a prefix, and in
-- segments.
local function guard_count(subject, at, id, segments)
  if subject.exempt == 'test' then
    return
  end
  local l = subject.limits
  local reply = subject.exempt == 'reply'
  if l.cooldown > 0 and not reply then
    local key = GUARD .. 'cooldown:' .. subject.person
    redis.call('HSET', key, subject.campaign, string.format('%.0f ', at) .. id)
    if redis.call('PTTL', key) < l.cooldown then
      redis.call('PEXPIRE', key, l.cooldown)
    end
  end
  if (l.caller > 0 or l.campaign_caller > 0) and not reply then
    local key = GUARD .. 'caller:' .. subject.person
    redis.call('ZREMRANGEBYSCORE', key, '-inf', at - DAY)
    redis.call('ZADD', key, at, subject.campaign .. ' ' .. id)
    redis.call('PEXPIRE', key, DAY)
  end
  if l.prefix > 0 then
    local key = GUARD .. 'prefix:' .. subject.prefix
    redis.call('ZREMRANGEBYSCORE', key, '-inf', at - HOUR)
    redis.call('ZADD', key, at, id)
    redis.call('PEXPIRE', key, HOUR)
  end
  if l.campaign > 0 and not reply then
    guard_day_add(GUARD .. 'campaign:' .. subject.campaign, at, 1)
  end
  if l.segments > 0 then
    guard_day_add(GUARD .. 'segments', at, segments)
  end
end

-- guard_uncount takes back what guard_count has counted at a time for a text
-- that certainly did not go out. It must not be told twice of the same text.
local function guard_uncount(person, prefix, campaign, at, id, segments)
  at, segments = tonumber(at), tonumber(segments)
  local key = GUARD .. 'cooldown:' .. person
  local last = redis.call('HGET', key, campaign)
  if last and last:match(' (.*)$') == id then
    redis.call('HDEL', key, campaign)
  end
  redis.call('ZREM', GUARD .. 'caller:' .. person, campaign .. ' ' .. id)
  redis.call('ZREM', GUARD .. 'prefix:' .. prefix, id)
  guard_day_take(GUARD .. 'campaign:' .. campaign, at, 1)
  guard_day_take(GUARD .. 'segments', at, segments)
end

-- guard_suppress keeps texts from a person for so many ms: they are pointless.
local function guard_suppress(person, ms)
  ms = tonumber(ms)
  if ms > 0 then
    redis.call('SET', GUARD .. 'suppressed:' .. person, '1', 'PX', ms)
  end
end
