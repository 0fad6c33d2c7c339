-- declare_limits: how many jobs of the worker's kinds may run at a time, as its handlers say. Before declare_kinds.
--
-- $1 worker  $2 names of all its kinds  $3 JSON array of the limits of each, '' for none  $4 sources (file:line)
-- Answers what was refused, for people. Locks limits that change, in order of their names, for a second at most.
select d.problem
from jobq.declare_limits($1::bigint, $2::text[], $3::text[], $4::text[]) d
