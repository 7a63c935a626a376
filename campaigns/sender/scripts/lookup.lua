-- Put in front of scripts that send: whether nothing may come from a sender any
-- more, because it was released or is about to be. What is kept of either is
-- described in common.lua and released.lua; its keys share the slot of all others.
local function sender_released(originator)
  if string.find(originator, '%a') then
    return false -- a name is never released
  end
  local number = string.sub(originator, 1, 1) == '+' and originator or '+' .. originator
  if redis.call('ZSCORE', SENDERS_RELEASED, number) then
    return true
  end
  local under = redis.call('HGET', SENDERS_PENDING, number)
  return under and string.sub(under, 1, 8) == 'release ' or false
end
