-- advance: what has to happen by itself: schedules, limits, parked jobs.
--
-- Answers seconds until the next call, null: when the notification 'advance' comes. Runs one at a time.
select jobq.advance() as seconds
