-- Takes up what is due, which is whatever no living worker holds: live ones first
-- and then, with what room is left, those of lists.
--   queued            is claimed: its lease and its holder are set
--   queued, too late  → expired (→ unknown where an earlier attempt may have gone
--                     out)
--   sending           → unknown: its worker died, and nobody knows how far it came
--   unknown           → queued, once: its campaign wants it sent again, no report
--                     has come in time, and it was not withdrawn
-- While the provider is not to be bothered, or the service is switched off, what
-- is queued is put off instead. One of a list is put off too where its sender has
-- no slot left, of which live ones claimed at the same time have the first.
-- Repeated for the same holder it answers the same: the answer is kept for as
-- long as the lease, without what it says of people. What was claimed and nobody
-- heard of is due again then. Where the same holder has asked before and nobody
-- has heard the answer, that earlier request may be run yet: it must not take what
-- nobody hears of, so that an answer is kept also where nothing was taken.
--
-- KEYS  1 service switch  2 the answer to this holder
-- ARGV  1 prefix of message keys  2 prefix of the rates of senders (all in the
--       hash slot of KEYS)  3 holder  4 lease (ms)  5 how many to claim
--       6 how many of lists among them  7 how many to look at in each lane
--       8 put off by (ms)  9 is the provider to be bothered? 1 : 0
--       10 µs between two texts of a sender, 0 for no limit  11 how much sooner
--       one may go (µs)  12 has this holder asked before? 1 : 0
-- Answers {ms until the next is due or -1, is more due that there is room for?
--          1 : 0, is more due than there was room for? 1 : 0,
--          {claimed: id, to, originator, text, encoding, campaign, call, test,
--           attempts, list, kind} …,
--          {changed: id, state, cause, campaign, call, test} …,
--          was anything put off, for nothing can go out? 1 : 0}
local function answer(wait, again, backlog, ids, changed, off)
  local claimed = {}
  for _, id in ipairs(ids) do
    local m = redis.call('HMGET', ARGV[1] .. id, 'to', 'originator', 'text', 'encoding', 'campaign', 'call', 'test',
      'attempts', 'list', 'holder', 'state', 'kind')
    if m[10] == ARGV[3] and m[11] == 'queued' and m[1] then
      claimed[#claimed + 1] = { id, m[1], m[2], m[3], m[4], m[5] or '', m[6] or '', m[7] or '', m[8], m[9] or '',
        m[12] or '' }
    end
  end
  return { wait, again, backlog, claimed, changed, off }
end

local known = redis.call('GET', KEYS[2])
if known then
  return answer(unpack(cjson.decode(known)))
end
local at = clock()
local held = ARGV[9] == '0' or redis.call('GET', KEYS[1]) == 'off'
local interval, burst = tonumber(ARGV[10]), tonumber(ARGV[11])
local ids, changed, paces = {}, {}, {}
local wait, again, backlog, off = -1, 0, 0, 0

local function tell(message, id, state, cause)
  local r = redis.call('HMGET', message, 'campaign', 'call', 'test')
  changed[#changed + 1] = { id, state, cause, r[1] or '', r[2] or '', r[3] or '' }
end

-- slot is when a text of this sender may go, after those claimed here.
local function slot(originator)
  local pace = paces[originator] or rate_read(ARGV[2] .. originator, at)
  paces[originator] = pace + interval
  return rate_slot(pace, burst)
end

-- due is what is due of a queue, as much as is looked at.
local function due(queue)
  return redis.call('ZRANGEBYSCORE', queue, '-inf', at, 'LIMIT', 0, ARGV[7])
end

-- resend queues what is unknown and due.
local function resend(found)
  for _, id in ipairs(found) do
    local message = ARGV[1] .. id
    local r = redis.call('HMGET', message, 'state', 'expires', 'created', 'list', 'withdrawn')
    redis.call('ZREM', DOUBTED, id)
    if r[1] == 'unknown' and not r[5] and at < tonumber(r[2]) then
      tally(message, '')
      change(message, at, 'queued', 'resend', 'reason', 'resend', 'holder', '', 'resent', 1)
      redis.call('HDEL', message, 'resend')
      redis.call('ZADD', lane(r[4]), at, id)
      redis.call('ZADD', QUEUED, r[3], id)
      tell(message, id, 'queued', 'resend')
    end
  end
end

-- look goes through what is due in a lane; answers how much of it there was no
-- room for.
local function look(queue, found, room)
  local passed = 0
  for _, id in ipairs(found) do
    local message = ARGV[1] .. id
    local r = redis.call('HMGET', message, 'state', 'expires', 'originator')
    local state, expires = r[1], tonumber(r[2])
    if state == 'sending' then
      change(message, at, 'unknown', 'worker_lost', 'reason', 'worker_lost')
      tell(message, id, 'unknown', 'worker_lost')
      doubt(message, at, id)
    elseif state ~= 'queued' then
      leave(id)
    elseif at >= expires then
      tell(message, id, unsent(message, id, at, 'expired', 'validity_over'), 'validity_over')
      leave(id)
    elseif held then
      off = 1
      redis.call('ZADD', queue, math.min(at + ARGV[8], expires), id)
    elseif room <= 0 then
      passed = passed + 1
    else
      local turn = (interval > 0 and r[3]) and slot(r[3]) or 0
      if queue == LISTS and turn > at then
        redis.call('ZADD', queue, math.min(turn, expires), id)
      else
        redis.call('HSET', message, 'holder', ARGV[3])
        redis.call('ZADD', queue, at + ARGV[4], id)
        ids[#ids + 1] = id
        room = room - 1
      end
    end
  end
  return passed
end

-- finish keeps what is known of a queue after it was looked at.
local function finish(queue, found, passed)
  if passed > 0 then
    backlog = 1 -- whoever has a hand free again says so
    return
  end
  if #found == tonumber(ARGV[7]) then
    again = 1
  end
  local first = redis.call('ZRANGE', queue, 0, 0, 'WITHSCORES')
  if first[2] then
    local ms = math.max(0, tonumber(first[2]) - at)
    wait = wait < 0 and ms or math.min(wait, ms)
  end
end

local found = due(DOUBTED)
resend(found)
finish(DOUBTED, found, 0)
found = due(LIVE)
finish(LIVE, found, look(LIVE, found, tonumber(ARGV[5])))
found = due(LISTS)
finish(LISTS, found, look(LISTS, found, math.min(tonumber(ARGV[6]), ARGV[5] - #ids)))

if #ids > 0 or #changed > 0 or ARGV[12] == '1' then
  redis.call('SET', KEYS[2], cjson.encode({ wait, again, backlog, ids, changed, off }), 'PX', ARGV[4])
end
return answer(wait, again, backlog, ids, changed, off)
