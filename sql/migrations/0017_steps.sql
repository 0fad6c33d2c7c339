-- min_worker: 0.1.0
-- steps, events - what a running job has done already, and what it waits for.
--
-- A step is a row by name: a later run of the job asks for it and goes on behind it. Rows live as long as their job;
-- cleanup sweeps those of jobs that are gone, so that a job without steps pays nothing. Who writes one holds the job:
-- its lease is checked and locked in the same transaction (own_job).
--
-- A job that waits for an event is parked (outcome park, jobq.park_waits). Events and waiting jobs meet in advance:
-- whoever adds either writes its name to event_look and notifies. A look that advance sees is of something committed,
-- and what is committed later brings a look of its own, so of event and wait the later one finds the other.

create table jobq.step (
  job_id   bigint not null,
  began_at timestamptz not null default now(),         -- of one that waits: when a run came to it last
  ended_at timestamptz,                                -- null: it waits, until due
  due      timestamptz,                                -- of sleeps and events; infinity: without an end
  what     text not null check (what in ('step', 'event', 'sleep', 'checkpoint')),
  name     text not null,
  key      text not null default '',
  value    json,                                       -- null: an event that did not come in time
  primary key (job_id, what, name, key)
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.step is 'What jobs have done already, by name, and what they wait for.';

create table jobq.event (
  id       bigint generated always as identity primary key,
  at       timestamptz not null default now(),
  taken_at timestamptz,
  job_id   bigint,                                     -- the job that got it; null: it waits to be taken
  name     text not null,
  emit_id  text,                                       -- whoever emits it again with this id adds none
  payload  json not null
);
comment on table jobq.event is 'Events: each is taken by one job that waits for its name.';
create unique index event_once on jobq.event (name, emit_id) where emit_id is not null;
create index event_untaken on jobq.event (name, id) where job_id is null;

-- Names whose events and waiting jobs advance has to look at. Only inserted to and, by advance, deleted from.
create table jobq.event_look (
  name text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.event_look is 'Names of events that something has happened to since advance looked.';

create index parked_event_due on jobq.parked (due) where why = 'event';

-- What a run writes ----------------------------------------------------------------------------------

-- The job in that place. The lock keeps recovery and settling out until the commit, so callers commit at once.
create function jobq.own_job(worker bigint, seq bigint, slot smallint) returns bigint
language plpgsql as $$
declare
  id bigint;
begin
  select l.ids[own_job.slot] into id from jobq.lease l
    where l.worker_id = worker and l.seq = own_job.seq and own_job.slot between 1 and l.n and own_job.slot <> all (l.done)
    for key share;
  if id is null then
    raise 'the job is no longer this run''s: it was settled, cancelled or taken over' using errcode = 'JQ001';
  end if;
  return id;
end $$;
comment on function jobq.own_job is 'The job in that place of a lease, locked there; raises JQ001 if it is no longer in it.';

create function jobq.check_step(what text, name text, key text, value text) returns void
language plpgsql immutable as $$
begin
  if coalesce(length(name), 0) not between 1 and 200 then
    raise '% % has % characters, expected 1 to 200', what, jobq.shown(name), coalesce(length(name), 0)
      using errcode = 'invalid_parameter_value';
  elsif length(key) > 200 then
    raise 'key % of % % has % characters, expected at most 200', jobq.shown(key), what, jobq.shown(name), length(key)
      using errcode = 'invalid_parameter_value';
  elsif octet_length(value) > 1048576 then
    raise '% % takes % bytes of JSON, the limit is 1048576', what, jobq.shown(name), octet_length(value)
      using errcode = 'program_limit_exceeded', hint = 'store what is large elsewhere, and keep where to find it';
  end if;
end $$;
comment on function jobq.check_step is 'Raises an error that names what is wrong with a step or event.';

create function jobq.keep_step(
  worker bigint, seq bigint, slot smallint, name text, key text, value json, took_us bigint default 0
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform jobq.check_step('step', name, key, value::text);
  insert into jobq.step (job_id, began_at, ended_at, what, name, key, value)
    values (jobq.own_job(worker, seq, slot), now() - greatest(took_us, 0) * interval '1 microsecond', now(), 'step',
            name, key, value);
end $$;
comment on function jobq.keep_step is 'Keeps the result of a step of a running job; raises JQ001 when the job is no longer this run''s.';

create function jobq.keep_checkpoint(worker bigint, seq bigint, slot smallint, value json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform jobq.check_step('checkpoint', '-', '', value::text);
  insert into jobq.step (job_id, ended_at, what, name, value)
    values (jobq.own_job(worker, seq, slot), now(), 'checkpoint', '-', value)
    on conflict on constraint step_pkey do update set value = excluded.value, ended_at = now();
end $$;
comment on function jobq.keep_checkpoint is 'Keeps how far a running job is, in place of the last such value; raises JQ001 when the job is no longer this run''s.';

-- The first run to come here decides until when.
create function jobq.keep_sleep(worker bigint, seq bigint, slot smallint, name text, until float8) returns float8
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  wakes timestamptz;
begin
  perform jobq.check_step('sleep', name, null, null);
  insert into jobq.step as s (job_id, due, what, name)
    values (jobq.own_job(worker, seq, slot), to_timestamp(until), 'sleep', name)
    on conflict on constraint step_pkey do update set began_at = now()
    returning s.due into wakes;
  return greatest(extract(epoch from wakes - now()), 0);
end $$;
comment on function jobq.keep_sleep is 'Keeps until when a running job sleeps, the first time; how many seconds are left. Raises JQ001 when the job is no longer this run''s.';

create function jobq.wait_event(
  worker bigint, seq bigint, slot smallint, name text, key text, timeout_s float8, out state text, out value json,
  out left_s float8
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  s jobq.step;
  id bigint;
begin
  perform jobq.check_step('event', name, key, null);
  id := jobq.own_job(worker, seq, slot);
  insert into jobq.step as w (job_id, due, what, name, key)
    values (id, coalesce(now() + timeout_s * interval '1 second', 'infinity'), 'event', name, key)
    on conflict on constraint step_pkey do update set began_at = now()
    returning w.* into s;
  if s.ended_at is null then
    update jobq.event e set job_id = id, taken_at = now()
      where e.id = (select v.id from jobq.event v where v.name = name and v.job_id is null
                    order by v.id limit 1 for update skip locked)
      returning e.payload into s.value;
    if found or s.due <= now() then
      s.ended_at := now();
      update jobq.step w set ended_at = now(), value = s.value
        where w.job_id = id and w.what = 'event' and w.name = name and w.key = key;
    end if;
  end if;
  state := case when s.ended_at is null then 'waiting' when s.value is null then 'timeout' else 'taken' end;
  value := s.value;
  left_s := case when s.due < 'infinity' then greatest(extract(epoch from s.due - now()), 0) end;
end $$;
comment on function jobq.wait_event is 'Takes an event for a running job, or keeps that the job waits for it; raises JQ001 when the job is no longer this run''s.

state is taken (value is its payload), timeout (none came in time), or waiting: left_s seconds more, null: without an end.';

create function jobq.steps(job_id bigint)
returns table (what text, name text, key text, began_at timestamptz, ended_at timestamptz, due timestamptz, value json)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select s.what, s.name, s.key, s.began_at, s.ended_at, s.due, s.value from jobq.step s where s.job_id = $1
  order by coalesce(s.ended_at, 'infinity'), s.began_at
$$;
comment on function jobq.steps is 'What a job has done already, oldest first, and what it waits for: ended_at is null.

what is step, event, sleep or checkpoint. The value of an event that did not come in time is null.';

-- Events ---------------------------------------------------------------------------------------------

create function jobq.emit_event(name text, payload jsonb default 'null', id text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
begin
  perform jobq.check_step('event', name, null, payload::text);
  if length(id) not between 1 and 200 then
    raise 'id % of event % has % characters, expected 1 to 200', jobq.shown(id), jobq.shown(name), length(id)
      using errcode = 'invalid_parameter_value';
  end if;
  insert into jobq.event (name, emit_id, payload) values (name, id, coalesce(payload, 'null')::text::json)
    on conflict do nothing;
  if not found then
    return false;
  end if;
  insert into jobq.event_look (name) values (name);
  perform pg_notify('jobq_control', 'advance');
  return true;
end $$;
comment on function jobq.emit_event is 'Adds an event, which one job that waits for it gets, now or later; false if there was one of that name and id already.';

-- Jobs that leave their lease to wait for an event. Told by follow_up, in the transaction that settles them.
create function jobq.park_waits(moves jobq.move[]) returns void
language plpgsql as $$
declare
  names text[];
begin
  with open as (
    select (m.job).id as id, w.name, w.due
    from unnest(moves) m
    cross join lateral (
      select s.what, s.name, s.due from jobq.step s
      where s.job_id = (m.job).id and s.ended_at is null
      order by s.began_at desc limit 1
    ) w
    where m.outcome = 'park' and w.what = 'event'
  ),
  waiting as (
    update jobq.ready r set run_at = 'infinity' from open o where r.id = o.id
    returning r.id, r.priority, o.due, o.name
  ),
  parked as (
    insert into jobq.parked (job_id, due, priority, why, key)
    select w.id, w.due, w.priority, 'event', w.name from waiting w
    returning key
  )
  select array_agg(distinct p.key) into names from parked p;
  if names is not null then
    insert into jobq.event_look (name) select unnest(names);
    perform pg_notify('jobq_control', 'advance');
  end if;
end $$;
comment on function jobq.park_waits is 'Parks jobs that were just settled with park, if it is an event that they wait for.';

-- Puts jobs in line that wait for an event no longer.
create function jobq.end_waits(ids bigint[]) returns void
language plpgsql as $$
begin
  update jobq.parked p set due = now() where p.job_id = any (ids);
  perform jobq.unpark(ids);
end $$;
comment on function jobq.end_waits is 'Puts jobs in line that have waited for an event.';

-- Pairs the oldest events of a name with the jobs that wait for it. True if some are left: too many, or locked.
create function jobq.hand_events(name text) returns boolean
language plpgsql as $$
#variable_conflict use_variable
declare
  most constant int := 1000;
  ids bigint[];
begin
  with event as (
    select v.id, v.payload from jobq.event v
    where v.name = name and v.job_id is null
    order by v.id limit most for update skip locked
  ),
  waiting as (
    select p.job_id, p.priority, p.since from jobq.parked p
    where p.why = 'event' and p.key = name
    order by p.priority, p.due, p.job_id limit most for update skip locked
  ),
  pair as materialized (
    select e.id, e.payload, w.job_id
    from (select id, payload, row_number() over (order by id) as n from event) e
    join (select job_id, row_number() over (order by priority, since, job_id) as n from waiting) w on w.n = e.n
  ),
  taken as (
    update jobq.event v set job_id = p.job_id, taken_at = now() from pair p where v.id = p.id
  ),
  told as (
    update jobq.step s set ended_at = now(), value = p.payload from pair p
    where s.job_id = p.job_id and s.what = 'event' and s.name = name and s.key = (
      select o.key from jobq.step o
      where o.job_id = p.job_id and o.what = 'event' and o.name = name and o.ended_at is null
      order by o.began_at desc limit 1)
  )
  select array_agg(p.job_id) into ids from pair p;
  if ids is not null then
    perform jobq.end_waits(ids);
  end if;
  return exists (select from jobq.event v where v.name = name and v.job_id is null)
    and exists (select from jobq.parked p where p.why = 'event' and p.key = name);
end $$;
comment on function jobq.hand_events is 'Gives events of a name to the jobs that wait for them; whether some of both are left.';

create function jobq.end_late_waits() returns void
language plpgsql as $$
declare
  ids bigint[];
begin
  with late as (
    select p.job_id, p.key from jobq.parked p
    where p.why = 'event' and p.due <= now()
    order by p.due limit 1000 for update skip locked
  ),
  told as (
    update jobq.step s set ended_at = now() from late l
    where s.job_id = l.job_id and s.what = 'event' and s.name = l.key and s.key = (
      select o.key from jobq.step o
      where o.job_id = l.job_id and o.what = 'event' and o.name = l.key and o.ended_at is null
      order by o.began_at desc limit 1)
  )
  select array_agg(l.job_id) into ids from late l;
  if ids is not null then
    perform jobq.end_waits(ids);
  end if;
end $$;
comment on function jobq.end_late_waits is 'Puts jobs in line whose event has not come in time.';

-- A part of advance.
create function jobq.advance_events() returns float8
language plpgsql as $$
declare
  looks text[];
  again text[];
begin
  with seen as (
    delete from jobq.event_look l
    where l.ctid = any (array(select k.ctid from jobq.event_look k limit 10000))
    returning l.name
  )
  select array_agg(distinct s.name) into looks from seen s;
  if looks is not null then
    select array_agg(n) into again from unnest(looks) n where jobq.hand_events(n);
    insert into jobq.event_look (name) select unnest(again);
  end if;
  perform jobq.end_late_waits();
  if exists (select from jobq.event_look) then
    return 0.2;
  end if;
  return (select extract(epoch from p.due - now()) from jobq.parked p
    where p.why = 'event' and p.due < 'infinity' order by p.due limit 1);
end $$;
comment on function jobq.advance_events is 'Brings events and the jobs that wait for them together, and ends waits that took too long; seconds until it wants to be called again.';

-- The end --------------------------------------------------------------------------------------------

-- A job that is run again: a completed one from its start; another behind its steps, or from one of them.
create function jobq.rewind_steps(job_id bigint, status text, from_step text) returns void
language plpgsql as $$
#variable_conflict use_variable
declare
  began timestamptz;
begin
  if from_step is not null then
    select min(s.began_at) into began from jobq.step s where s.job_id = job_id and s.name = from_step;
    if began is null then
      raise 'job % has no step %', job_id, jobq.shown(from_step) using errcode = 'invalid_parameter_value',
        hint = coalesce('it has ' || (select string_agg(distinct s.name, ', ') from jobq.step s
          where s.job_id = job_id and s.what <> 'checkpoint'), 'it has none');
    end if;
    delete from jobq.step s where s.job_id = job_id and s.began_at >= began;
  elsif status = 'completed' then
    delete from jobq.step s where s.job_id = job_id;
  end if;
end $$;
comment on function jobq.rewind_steps is 'Forgets what a job that is run again has to do again: from a step on, or all of a completed one.';

-- A job is in one place in any snapshot, so what is seen in none is gone.
create function jobq.forget_steps(keep interval, keep_untaken interval) returns void
language plpgsql as $$
begin
  delete from jobq.step s using (
    select j.job_id
    from (select distinct t.job_id from jobq.step t) j
    where not exists (select from jobq.ready r where r.id = j.job_id)
      and not exists (select from jobq.finished f where f.id = j.job_id)
      and j.job_id not in (select unnest(l.ids) from jobq.lease l)
    limit 20000
  ) gone
  where s.job_id = gone.job_id;
  delete from jobq.event e where e.id = any (array(
    select v.id from jobq.event v
    where v.taken_at < now() - keep or v.job_id is null and v.at < now() - keep_untaken
    limit 20000 for update skip locked));
end $$;
comment on function jobq.forget_steps is 'Deletes steps of jobs that are gone, and old events.';
