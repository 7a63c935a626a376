-- The segments sent in the current hour and the 23 before.
--
-- KEYS  1 their hash
-- Answers how many
return (guard_day(KEYS[1], clock()))
