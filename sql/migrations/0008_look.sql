-- min_worker: 0.1.0
-- look - all jobs as one relation with five statuses, one job by id, its attempts; workers; log lines.
--
-- A branch for each status, as a constant: the planner drops those that a filter on status excludes. All columns have
-- the same types in each and only leases, which are few, are more than a plain table: so a list by id is read from the
-- ends of the indexes on id, and stops at its limit (2 s otherwise, with a million jobs). A filter on id is an index probe in ready, one in each partition, and
-- an unpacking of every lease: for one job ask jobq.find.
create view jobq.job as
select j.id, k.name as kind, q.name as queue, j.status, j.priority, j.attempt,
  coalesce(j.max_attempts, k.max_attempts, 3::smallint) as max_attempts, j.run_at, j.created_at,
  j.started_at, j.finished_at, j.worker_id, j.args, j.error, j.result,
  array(select jsonb_array_elements_text(j.meta -> 'tags')) as tags, j.meta
from (
  select r.id, r.lane_id, r.kind_id, 'pending'::text as status, r.priority, r.attempt, r.max_attempts, r.run_at,
    r.created_at, null::timestamptz as started_at, null::timestamptz as finished_at, null::bigint as worker_id, r.args,
    null::text as error, null::json as result, r.meta
  from jobq.ready r
  union all
  select j.id, j.lane_id, j.kind_id, 'processing'::text, j.priority, (j.attempt + 1)::smallint, j.max_attempts, j.run_at,
    j.created_at, l.claimed_at, null::timestamptz, l.worker_id, j.args, null::text, null::json, j.meta
  from jobq.lease l,
    unnest(l.jobs) with ordinality
      as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
  where j.slot <> all (l.done)
  union all
  select f.id, f.lane_id, f.kind_id, 'completed'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta
  from jobq.finished_completed f
  union all
  select f.id, f.lane_id, f.kind_id, 'failed'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta
  from jobq.finished_failed f
  union all
  select f.id, f.lane_id, f.kind_id, 'cancelled'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta
  from jobq.finished_cancelled f
) j
join jobq.lane l on l.id = j.lane_id
join jobq.queue q on q.id = l.queue_id
join jobq.kind k on k.id = j.kind_id;
comment on view jobq.job is 'Every job, wherever it is kept.';

-- One job, from the first place that has it; a lease is found by its ids and only that one is unpacked. Each look is a
-- statement with its own snapshot, so a job that moves on meanwhile is met in the next place; one that comes back to
-- ready behind us is met in another round.
create function jobq.find(id bigint) returns setof jobq.job
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  for round in 1..3 loop
    return query select * from jobq.job j where j.id = find.id and j.status = 'pending';
    exit when found;
    return query
      select (p.job).id, k.name, q.name, 'processing'::text, (p.job).priority, ((p.job).attempt + 1)::smallint,
        coalesce((p.job).max_attempts, k.max_attempts, 3::smallint), (p.job).run_at, (p.job).created_at, p.claimed_at,
        null::timestamptz, p.worker_id, (p.job).args, null::text, null::json,
        array(select jsonb_array_elements_text((p.job).meta -> 'tags')), (p.job).meta
      from (
        select l.worker_id, l.claimed_at, l.jobs[array_position(l.ids, find.id)] as job
        from jobq.lease l
        where find.id = any (l.ids) and array_position(l.ids, find.id) <> all (l.done)
        offset 0                                       -- unpacks once, not once a column
      ) p
      join jobq.lane l on l.id = (p.job).lane_id
      join jobq.queue q on q.id = l.queue_id
      join jobq.kind k on k.id = (p.job).kind_id;
    exit when found;
    return query select * from jobq.job j where j.id = find.id and j.status in ('completed', 'failed', 'cancelled');
    exit when found;
  end loop;
end $$;
comment on function jobq.find is 'One job by id, wherever it is kept; no row if there is none.';

-- The error trail of one job, oldest first: what attempt holds, then the end.
create function jobq.attempts(id bigint)
returns table (attempt smallint, outcome text, started_at timestamptz, finished_at timestamptz, worker_id bigint, error text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.attempt, a.outcome, a.started_at, a.finished_at, a.worker_id, a.error from jobq.attempt a where a.job_id = $1
  union all
  select f.attempt, f.status::text, f.started_at, f.finished_at, f.worker_id, f.error from jobq.finished f where f.id = $1
  order by 4, 1
$$;
comment on function jobq.attempts is 'What became of each run of a job that counted, oldest first.';

create view jobq.worker_status as
select w.id, w.name, w.host, w.pid, w.version, w.state, w.started_at, w.seen_at, now() - w.seen_at as silent_for,
  w.running, w.concurrency, w.processed, w.succeeded, w.failed, w.rss_kb, w.queues,
  array(select k.name from jobq.kind k where k.id = any (w.kinds) order by 1) as kinds, w.generation, w.load_error,
  (select coalesce(sum(l.n - cardinality(l.done)), 0)::bigint from jobq.lease l where l.worker_id = w.id) as claimed
from jobq.worker w;
comment on view jobq.worker_status is 'Every worker that is remembered, with its counters as of its last heartbeat.';

create view jobq.log as
select job_id, at, attempt, (array['debug', 'info', 'warn', 'error'])[level + 1] as level, message, fields
from jobq.job_log;
comment on view jobq.log is 'What jobs wrote to their logs.';
