-- sweep_progress: forgets how far jobs of a worker were that have ended.
--
-- $1 worker
delete from jobq.progress p
where p.worker_id = $1::bigint and not exists (
  select from jobq.lease l where l.worker_id = p.worker_id and l.seq = p.seq and p.slot <> all (l.done))
