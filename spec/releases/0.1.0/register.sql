-- register: a new worker. Then, in the same session, take_lock: the session's death is the worker's.
--
-- $1 pid  $2 host  $3 name  $4 version  $5 queues that it serves, null for all  $6 how many jobs at a time
-- $7 path of its private socket, or null
-- Answers its id.
--
-- Durable whatever the session's setting: the id is half of every lease's key and must not be handed out again after a
-- crash. Its lease numbers start at 1.
with durable as materialized (
  select set_config('synchronous_commit', 'on', true) as setting
)
insert into jobq.worker (pid, host, name, version, queues, concurrency, socket)
select $1::int, $2::text, $3::text, $4::text, $5::text[], $6::int, $7::text from durable
returning id
