-- Extends the leases of the messages a worker has in hand.
--
-- KEYS  1 the queue of live ones, which says where the script is to run
-- ARGV  1 prefix of message keys (all in the hash slot of KEYS)  2 lease (ms)
--       then for each message: id, holder
-- Answers how many are still held
local at = clock()
local held = 0
for i = 3, #ARGV, 2 do
  local r = redis.call('HMGET', ARGV[1] .. ARGV[i], 'state', 'holder', 'list')
  if r[2] == ARGV[i + 1] and (r[1] == 'queued' or r[1] == 'sending') then
    redis.call('ZADD', lane(r[3]), 'XX', at + ARGV[2], ARGV[i])
    held = held + 1
  end
end
return held
