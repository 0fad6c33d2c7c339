-- write_logs: lines that jobs wrote to their logs.
--
-- $1 job_id[]  $2 attempt[]  $3 how long ago in us[]  $4 level[]: 0 debug, 1 info, 2 warn, 3 error  $5 message[]
-- $6 fields[], JSON, '' for none
-- A line's time is the database's now() less its age, so clocks of workers do not matter; none is from the future.
insert into jobq.job_log (job_id, attempt, at, level, message, fields)
select t.job_id, t.attempt, now() - greatest(t.age_us, 0) * interval '1 microsecond', t.level, t.message,
  nullif(t.fields, '')::jsonb
from unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::smallint[], $5::text[], $6::text[])
  as t (job_id, attempt, age_us, level, message, fields)
