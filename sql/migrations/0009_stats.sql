-- min_worker: 0.1.0
-- stats - how many jobs of which kind are where. Exact for the two small places; history since the time asked for.
create function jobq.stats(since timestamptz default now() - interval '1 day')
returns table (queue text, kind text, status text, jobs bigint, oldest timestamptz, mean_seconds numeric, known boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  with counted as (
    select r.lane_id, r.kind_id, 'pending' as status, count(*) as jobs, min(nullif(r.run_at, 'infinity')) as oldest,
      null::numeric as seconds
    from jobq.ready r group by 1, 2
    union all
    select j.lane_id, j.kind_id, 'processing', count(*), min(l.claimed_at), null::numeric
    from jobq.lease l,
      unnest(l.jobs) with ordinality
        as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
    where j.slot <> all (l.done) group by 1, 2
    union all
    select f.lane_id, f.kind_id, f.status::text, count(*), min(f.finished_at),
      sum(extract(epoch from f.finished_at - f.started_at))::numeric
    from jobq.finished f where f.finished_at >= $1 group by 1, 2, 3
  )
  select q.name, k.name, c.status, sum(c.jobs)::bigint, min(c.oldest), round(sum(c.seconds) / sum(c.jobs), 3),
    exists (
      select from jobq.worker w
      where w.state = 'running' and k.id = any (w.kinds) and (w.queues is null or q.name = any (w.queues)))
  from counted c
  join jobq.lane l on l.id = c.lane_id
  join jobq.queue q on q.id = l.queue_id
  join jobq.kind k on k.id = c.kind_id
  group by q.name, k.name, c.status, k.id
  order by 1, 2, 3
$$;
comment on function jobq.stats is 'Jobs by queue, kind and status; known is false where no living worker runs the kind. oldest is the due, claimed or finished time.';
