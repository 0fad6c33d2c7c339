-- keep_step: what a step of a running job has given. Alone, or with the COMMIT of the step's transaction.
--
-- $1 worker  $2 seq  $3 slot: the job's place in its lease  $4 name  $5 key  $6 value, JSON  $7 how long it took in us
-- Raises JQ001 when the job is no longer this run's. Locks the lease against its end.
select jobq.keep_step($1::bigint, $2::bigint, $3::smallint, $4::text, $5::text, $6::text::json, $7::bigint)
