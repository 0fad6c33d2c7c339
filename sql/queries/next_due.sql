-- next_due: seconds until the next scheduled job of these lanes, null if there is none. Ten probes a lane.
--
-- $1 lane[]
-- What came due in the last two seconds, so perhaps after the claim before this, counts as due now. What is due longer
-- was seen by a claim, and is not for this worker: it must not keep it awake.
select extract(epoch from min(greatest(due.run_at, now())) - now())::float8 as seconds
from unnest($1::int[]) lane, generate_series(0, 9) level,
  lateral (
    select r.run_at
    from jobq.ready r
    where r.lane_id = lane and r.priority = level::smallint and r.run_at > now() - interval '2 seconds'
      and r.run_at < 'infinity'                        -- parked
    order by r.run_at
    limit 1
  ) due
