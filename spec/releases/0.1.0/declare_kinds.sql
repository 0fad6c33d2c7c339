-- declare_kinds: what the worker's handlers can run. Writes only what changed.
--
-- $1 worker  $2 names  $3 queues  $4 max_attempts  $5 priorities  $6 timeouts in s  $7 summaries
-- $8 JSON Schemas of the arguments, '' for none  $9 sources (file:line)  $10 generation
-- Answers (name, kind_id, paused); paused ones are not to be claimed. Locks kinds that change, in order of their names.
select d.name, d.kind_id, d.paused
from jobq.declare_kinds($1::bigint, $2::text[], $3::text[], $4::int[], $5::int[], $6::float8[], $7::text[], $8::text[],
  $9::text[], $10::text) d
