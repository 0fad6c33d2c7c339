-- keep_checkpoint: how far a running job is; the last one counts.
--
-- $1 worker  $2 seq  $3 slot: the job's place in its lease  $4 value, JSON
-- Raises JQ001 when the job is no longer this run's. Locks the lease against its end.
select jobq.keep_checkpoint($1::bigint, $2::bigint, $3::smallint, $4::text::json)
