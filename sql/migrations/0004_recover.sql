-- min_worker: 0.1.0
-- recover - brings back the jobs of dead workers. Any worker calls it, every few seconds; it is safe at any time.
--
-- A worker is dead when it was silent for dead_after (even if its session still stands: a stopped process), or when
-- the caller names it in `missing` and its advisory lock (its id) is free. The caller names a
-- worker whose lock it has itself seen held and then free for a while, on one connection that lived through all of it:
-- after a failover every lock is free, and nobody may die of that. Here the lock is only looked at once more, by taking
-- it: a worker that came back meanwhile holds it, one that comes back now has to wait and then finds itself dead.
--
-- Who is to blame? Nobody can tell which of a hundred running jobs crashed the process. So a job that shared its lease
-- comes back unpunished but suspect; a suspect gets a lease of its own at the next claim; and a job that is alone in
-- its lease when the worker dies has used up an attempt. The worker runs few suspects at a time, best one.
create function jobq.recover(dead_after interval default '5 minutes', missing bigint[] default '{}')
returns table (worker_id bigint, jobs bigint)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  found bigint[];
  dead bigint;
  seqs bigint[];
  slots smallint[];
  outcomes text[];
  delays bigint[];
  errors text[];
  lanes int[] := '{}';
  more int[];
begin
  -- One statement finds and takes them: of two recoverers the second passes by, and a heartbeat in flight holds the
  -- row, so that worker is alive. CASE, because AND does not say which side is looked at first.
  with died as (
    update jobq.worker w set state = 'dead'
    where w.id in (
      select d.id from jobq.worker d
      where d.state = 'running'
        and case
          when d.seen_at < now() - dead_after then true
          when d.id = any (missing) then pg_try_advisory_xact_lock(d.id)
          else false end
      for update skip locked)
    returning w.id)
  select coalesce(array_agg(d.id), '{}') into found from died d;

  -- Leases of all that do not run, not only of those just found: a paused worker may claim once more before it learns.
  for dead in
    select l.worker_id from jobq.lease l
    where not exists (select from jobq.worker w where w.id = l.worker_id and w.state = 'running')
    union
    select unnest(found)
    order by 1
  loop
    with orphan as materialized (
      select l.seq, l.done, l.n, l.jobs
      from jobq.lease l
      where l.worker_id = dead
      for update skip locked                           -- a settle in flight comes first; we are back in seconds
    ),
    open as (
      select o.seq, j.slot::smallint, o.n = 1 as alone, j.attempt + 1 as attempt, j.lane_id
      from orphan o,
        unnest(o.jobs) with ordinality
          as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
      where j.slot <> all (o.done)
    )
    select array_agg(p.seq), array_agg(p.slot), array_agg(case when alone then 'crash' else 'suspect' end),
      array_agg(case when alone then least(3600, 2 ^ least(attempt, 12)) * 1000 end::bigint),
      array_agg(case when alone then 'its worker died while it ran' end),
      array_agg(distinct p.lane_id)
      into seqs, slots, outcomes, delays, errors, more
    from open p;
    if seqs is not null then
      perform jobq.settle(dead, seqs, slots, outcomes, null, delays, errors);
      lanes := lanes || more;
    end if;
    if seqs is not null or dead = any (found) then
      return query select dead, coalesce(cardinality(slots), 0)::bigint;
    end if;
  end loop;
  perform jobq.wake_lanes(lanes);
end $$;
comment on function jobq.recover is 'Marks silent workers dead and puts their unsettled jobs back; a row for each of them, also without jobs.';

-- Gives back leases that the worker does not know. With each heartbeat and right after a reconnect.
--
-- A claim whose reply was cut leaves such strangers, unless the worker asks for them (claimed): nobody runs their jobs,
-- so they return untouched. known names every lease that the worker holds or is settling. below is the first number of
-- the claim in flight, or the next number: what is still to be told is no stranger, so this may run at any time. A claim
-- of a session that is cut but not yet gone may land afterwards; the next call finds it.
create function jobq.reconcile(worker bigint, known bigint[], below bigint) returns bigint
language plpgsql as $$
#variable_conflict use_column
declare
  seqs bigint[];
  slots smallint[];
  outcomes text[];
  lanes int[];
begin
  with stranger as materialized (
    select l.seq, l.done, l.jobs from jobq.lease l
    where l.worker_id = worker and l.seq < below and l.seq <> all (known)
    for update skip locked
  )
  select array_agg(s.seq), array_agg(j.slot::smallint), array_agg('return'::text), array_agg(distinct j.lane_id)
    into seqs, slots, outcomes, lanes
  from stranger s,
    unnest(s.jobs) with ordinality
      as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
  where j.slot <> all (s.done);
  if seqs is null then
    return 0;
  end if;

  perform jobq.settle(worker, seqs, slots, outcomes);
  perform jobq.wake_lanes(lanes);
  return cardinality(slots);
end $$;
comment on function jobq.reconcile is 'Returns the jobs of leases that a living worker does not know; how many.';
