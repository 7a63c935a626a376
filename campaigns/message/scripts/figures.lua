-- Reads how much is in the queue.
--
-- KEYS  1 the queue of live ones, which says where the script is to run
-- Answers {queued, sending, unknown and to be sent once more, when the oldest
--          queued one was made (Unix ms) or -1, now (Unix ms)}
local queued = redis.call('ZCARD', QUEUED)
local oldest = redis.call('ZRANGE', QUEUED, 0, 0, 'WITHSCORES')
return {
  queued, math.max(0, redis.call('ZCARD', LIVE) + redis.call('ZCARD', LISTS) - queued), redis.call('ZCARD', DOUBTED),
  tonumber(oldest[2] or -1), clock(),
}
