-- Put in front of the scripts that end messages or learn something of a number,
-- behind common.lua and what the packages optout and guard have for scripts.

-- unsent ends a message that does not go out, in the state it is given, and takes
-- back what it counted against the limits (those of a person who was forgotten may
-- be gone). One that was being sent for the second
-- time may have gone out the first time, nobody knows: it is unknown again, and
-- goes on counting. Answers the state it has entered.
local function unsent(message, id, at, state, cause, ...)
  local r = redis.call('HMGET', message, 'resent', 'counted', 'person', 'prefix', 'campaign', 'created', 'segments')
  if r[1] then
    state = 'unknown'
  elseif r[2] == '1' then
    guard_uncount(r[3] or '', r[4] or '', r[5], tonumber(r[6]), id, tonumber(r[7]))
    redis.call('HSET', message, 'counted', '')
  end
  change(message, at, state, cause, 'reason', cause, ...)
  return state
end

-- learn keeps what the provider says of the number a message went to: that the
-- person has opted out, or that texts will go on failing (for suppress ms they
-- are not tried). It does so once for a message, of each: a report that comes
-- again does not take back what the person has said since. Of somebody who was
-- forgotten an opt-out is kept alone, without the number. Answers 1 where the
-- opt-out is new, also when it is asked again for the same request. It is to be
-- asked before the message enters a final state.
local function learn(message, at, reason, suppress, request)
  local opted = reason == 'opted_out'
  if not opted and suppress <= 0 then
    return 0
  end
  local r = redis.call('HMGET', message, 'person', 'to', 'opted', 'optout', 'suppressed', 'forgotten')
  local known = (r[1] or '') ~= ''
  if suppress > 0 and known and not r[5] and not r[6] then
    guard_suppress(r[1], suppress)
    redis.call('HSET', message, 'suppressed', 1)
  end
  if not opted then
    return 0
  elseif r[3] or not known then
    return r[3] == request and tonumber(r[4]) or 0
  end
  local new = optout_add(r[1], r[2], at, 'provider', '')
  redis.call('HSET', message, 'opted', request, 'optout', new)
  return new
end
