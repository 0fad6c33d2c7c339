-- heartbeat: the worker lives, and how it does.
--
-- $1 worker  $2 processed  $3 succeeded  $4 failed  $5 running  $6 resident memory in kB
-- Answers the ids of all jobs that somebody wants cancelled; no row: the worker was declared dead.
-- Locks the worker's row: a recovery that looks now passes by.
update jobq.worker
set seen_at = now(), processed = $2::bigint, succeeded = $3::bigint, failed = $4::bigint, running = $5::int,
  rss_kb = $6::bigint
where id = $1::bigint and state = 'running'
returning array(select job_id from jobq.cancel_request order by job_id) as cancelled
