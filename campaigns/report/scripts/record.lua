-- Writes the records of calls that ended, with their places in the indices.
-- Harmless when repeated: the record that is there already stays as it is, and
-- one whose numbers were forgotten since it was written gets no place by them
-- again.
--
-- KEYS  1 index of all; then for each record: its key, and the indices of its
--       numbers
-- ARGV  1 retention (ms)  2 the oldest start kept in the index of a number (us)
--       then for each record: id, start (us), how many numbers it has, body
-- Answers for each record '' when it is written, now or before, else what is
-- there in its place
local answers = {}
local key, arg = 2, 3
while ARGV[arg] do
  local id, started, numbers, body = ARGV[arg], ARGV[arg + 1], tonumber(ARGV[arg + 2]), ARGV[arg + 3]
  local there = redis.call('SET', KEYS[key], body, 'NX', 'GET', 'PX', ARGV[1])
  redis.call('ZADD', KEYS[1], 'NX', started, id)
  if not there or there == body then
    there = ''
    for n = 1, numbers do
      redis.call('ZADD', KEYS[key + n], 'NX', started, id)
      redis.call('ZREMRANGEBYSCORE', KEYS[key + n], '-inf', '(' .. ARGV[2])
      redis.call('PEXPIRE', KEYS[key + n], ARGV[1])
    end
  end
  answers[#answers + 1] = there
  key, arg = key + 1 + numbers, arg + 4
end
return answers
