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
