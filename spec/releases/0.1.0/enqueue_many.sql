-- enqueue_many: jobs of one kind from a handler, in whatever transaction is open; their ids, in order, and what happened.
--
-- $1 kind  $2 args of each, JSON[]  $3 options of all, a JSON object, null without
select e.id, e.happened
from jobq.enqueue_many_with($1::text, $2::text[]::jsonb[], $3::text::jsonb) with ordinality as e (id, happened, number)
order by e.number
