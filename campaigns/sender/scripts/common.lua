-- Shared by the scripts of the senders; put in front of each.
--
-- What is under way with a number is one line of facts, and for a number that
-- is being obtained what becomes its record:
--   kind nonce until begun tries key digest LF json
-- kind is obtain or release. The nonce names the request that holds it, until
-- (ms) is when its lease is over: then anybody may take it up. begun (ms) is
-- when the last request for it came, and tries says how many have come: what the
-- earlier ones did at the provider is not known. key and digest are the idempotency key
-- (its last part) and what it stands for; "-" where there is none.
--
-- An idempotency key holds "digest LF json", the json being what was answered;
-- it is empty until there is an answer.

local function now()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

local function parse(record)
  if not record then
    return nil
  end
  local kind, nonce, till, begun, tries, key, digest, body =
    string.match(record, '^(%l+) (%x+) (%d+) (%d+) (%d+) (%S+) (%S+)\n(.*)$')
  return {
    kind = kind, nonce = nonce, till = tonumber(till), begun = tonumber(begun),
    tries = tonumber(tries), key = key, digest = digest, body = body,
  }
end

local function format(p)
  return string.format('%s %s %.0f %.0f %.0f %s %s\n%s',
    p.kind, p.nonce, p.till, p.begun, p.tries, p.key, p.digest, p.body)
end
