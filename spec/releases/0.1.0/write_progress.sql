-- write_progress: how far a worker's running jobs are, as their handlers told.
--
-- $1 worker  $2 lease number[]  $3 slot[]  $4 fraction[], 0 to 1  $5 how long ago in us[]  $6 message[], '' for none
--
-- What a lease no longer holds is passed over, so nothing is written for a job that is not the worker's. It locks
-- rows of progress only, which nobody but this worker writes; a row that a crash forgets is told again soon.
with asynchronous as materialized (
  select set_config('synchronous_commit', 'off', true) as setting
)
insert into jobq.progress (worker_id, seq, slot, fraction, at, message)
select l.worker_id, l.seq, t.slot, t.fraction, now() - greatest(t.age_us, 0) * interval '1 microsecond',
  nullif(t.message, '')
from asynchronous,
  unnest($2::bigint[], $3::smallint[], $4::float8[], $5::bigint[], $6::text[])
    as t (seq, slot, fraction, age_us, message)
join jobq.lease l on l.worker_id = $1::bigint and l.seq = t.seq
where t.slot <> all (l.done) and t.slot between 1 and l.n
on conflict (worker_id, seq, slot) do update
set fraction = excluded.fraction, at = excluded.at, message = excluded.message
