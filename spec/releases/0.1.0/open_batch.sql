-- open_batch: a batch, in whatever transaction is open; its id.
--
-- $1 name  $2 on_success  $3 on_failure  $4 on_complete, JSON each  $5 parent  $6 refire
-- $7 the member of the parent that opens it  each null without
select jobq.open_batch($1::text, $2::text::jsonb, $3::text::jsonb, $4::text::jsonb, $5::bigint, $6::boolean,
  $7::bigint) as id
