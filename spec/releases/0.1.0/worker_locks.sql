-- worker_locks: all workers that are said to run, whether a session of theirs holds their lock, and their last heartbeat.
--
-- Answers (id, held, seen_at).
select w.id,
  exists (
    select from pg_locks k
    where k.locktype = 'advisory' and k.objsubid = 1 and k.granted
      and (k.classid::bigint << 32 | k.objid::bigint) = w.id
      and k.database = (select d.oid from pg_database d where d.datname = current_database())
  ) as held,
  w.seen_at
from jobq.worker w
where w.state = 'running'
order by w.started_at
