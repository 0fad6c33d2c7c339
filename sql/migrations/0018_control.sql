-- min_worker: 0.1.0
-- control - jobs that expire before they begin; results, and waiting for them; changing many by hand.
--
-- Expiry. A job that has not begun by then is cancelled with the error 'expired': by the worker that has claimed it
-- (claim tells how long it still has), else by the sweep, which finds it in this table. A row stays as long as the
-- sweep has not looked, whatever has become of its job; nothing else reads it, so a job that begins in time pays no
-- more than this one insert.
create table jobq.expiry (
  at     timestamptz not null,
  job_id bigint not null
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.expiry is 'When the sweep has to look at jobs that expire; the time that counts is the job''s own.';
create index expiry_order on jobq.expiry (at);

-- Cancels those of the jobs that wait and have expired. Rows that somebody holds are passed over: a claim takes them, or
-- somebody edits them, and they are looked at again.
create function jobq.cancel_expired(ids bigint[]) returns void
language plpgsql as $$
declare
  parked bigint[];
  moves jobq.move[];
begin
  with late as materialized (
    select p.job_id from jobq.parked p join jobq.ready r on r.id = p.job_id
    where p.job_id = any (ids) and to_timestamp((r.meta ->> 'expires')::float8) <= now()
    for update of p skip locked                        -- in this order: see the table
  ),
  gone as (
    delete from jobq.parked p using late l where p.job_id = l.job_id returning p.job_id
  )
  select array_agg(g.job_id) into parked from gone g;
  with gone as (
    delete from jobq.ready r
    where r.id = any (parked) or r.ctid = any (array(
      select w.ctid from jobq.ready w
      where w.id = any (ids) and w.run_at < 'infinity' and to_timestamp((w.meta ->> 'expires')::float8) <= now()
      for update skip locked))
    returning r
  ),
  ended as (
    insert into jobq.finished (id, created_at, run_at, started_at, finished_at, lane_id, kind_id, status, priority,
      attempt, max_attempts, args, meta, error)
    select (r).id, (r).created_at,
      case when (r).run_at < 'infinity' then (r).run_at
        else to_timestamp(((r).meta ->> 'expires')::float8 - ((r).meta ->> 'expires_in')::float8) end,
      now(), now(), (r).lane_id, (r).kind_id, 'cancelled', (r).priority, (r).attempt, (r).max_attempts, (r).args,
      (r).meta, 'expired'
    from gone
  )
  select array_agg(row(g.r, 'cancelled')::jobq.move) into moves from gone g;
  if moves is not null then
    perform jobq.follow_up(moves);
  end if;
end $$;
comment on function jobq.cancel_expired is 'Cancels those of the jobs that wait and have expired.';

-- Jobs that run, or that somebody holds, are looked at again a minute later: they may come back to wait.
create function jobq.expire(at_most int default 1000) returns float8
language plpgsql as $$
declare
  again constant interval := '1 minute';
  late bigint[];
begin
  with due as (
    delete from jobq.expiry e where e.ctid = any (array(
      select x.ctid from jobq.expiry x where x.at <= now() order by x.at limit at_most for update skip locked))
    returning e.job_id
  )
  select array_agg(d.job_id) into late from due d;
  if late is not null then
    perform jobq.cancel_expired(late);
    insert into jobq.expiry (at, job_id)
      select greatest(to_timestamp((r.meta ->> 'expires')::float8), now() + again), r.id
      from jobq.ready r where r.id = any (late) and r.meta ? 'expires'
      union all
      select now() + again, j.id
      from jobq.lease l cross join unnest(l.ids) with ordinality j (id, slot)
      where j.id = any (late) and j.slot <> all (l.done);
  end if;
  return (
    select greatest(extract(epoch from e.at - now())::float8, case when cardinality(late) = at_most then 0 else 1 end)
    from jobq.expiry e order by e.at limit 1);
end $$;
comment on function jobq.expire is 'Cancels waiting jobs that have expired; seconds until it wants to be called again, null: none expires.';

-- Results and waiting ------------------------------------------------------------------------------

-- A result lives as long as its job's row: completed jobs go by the day, so none has a time of its own to be kept.
create function jobq.result(id bigint, out status text, out result json, out error text)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select f.status, f.result, f.error from jobq.find($1) f
$$;
comment on function jobq.result is 'The status of a job, its result if it has completed with one, and its error; nulls if there is no such job.

Kept as long as the job itself: 7 days, or what cleanup is told.';

-- Who waits listens to the channel jobq_ended first, then calls this, and looks when that is committed: an end that came
-- before is found, one that comes later is told. An end whose transaction was under way at that moment may be missed,
-- so who waits looks again once in a while.
create function jobq.watch(id bigint) returns void
language sql security definer set search_path = pg_catalog, pg_temp as $$
  insert into jobq.waiter (job_id) select $1 where $1 is not null on conflict do nothing
$$;
comment on function jobq.watch is 'Has the end of a job told on the channel jobq_ended, with its id, once.';

create function jobq.tell_waiters(moves jobq.move[]) returns void
language plpgsql as $$
begin
  perform pg_notify('jobq_ended', t.job_id::text) from (
    select (m.job).id as job_id from unnest(moves) m where m.outcome in ('completed', 'failed', 'cancelled')) e
    join jobq.waiter t on t.job_id = e.job_id;
  if found then
    delete from jobq.waiter w using unnest(moves) m
      where w.job_id = (m.job).id and m.outcome in ('completed', 'failed', 'cancelled');
  end if;
end $$;
comment on function jobq.tell_waiters is 'Notifies those who wait for jobs that have ended; part of jobq.follow_up.';

-- What PostgreSQL says to a COMMIT inside of a transaction, in the language of the session.
create function jobq.refusal_to_commit() returns text
language plpgsql as $$
begin
  commit;
exception when invalid_transaction_termination then
  return sqlerrm;
end $$;
comment on function jobq.refusal_to_commit is 'The message that tells a COMMIT inside of a transaction from others; for jobq.await.';

-- A function that waits would hold the oldest row versions of the whole database until it is done. A procedure can
-- commit before each look, and holds them no longer than a pause. It has the caller's rights and settings, because one
-- that had others could not commit.
create procedure jobq.await(
  id bigint, timeout interval default '1 minute',
  inout status text default null, inout result json default null, inout error text default null
)
language plpgsql as $$
declare
  deadline timestamptz := clock_timestamp() + timeout;
  refusal text := jobq.refusal_to_commit();
  pause float8 := 0.005;
  longest constant float8 := 0.25;
begin
  if timeout < '0' then
    raise 'timeout % is negative', timeout using errcode = 'invalid_parameter_value';
  end if;
  begin
    commit;                                            -- refused in either case: this block is a subtransaction
  exception when invalid_transaction_termination then
    if sqlerrm = refusal then
      raise 'jobq.await cannot wait inside of a transaction' using errcode = 'active_sql_transaction',
        hint = 'CALL it outside of BEGIN and COMMIT, and of functions; there, jobq.result(id) looks once';
    end if;
  end;
  loop
    select r.status, r.result, r.error into status, result, error from jobq.result(await.id) r;
    if status is null then
      raise 'job % does not exist', await.id using errcode = 'no_data_found';
    end if;
    exit when status in ('completed', 'failed', 'cancelled') or clock_timestamp() >= deadline;
    commit;
    perform pg_sleep(least(pause, extract(epoch from deadline - clock_timestamp())));
    pause := least(pause * 1.5, longest);
    commit;
  end loop;
end $$;
comment on procedure jobq.await is 'Waits until a job has ended, at most the timeout (null: without end): its status then, its result and its error. CALL it outside of transactions.';

-- Many by hand -------------------------------------------------------------------------------------

create function jobq.check_edit(o jobq.job_options) returns void
language plpgsql stable as $$
begin
  if num_nonnulls(o.priority, o.run_at, o.delay, o.queue) = 0 then
    raise 'nothing is given that is to change' using errcode = 'invalid_parameter_value',
      hint = 'expected priority, run_at, delay or queue';
  end if;
  perform jobq.check_options('x', o);
  if o.delay = '0' then
    raise 'delay % is out of range, expected more than 0', o.delay using errcode = 'invalid_parameter_value';
  end if;
end $$;
comment on function jobq.check_edit is 'Raises an error that names the first option of an edit of many that cannot be.';

-- The lane of each kind among the jobs, if they were in that queue.
create function jobq.lanes_in(queue text, ids bigint[], out kinds int[], out lanes int[])
language plpgsql as $$
begin
  if queue is not null then
    select array_agg(k.id), array_agg((jobq.route(k.name, lanes_in.queue)).lane_id) into kinds, lanes
    from jobq.kind k where k.id in (select r.kind_id from jobq.ready r where r.id = any (ids));
  end if;
end $$;
comment on function jobq.lanes_in is 'Where the kinds of those jobs wait in a queue; null: in no other.';

-- Jobs that a claim or somebody else holds are passed over: they run, or are changed by another. Parked ones keep
-- waiting, and have their new time and priority when they are in line.
create function jobq.edit_many(
  ids bigint[], priority int default null, run_at timestamptz default null, delay interval default null,
  queue text default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  o jobq.job_options;
  held bigint[];                                       -- parked ones, locked
  timed boolean := edit_many.run_at is not null or edit_many.delay is not null;
  there record;
  done bigint[];
  lanes int[];
begin
  o.priority := edit_many.priority;
  o.run_at := edit_many.run_at;
  o.delay := edit_many.delay;
  o.queue := edit_many.queue;
  perform jobq.check_edit(o);
  there := jobq.lanes_in(o.queue, edit_many.ids);
  with changed as (
    update jobq.parked p set priority = coalesce(o.priority, p.priority),
      due = case when timed then coalesce(o.run_at, greatest(p.due, now())) + coalesce(o.delay, '0') else p.due end
    where p.job_id in (select q.job_id from jobq.parked q where q.job_id = any (edit_many.ids) for update skip locked)
    returning p.job_id
  )
  select array_agg(c.job_id) into held from changed c;
  with line as materialized (
    select w.ctid as place,
      case when timed and p.job_id is null then coalesce(o.run_at, greatest(w.run_at, now())) + coalesce(o.delay, '0')
        when timed then p.due end as due
    from jobq.ready w left join jobq.parked p on p.job_id = w.id
    where w.id = any (edit_many.ids) and (w.run_at < 'infinity' or w.id = any (held))
    for update of w skip locked
  ),
  changed as (
    update jobq.ready w set priority = coalesce(o.priority, w.priority),
      run_at = case when timed and w.run_at < 'infinity' then l.due else w.run_at end,
      lane_id = coalesce(there.lanes[array_position(there.kinds, w.kind_id)], w.lane_id),
      meta = case when timed then jobq.expire_from(w.meta, l.due) else w.meta end
    from line l
    where w.ctid = l.place
    returning w.id, w.lane_id, w.meta
  ),
  noted as (
    insert into jobq.expiry (at, job_id)
    select to_timestamp((c.meta ->> 'expires')::float8), c.id from changed c where timed and c.meta ? 'expires'
  )
  select array_agg(c.id order by c.id), array_agg(c.lane_id) into done, lanes from changed c;
  perform jobq.limit_edited(done, timed or o.queue is not null);
  perform jobq.wake_lanes(lanes);
  return query select unnest(done);
end $$;
comment on function jobq.edit_many is 'Gives waiting jobs another priority, time or queue; the ids of those that it changed. delay puts each off, from when it was due or now. Best a thousand at a time.';

create function jobq.reschedule(id bigint, run_at timestamptz) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from jobq.edit_many(array[$1], run_at => $2))
$$;
comment on function jobq.reschedule is 'Gives a waiting job another time; false if it does not wait.';

create function jobq.snooze(id bigint, delay interval) returns boolean
language sql security definer set search_path = pg_catalog, pg_temp as $$
  select exists (select from jobq.edit_many(array[$1], delay => $2))
$$;
comment on function jobq.snooze is 'Puts a waiting job off by that long, from when it was due or now; false if it does not wait.';

-- What somebody is just retrying is passed over. What hangs on the jobs goes with cleanup.
create function jobq.delete_many(ids bigint[]) returns setof bigint
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with chosen as materialized (
    select f.id, f.status, f.finished_at from jobq.finished f where f.id = any ($1) for update skip locked
  )
  delete from jobq.finished f using chosen c
  where f.id = c.id and f.status = c.status and f.finished_at = c.finished_at
  returning f.id
$$;
comment on function jobq.delete_many is 'Deletes jobs that have ended; the ids of those that are gone. Best a thousand at a time.';
