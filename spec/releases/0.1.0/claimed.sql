-- claimed: what a claim took whose reply was lost, in the columns of claim.
--
-- $1 worker  $2 the first number of that claim
-- None: it took nothing, or is still to land on a session that is cut; then its leases are strangers (reconcile).
select l.seq, j.slot::smallint as slot, j.id, j.kind_id, j.lane_id, j.priority, j.run_at, j.created_at, j.attempt,
  j.max_attempts, (j.meta ->> 'timeout')::float8 as timeout_s, j.args::text as args, j.meta::text as meta,
  j.id in (select job_id from jobq.cancel_request) as cancelled,
  extract(epoch from to_timestamp((j.meta ->> 'expires')::float8) - now())::float8 as expires_s
from jobq.lease l,
  unnest(l.jobs) with ordinality
    as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
where l.worker_id = $1::bigint and l.seq >= $2::bigint and j.slot <> all (l.done)
order by l.seq, j.slot
