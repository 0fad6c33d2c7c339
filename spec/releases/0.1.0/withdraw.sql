-- withdraw: the worker is too busy to be woken, and looks by itself.
--
-- $1 worker
delete from jobq.sleeper where worker_id = $1::bigint
