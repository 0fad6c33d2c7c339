-- min_worker: 0.1.0
-- kinds - what workers declare, which kinds stand apart, and moving the jobs of those that do.

-- Stores what a worker can run. Kinds in order of their names, so that two workers never wait for each other in a
-- circle; only what changed is written.
create function jobq.declare_kinds(
  worker bigint, names text[], queues text[], max_attempts int[], priorities int[], timeouts float8[], summaries text[],
  schemas text[], sources text[], generation text
) returns table (name text, kind_id int, paused boolean)
language plpgsql as $$
#variable_conflict use_column
declare
  k record;
  home int;
  known int;
  ids int[] := '{}';
  lanes_changed boolean := false;
begin
  insert into jobq.queue as q (name)
    select distinct d.queue from unnest(queues) d (queue)
    where not exists (select from jobq.queue q where q.name = d.queue)
    order by 1
    on conflict do nothing;
  for k in
    select d.name, d.queue, d.max_attempts::smallint, d.priority::smallint, d.timeout_s, nullif(d.summary, '') as summary,
      nullif(d.schema, '')::json as schema, nullif(d.source, '') as source
    from unnest(names, queues, declare_kinds.max_attempts, priorities, timeouts, summaries, schemas, sources)
      as d (name, queue, max_attempts, priority, timeout_s, summary, schema, source)
    order by d.name
  loop
    select q.id into home from jobq.queue q where q.name = k.queue;
    insert into jobq.kind (name, queue_id) select k.name, home
      where not exists (select from jobq.kind x where x.name = k.name)
      on conflict do nothing;
    update jobq.kind x
      set queue_id = home, max_attempts = k.max_attempts, priority = k.priority, timeout_s = k.timeout_s,
        summary = k.summary, schema = k.schema, source = k.source, generation = declare_kinds.generation,
        declared_at = coalesce(x.declared_at, now()),
        unsorted = x.unsorted or x.queue_id <> home,   -- what waits in the old queue's shared lane has no home there
        unsorted_mark = case when x.queue_id = home then x.unsorted_mark end,
        lane_id = case when x.queue_id = home and x.declared_at is not null then x.lane_id end
      where x.name = k.name
        and (x.declared_at is null or (x.queue_id, x.max_attempts, x.priority, x.timeout_s, x.summary, x.schema::text,
            x.source, x.generation)
          is distinct from (home, k.max_attempts, k.priority, k.timeout_s, k.summary, k.schema::text,
            k.source, declare_kinds.generation));
    select x.id into known from jobq.kind x where x.name = k.name;
    ids := ids || known;
    -- Jobs that waited for somebody to say where their kind belongs: all at once, none is touched.
    update jobq.lane l set queue_id = home where l.kind_id = known and l.follows_kind and l.queue_id <> home;
    if found then                                      -- where limits may wait for them
      delete from jobq.limit_state s using jobq.limits m where m.id = s.limit_id and m.queue_id = home;
      lanes_changed := true;
    end if;
    insert into jobq.lane (queue_id) select home
      where not exists (select from jobq.lane l where l.queue_id = home and l.kind_id = 0)
      on conflict do nothing;
    lanes_changed := lanes_changed or found;
    name := k.name;
    kind_id := known;
    paused := exists (select from jobq.pause p where p.kind_id = known)
      or exists (select from jobq.limits m left join jobq.limit_state s on s.limit_id = m.id
        where m.kind_id = known and s.applied_at is null);
    return next;
  end loop;
  update jobq.worker w set kinds = ids, generation = declare_kinds.generation
    where w.id = worker and (w.kinds, w.generation) is distinct from (ids, declare_kinds.generation);
  if found and exists (select from jobq.limits) then
    perform pg_notify('jobq_control', 'advance');      -- limited jobs wait for somebody who runs them
  end if;
  if lanes_changed then
    perform pg_notify('jobq', 'lanes');
  end if;
end $$;
comment on function jobq.declare_kinds is 'Stores the kinds that a worker runs as their handlers declare them; returns their numbers, and which are not to be claimed now.';

