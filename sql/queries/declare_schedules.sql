-- declare_schedules: when the kinds of the worker's handlers come by the clock. After declare_kinds.
--
-- $1 worker  $2 names of all its kinds  $3 JSON of the schedule of each, '' for none  $4 sources (file:line)
-- Answers what was refused, for people. Locks schedules that change, in order of their names, for a second at most.
select d.problem
from jobq.declare_schedules($1::bigint, $2::text[], $3::text[], $4::text[]) d
