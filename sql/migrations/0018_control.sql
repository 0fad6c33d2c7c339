-- min_worker: 0.1.0
-- control - jobs that expire before they begin; waiting for the end of a job; changing many by hand.
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
