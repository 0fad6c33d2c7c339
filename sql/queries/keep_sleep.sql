-- keep_sleep: until when a running job sleeps, which its first run here decides.
--
-- $1 worker  $2 seq  $3 slot: the job's place in its lease  $4 name  $5 until, Unix time
-- Answers the seconds that are left. Raises JQ001 when the job is no longer this run's. Locks the lease against its end.
select jobq.keep_sleep($1::bigint, $2::bigint, $3::smallint, $4::text, $5::float8) as left_s
