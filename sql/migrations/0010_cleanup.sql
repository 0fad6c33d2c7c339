-- min_worker: 0.1.0
-- cleanup - days come and go as partitions. Any worker calls it hourly and at its start.
--
-- Completed jobs, error trails and logs go by the UTC day. Failed and cancelled jobs are few, stay longer and are
-- deleted, some at a time (forget).
--
-- A new day is built on the side and attached: the parent is locked only against other DDL, and the default partition,
-- which is empty while days are made in time, for an instant. An old day is emptied by TRUNCATE, which locks nothing but
-- that day; only then it is dropped, which needs an instant of the parent. All of it gives up after lock_timeout rather
-- than let every settle queue behind a reader's open transaction; the next hour tries again.

create function jobq.make_days(ahead int default 7) returns int
language plpgsql security definer
set search_path = pg_catalog, pg_temp set timezone = 'UTC' set lock_timeout = '200ms' as $$
declare
  parent text;
  key text;
  day date;
  name text;
  made int := 0;
begin
  if not pg_try_advisory_xact_lock(1785687410, 10) then
    return 0;                                          -- somebody is at it
  end if;
  for parent, key in values ('finished_completed', 'finished_at'), ('attempt', 'finished_at'), ('job_log', 'at') loop
    for day in select generate_series(current_date, current_date + ahead, '1 day')::date loop
      name := parent || to_char(day, '_YYYYMMDD');
      continue when to_regclass('jobq.' || name) is not null;
      begin
        execute format('create table jobq.%I (like jobq.%I including defaults including constraints)
          with (autovacuum_vacuum_insert_threshold = -1)', name, parent);
        -- What fell into the default partition before somebody made the day moves over.
        execute format('with moved as (delete from jobq.%I where %I >= %L and %I < %L returning *)
          insert into jobq.%I select * from moved', parent || '_default', key, day, key, day + 1, name);
        execute format('alter table jobq.%I attach partition jobq.%I for values from (%L) to (%L)',
          parent, name, day, day + 1);
        made := made + 1;
      exception when lock_not_available then
        exit;                                          -- a reader is in the way, also of the next day
      end;
    end loop;
  end loop;
  return made;
end $$;
comment on function jobq.make_days is 'Makes the daily partitions of today and some days ahead; how many were new.';

-- Failed jobs are deleted that held their keys still. One that somebody is taking over is passed over.
create function jobq.forget_keys(ids bigint[], kind_ids int[], keys text[]) returns int
language plpgsql as $$
declare
  n int := 0;
begin
  if ids is not null then
    delete from jobq.unique_key d where d.ctid = any (array(
      select u.ctid from unnest(ids, kind_ids, keys) t (id, kind_id, key)
      join jobq.unique_key u on u.kind_id = t.kind_id and u.key = t.key and u.job_id = t.id and u.held
      for update of u skip locked));
    get diagnostics n = row_count;
  end if;
  return n;
end $$;
comment on function jobq.forget_keys is 'Releases the unique keys of failed jobs that are deleted; how many.';

-- Failed and cancelled jobs past their time, oldest first; call until it returns 0, a transaction each. One that
-- somebody is just retrying is passed over.
create function jobq.forget(keep interval default '90 days', at_most int default 5000) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  failed int;
  cancelled int;
  keys int;
begin
  with gone as (
    delete from jobq.finished_failed
    where ctid = any (array(
      select f.ctid from jobq.finished_failed f
      where f.finished_at < now() - keep
      order by f.finished_at
      limit at_most
      for update skip locked))
    returning id, kind_id, meta
  )
  select count(*), jobq.forget_keys(array_agg(g.id) filter (where g.meta ? 'unique_until'),
      array_agg(g.kind_id) filter (where g.meta ? 'unique_until'),
      array_agg(g.meta ->> 'unique') filter (where g.meta ? 'unique_until'))
    into failed, keys
    from gone g;
  delete from jobq.finished_cancelled
  where ctid = any (array(
    select f.ctid from jobq.finished_cancelled f
    where f.finished_at < now() - keep
    order by f.finished_at
    limit at_most - failed
    for update skip locked));
  get diagnostics cancelled = row_count;
  return failed + cancelled;
end $$;
comment on function jobq.forget is 'Deletes old failed and cancelled jobs in batches; returns how many.';

-- Finished jobs by choice, in order of their ids: call again with the last_id that it answers until that is null, a
-- transaction each. What somebody is just retrying is passed over. Whole days are gone faster with cleanup.
create function jobq.delete_finished(
  older_than timestamptz, statuses text[] default null, kind_like text default null, after_id bigint default 0,
  at_most int default 5000, out deleted bigint, out last_id bigint
)
language sql security definer set search_path = pg_catalog, pg_temp as $$
  with chosen as materialized (
    select f.id, f.status from jobq.finished f
    where f.id > after_id and f.finished_at < older_than
      and (statuses is null or f.status = any (statuses::jobq.ending[]))
      and (kind_like is null or f.kind_id in (select k.id from jobq.kind k where k.name like kind_like))
    order by f.id
    limit at_most
    for update of f skip locked),
  gone as (
    delete from jobq.finished f using chosen c
    where f.id = c.id and f.status = c.status
    returning f.id, f.kind_id, f.meta)
  select (select count(*) from gone), (select max(c.id) from chosen c)
  where (select jobq.forget_keys(array_agg(g.id), array_agg(g.kind_id), array_agg(g.meta ->> 'unique'))
    from gone g where g.meta ? 'unique_until') is not null
$$;
comment on function jobq.delete_finished is
  'Deletes old finished jobs of these statuses and kinds (LIKE) in batches by id; how many, and the last id: go on after it.';

-- The old days of one parent. All are emptied before one is dropped: from the first drop until the end of the
-- transaction nobody else gets at the parent, so nothing may wait for a reader behind it.
create function jobq.drop_days(parent regclass, older_than timestamptz) returns int
language plpgsql set timezone = 'UTC' set lock_timeout = '200ms' as $$
declare
  day regclass;
  empty regclass[] := '{}';
begin
  for day in
    select c.oid::regclass
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = parent and c.relname ~ '_\d{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') + 1 <= older_than
    order by c.relname
  loop
    begin
      execute format('truncate %s', day);
      empty := empty || day;
    exception when lock_not_available then
      null;                                            -- somebody reads it: next hour
    end;
  end loop;
  begin
    foreach day in array empty loop
      execute format('drop table %s', day);
    end loop;
    return cardinality(empty);
  exception when lock_not_available then
    return 0;                                          -- somebody reads the parent: next hour
  end;
end $$;
comment on function jobq.drop_days is 'Drops the daily partitions of a table that are over, unless somebody reads them now; how many.';

-- Trails outlive the failed jobs they belong to, and so do the workers that those jobs name. What locks most comes
-- last, and of that what settling needs.
create function jobq.cleanup(
  keep interval default '7 days', keep_failed interval default '90 days', keep_logs interval default '7 days'
) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  dropped int;
begin
  if least(keep, keep_failed, keep_logs) < '0' then
    raise 'keep % is negative', least(keep, keep_failed, keep_logs) using errcode = 'invalid_parameter_value';
  end if;
  perform jobq.forget(keep_failed, 20000);
  -- A caller's open transaction may hold a key that it takes over; it is not worth waiting for.
  delete from jobq.unique_key u where u.ctid = any (array(
    select k.ctid from jobq.unique_key k where k.until < now() and not k.held for update skip locked));
  perform jobq.forget_steps(keep, keep_failed);
  delete from jobq.sleeper s where not exists (select from jobq.worker w where w.id = s.worker_id and w.state = 'running');
  delete from jobq.waiter w where w.since < now() - interval '1 day';
  delete from jobq.progress p where not exists (
    select from jobq.lease l where l.worker_id = p.worker_id and l.seq = p.seq and p.slot <> all (l.done));
  delete from jobq.cancel_request c where requested_at < now() - interval '1 hour'
    and exists (select from jobq.finished f where f.id = c.job_id);
  delete from jobq.worker w where w.state <> 'running' and w.seen_at < now() - greatest(keep, keep_failed)
    and not exists (select from jobq.lease l where l.worker_id = w.id);
  perform jobq.forget_batches(keep, keep_failed);
  perform jobq.count_deleted_members();
  perform jobq.make_days();
  dropped := jobq.drop_days('jobq.job_log', now() - keep_logs);
  dropped := dropped + jobq.drop_days('jobq.attempt', now() - keep_failed);
  return dropped + jobq.drop_days('jobq.finished_completed', now() - keep);
end $$;
comment on function jobq.cleanup is 'Sweeps the small tables, makes the days to come, drops those that are over; how many days were dropped.';

select jobq.make_days();
