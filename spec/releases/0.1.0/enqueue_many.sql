-- enqueue_many: jobs of one kind from a handler, in whatever transaction is open; their ids, in order.
--
-- $1 kind  $2 args of each, JSON[]  and the options of all as in enqueue.sql
select q.id from jobq.enqueue_many($1::text, $2::text[]::jsonb[], $3::text, $4::int, to_timestamp($5::float8),
  $6::float8 * interval '1 second', $7::int, $8::float8 * interval '1 second', $9::text,
  $10::float8 * interval '1 second', $11::text[]) with ordinality as q (id, number)
order by q.number
