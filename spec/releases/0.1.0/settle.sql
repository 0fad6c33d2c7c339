-- settle: outcomes of claimed jobs, of any of the worker's leases, in parts or whole. Durable, idempotent.
--
-- $1 worker  $2 seq[]  $3 slot[]  $4 outcome[]  and, each null as a whole where nobody has one:
-- $5 how long it ran in us[]  $6 delay before the next run in ms[]  $7 error[]  $8 result[], JSON
-- Answers (seq, slot) of what was not settled now, because it was before or is no longer the worker's.
-- Locks the leases, in order of their numbers.
select r.refused_seq as seq, r.refused_slot as slot
from jobq.settle($1::bigint, $2::bigint[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],
  $8::text[]::json[]) r
