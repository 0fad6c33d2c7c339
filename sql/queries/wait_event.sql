-- wait_event: takes an event for a running job, or keeps that the job waits for one. Then it is settled with park.
--
-- $1 worker  $2 seq  $3 slot: the job's place in its lease  $4 name  $5 key  $6 for how long in seconds, null: no end
-- Answers state (taken, timeout, waiting), value (JSON) and left_s. Raises JQ001 when the job is no longer this run's.
-- Locks the lease against its end; events that somebody else has locked are passed over.
select w.state, w.value::text as value, w.left_s
from jobq.wait_event($1::bigint, $2::bigint, $3::smallint, $4::text, $5::text, $6::float8) w
