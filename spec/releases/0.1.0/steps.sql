-- steps: what the job of a run has done already, and what it waits for.
--
-- $1 job
-- Answers in no order. left_s: seconds until a sleep or a wait is over; null: it has no end, or is none.
select s.what, s.name, s.key, s.value::text as value, s.ended_at is not null as ended,
  case when s.due < 'infinity' then greatest(extract(epoch from s.due - now()), 0)::float8 end as left_s
from jobq.steps($1::bigint) s
