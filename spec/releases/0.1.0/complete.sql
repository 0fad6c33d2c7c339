-- complete: ends one claimed job inside its handler's transaction. A COMMIT follows in the same batch.
--
-- $1 worker  $2 seq  $3 slot: the job's place in its lease  $4 how long it ran in us  $5 result, JSON or null
-- Raises JQ001 when the job is no longer this run's. Locks the lease.
select jobq.complete($1::bigint, $2::bigint, $3::smallint, $4::bigint, $5::text::json)
