-- stop: the worker ends in order. Its last settle came before; what it still holds is left to recovery.
--
-- $1 worker
with awake as (
  delete from jobq.sleeper where worker_id = $1::bigint
)
update jobq.worker set state = 'stopped', running = 0, seen_at = now() where id = $1::bigint and state = 'running'
