-- emit_event: adds an event for one job that waits for it, now or later.
--
-- $1 name  $2 payload, JSON  $3 id, null: none
-- Answers false if there was an event of that name and id already.
select jobq.emit_event($1::text, $2::text::jsonb, $3::text) as added
