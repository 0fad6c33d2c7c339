-- fall_asleep: the worker wants to be woken on these lanes. First step of sleeping; each step is its own transaction:
--
--   fall_asleep   commits a sleeper row for each lane
--   mark          only then takes a transaction id: every id given out before is smaller
--   may_sleep     true once every transaction with a smaller id has ended
--   claim         always after may_sleep was asked; a hit: work. Empty, and may_sleep was false: both again, with growing
--                 pauses. Empty, and it was true (a notification that came since may_sleep was asked counts as a
--                 wake-up): rest
--   next_due      rest until a notification, the next scheduled job, or the poll interval
--
-- Why it is exact: an enqueue inserts first and looks for sleepers in a later snapshot. Either that snapshot sees the
-- row, and it notifies. Or it was taken before the row's commit ended; the enqueue had its id by then, so the id is
-- smaller than mark's, may_sleep waits for its end, and the claim after that sees its job.
--
-- $1 worker  $2 lane[]
insert into jobq.sleeper (worker_id, lane_id)
select $1::bigint, lane from unnest($2::int[]) lane
order by lane
on conflict do nothing
