-- report_load: why the worker's handlers folder, as it is now, does not load; '' once it does.
--
-- $1 worker  $2 what is wrong, for people
update jobq.worker set load_error = nullif($2::text, ''), loaded_at = now() where id = $1::bigint
