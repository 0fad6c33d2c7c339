-- enqueue: a job from a handler, in whatever transaction is open.
--
-- $1 kind  $2 args, JSON  and, each null for the default: $3 queue  $4 priority  $5 run_at, Unix seconds  $6 delay in s
-- $7 max_attempts  $8 timeout in s  $9 unique_key  $10 unique_for in s  $11 tags
select jobq.enqueue($1::text, $2::text::jsonb, $3::text, $4::int, to_timestamp($5::float8),
  $6::float8 * interval '1 second', $7::int, $8::float8 * interval '1 second', $9::text,
  $10::float8 * interval '1 second', $11::text[]) as id
