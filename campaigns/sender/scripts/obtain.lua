-- Notes that a number is about to be obtained, before the provider is asked; or
-- says what noting that would be answered, and notes nothing.
--
-- KEYS[1]  hash of senders: number -> json
-- KEYS[2]  hash of what is under way: number -> see common.lua
-- KEYS[3]  idempotency key; KEYS[1] again where there is none
-- ARGV[1]  number
-- ARGV[2]  nonce of this request (hexadecimal)
-- ARGV[3]  its lease (ms)
-- ARGV[4]  what becomes the record, as json
-- ARGV[5]  last part of the idempotency key; "-" for none
-- ARGV[6]  digest of the request; "-" for none
-- ARGV[7]  how long the idempotency key is remembered (ms)
-- ARGV[8]  1 to note nothing
--
-- Answers {'ok', now, tries}, {'again', json}, {'conflict'}, {'taken'},
-- {'busy'}, and {'wait'} where the busy one is an earlier request of this key.

local number, nonce, key, digest = ARGV[1], ARGV[2], ARGV[5], ARGV[6]
local time = now()
local repeated = false
if key ~= '-' then
  local first = redis.call('GET', KEYS[3])
  if first then
    local of, made = string.match(first, '^(%x+)\n(.*)$')
    if of ~= digest then
      return {'conflict'}
    end
    if made ~= '' then
      return {'again', made}
    end
    repeated = true
  end
end

local p = parse(redis.call('HGET', KEYS[2], number))
if p and p.nonce == nonce then
  return {'ok', time, p.tries}
end
if p and p.till > time then
  return {repeated and 'wait' or 'busy'}
end
local sender = redis.call('HGET', KEYS[1], number)
if sender then
  if p then
    return {'busy'} -- to be released, and not known whether it was
  end
  if repeated then
    -- What this key began was ended by somebody else.
    redis.call('SET', KEYS[3], digest .. '\n' .. sender, 'PX', ARGV[7])
    return {'again', sender}
  end
  return {'taken'}
end

local tries = (p and p.tries or 0) + 1
if ARGV[8] == '1' then
  return {'ok', time, tries}
end
redis.call('HSET', KEYS[2], number, format({
  kind = 'obtain', nonce = nonce, till = time + tonumber(ARGV[3]), begun = time, tries = tries,
  key = key, digest = digest, body = ARGV[4],
}))
if key ~= '-' then
  redis.call('SET', KEYS[3], digest .. '\n', 'PX', ARGV[7])
end
return {'ok', time, tries}
