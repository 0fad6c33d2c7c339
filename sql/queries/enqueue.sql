-- enqueue: a job from a handler, in whatever transaction is open; its id and what happened.
--
-- $1 kind  $2 args, JSON  $3 options, a JSON object, null without
select e.id, e.happened from jobq.enqueue_with($1::text, $2::text::jsonb, $3::text::jsonb) e
