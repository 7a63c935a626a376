-- Takes up what is due, which is whatever no living worker holds:
--   queued            is claimed: its lease and its holder are set
--   queued, too late  → expired
--   sending           → unknown: its worker died, and nobody knows how far it came
-- While the provider is not to be bothered, or the service is switched off, what
-- is queued is put off instead.
-- Repeated for the same holder it answers the same: the answer is kept for as
-- long as the lease. What was claimed and nobody heard of is due again then.
--
-- KEYS  1 outbox  2 queued  3 service switch  4 the answer to this holder
-- ARGV  1 prefix of message keys (all in the hash slot of KEYS)  2 holder
--       3 lease (ms)  4 how many to claim  5 how many to look at
--       6 put off by (ms)  7 is the provider to be bothered? 1 : 0
-- Answers {ms until the next is due or -1, looked at all that is due? 1 : 0,
--          {claimed: id, to, originator, text, encoding, campaign, call, test,
--           attempts} …,
--          {changed: id, state, campaign, call, test} …}
local answer = redis.call('GET', KEYS[4])
if answer then
  return cjson.decode(answer)
end
local at = clock()
local room = tonumber(ARGV[4])
local held = ARGV[7] == '0' or redis.call('GET', KEYS[3]) == 'off'
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', at, 'LIMIT', 0, ARGV[5])
local claimed, changed, passed = {}, {}, 0

local function settle(message, id, state, cause)
  change(message, at, state, cause, 'reason', cause)
  leave(KEYS[1], KEYS[2], id)
  local r = redis.call('HMGET', message, 'campaign', 'call', 'test')
  changed[#changed + 1] = { id, state, r[1] or '', r[2] or '', r[3] or '' }
end

for _, id in ipairs(due) do
  local message = ARGV[1] .. id
  local r = redis.call('HMGET', message, 'state', 'expires')
  local state, expires = r[1], tonumber(r[2])
  if state == 'queued' and at >= expires then
    settle(message, id, 'expired', 'validity_over')
  elseif state == 'queued' and held then
    redis.call('ZADD', KEYS[1], math.min(at + ARGV[6], expires), id)
  elseif state == 'queued' and #claimed < room then
    redis.call('HSET', message, 'holder', ARGV[2])
    redis.call('ZADD', KEYS[1], at + ARGV[3], id)
    local m = redis.call('HMGET', message, 'to', 'originator', 'text', 'encoding', 'campaign', 'call', 'test', 'attempts')
    claimed[#claimed + 1] = { id, m[1], m[2], m[3], m[4], m[5], m[6] or '', m[7] or '', m[8] }
  elseif state == 'queued' then
    passed = passed + 1
  elseif state == 'sending' then
    settle(message, id, 'unknown', 'worker_lost')
  else
    leave(KEYS[1], KEYS[2], id)
  end
end

local wait = -1
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[2] then
  wait = math.max(0, tonumber(first[2]) - at)
end
local all = (#due < tonumber(ARGV[5]) and passed == 0) and 1 or 0
answer = { wait, all, claimed, changed }
if #claimed > 0 or #changed > 0 then
  redis.call('SET', KEYS[4], cjson.encode(answer), 'PX', ARGV[3])
end
return answer