-- Decides from the registry which kinds stand apart, and moves waiting jobs out of shared lanes where they do not
-- belong, some at a time: call until it returns 0. At registration and with upkeep; nothing on the claim path pays.
--
-- A kind stands apart once a living worker of its queue cannot run it. It comes together with the others again when
-- somebody runs it and all living workers of the queue do; then only the flag changes, and its own lane drains. A
-- paused kind stands apart as well, whoever runs it.
--
-- There is no index by kind, so looking for jobs to move reads shared lanes; it is done for kinds that are `unsorted`.
-- That ends when nothing was found and every transaction that may have enqueued by the old rule is over: the mark is a
-- transaction id taken after the new rule was committed, as for sleepers (mark, may_sleep).
create function jobq.sort_lanes(at_most int default 5000) returns int
language plpgsql as $$
declare
  moved int;
begin
  perform pg_advisory_xact_lock(1785687410, 1);        -- one sorter at a time; each decides on a new snapshot
  update jobq.kind k set unsorted_mark = pg_current_xact_id() where k.unsorted and k.unsorted_mark is null;

  with living as (
    select w.queues, w.kinds from jobq.worker w where w.state = 'running' and w.kinds <> '{}'
  ),
  paused as (
    select p.kind_id from jobq.pause p where p.kind_id is not null
  ),
  verdict as (
    select k.id, bool_and(k.id = any (w.kinds)) as by_all
    from jobq.kind k
    join jobq.queue q on q.id = k.queue_id
    join living w on w.queues is null or q.name = any (w.queues)
    where k.id not in (select p.kind_id from paused p)
    group by k.id
    union all
    select p.kind_id, false from paused p
  )
  update jobq.kind k
    set apart = not v.by_all,
      lane_id = null,
      unsorted = k.unsorted or not v.by_all,
      unsorted_mark = case when v.by_all then k.unsorted_mark end
    from verdict v where v.id = k.id and k.apart = v.by_all;
  -- Jobs that a limit is for go the long way in.
  update jobq.kind k set lane_id = null
    where k.lane_id is not null
      and exists (select from jobq.limits m where m.kind_id = k.id or m.queue_id = k.queue_id);
  update jobq.kind k set lane_id = l.id
    from jobq.lane l
    where k.lane_id is null
      and not exists (select from jobq.limits m where m.kind_id = k.id or m.queue_id = k.queue_id)
      and not l.follows_kind and l.queue_id = k.queue_id
      and l.kind_id = case when k.apart then k.id else 0 end and k.declared_at is not null;

  if not exists (select from jobq.kind k where k.unsorted) then
    return 0;
  end if;

  insert into jobq.lane (queue_id, kind_id)
    select l.queue_id, k.id
    from jobq.kind k join jobq.lane l on l.kind_id = 0
    where k.unsorted and (k.apart or l.queue_id <> k.queue_id)
      and not exists (select from jobq.lane own where own.queue_id = l.queue_id and own.kind_id = k.id and not own.follows_kind)
      and exists (select from jobq.ready r where r.lane_id = l.id and r.kind_id = k.id)
    on conflict do nothing;
  if found then
    perform pg_notify('jobq', 'lanes');
  end if;

  update jobq.ready r set lane_id = own.id
  from jobq.lane shared
  join jobq.lane own on own.queue_id = shared.queue_id and not own.follows_kind
  where shared.id = r.lane_id and shared.kind_id = 0 and own.kind_id = r.kind_id
    and r.ctid = any (array(
      select r.ctid
      from jobq.ready r
      join jobq.lane l on l.id = r.lane_id and l.kind_id = 0
      join jobq.kind k on k.id = r.kind_id and k.unsorted and (k.apart or l.queue_id <> k.queue_id)
      limit at_most
      for update of r skip locked));
  get diagnostics moved = row_count;
  if moved = 0 then
    update jobq.kind k set unsorted = false, unsorted_mark = null
      where k.unsorted and k.unsorted_mark < pg_snapshot_xmin(pg_current_snapshot());
  end if;
  return moved;
end $$;
comment on function jobq.sort_lanes is 'Decides which kinds wait in a line of their own, and moves their waiting jobs there in batches; how many.';
