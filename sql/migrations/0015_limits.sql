-- min_worker: 0.1.0
-- pause - people stop a queue or a kind, and let it go on.

-- A worker does not claim from the lanes of a paused queue (lanes), nor jobs of a paused kind (declare_kinds); the kind
-- stands apart, so that its backlog is in nobody's way (sort_lanes). What runs goes on.
create table jobq.pause (
  queue_id int references jobq.queue,
  kind_id  int references jobq.kind,
  at       timestamptz not null default now(),
  author   text not null,
  reason   text,
  constraint pause_of_one check (num_nonnulls(queue_id, kind_id) = 1)
);
comment on table jobq.pause is 'The queues and kinds that are paused: since when, by whom and why.';
create unique index pause_queue on jobq.pause (queue_id) where queue_id is not null;
create unique index pause_kind on jobq.pause (kind_id) where kind_id is not null;

create view jobq.pause_status as
select q.name as queue, k.name as kind, p.at, p.author, p.reason
from jobq.pause p
left join jobq.queue q on q.id = p.queue_id
left join jobq.kind k on k.id = p.kind_id;
comment on view jobq.pause_status is 'What is paused: a queue or a kind a row.';
comment on column jobq.pause_status.queue is 'The paused queue; null: it is a kind.';
comment on column jobq.pause_status.kind is 'The paused kind; null: it is a queue.';
comment on column jobq.pause_status.at is 'Since when.';
comment on column jobq.pause_status.author is 'Who did it.';
comment on column jobq.pause_status.reason is 'Why, if that was said.';

create view jobq.queue_status as
select q.name, p.at as paused_at, p.author as paused_by, p.reason as pause_reason,
  coalesce(n.pending, 0)::bigint as pending,
  (select count(*) from jobq.worker w
   where w.state = 'running' and (w.queues is null or q.name = any (w.queues))) as workers
from jobq.queue q
left join jobq.pause p on p.queue_id = q.id
left join (
  select l.queue_id, sum(r.jobs) as pending
  from (select r.lane_id, count(*) as jobs from jobq.ready r group by 1) r
  join jobq.lane l on l.id = r.lane_id
  group by 1) n on n.queue_id = q.id;
comment on view jobq.queue_status is 'Every queue, whether it is paused, and how many living workers serve it. pending is counted: it reads all that waits.';
comment on column jobq.queue_status.name is 'The queue.';
comment on column jobq.queue_status.paused_at is 'Since when it is paused; null: it is not.';
comment on column jobq.queue_status.paused_by is 'Who paused it.';
comment on column jobq.queue_status.pause_reason is 'Why, if that was said.';
comment on column jobq.queue_status.pending is 'Jobs that wait in it.';
comment on column jobq.queue_status.workers is 'Living workers that serve it.';

-- The numbers of a queue or a kind; raises if it is neither, both, or unknown.
create function jobq.find_target(queue text, kind text, out queue_id int, out kind_id int)
language plpgsql stable as $$
#variable_conflict use_column
begin
  if num_nonnulls(queue, kind) <> 1 then
    raise 'expected a queue or a kind, got %', case when queue is null then 'neither' else 'both' end
      using errcode = 'invalid_parameter_value';
  end if;
  select q.id into queue_id from jobq.queue q where q.name = find_target.queue;
  select k.id into kind_id from jobq.kind k where k.name = find_target.kind;
  if queue is not null and queue_id is null then
    raise 'queue % does not exist', jobq.shown(queue) using errcode = 'undefined_object',
      hint = 'a queue is there once a kind of it is declared or a job named it; jobq queues lists them';
  elsif kind is not null and kind_id is null then
    raise 'kind % does not exist', jobq.shown(kind) using errcode = 'undefined_object',
      hint = 'a kind is there once a worker declared it or a job has it; jobq kinds lists them';
  end if;
end $$;
comment on function jobq.find_target is 'The number of a queue or of a kind, whichever is named.';

-- The workers hear of it when the transaction commits; what they have claimed by then runs.
create function jobq.pause(
  queue text default null, kind text default null, reason text default null, author text default session_user
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t record;
begin
  t := jobq.find_target(queue, kind);
  if length(reason) > 1000 then
    raise 'reason % has % characters, expected at most 1000', jobq.shown(reason), length(reason)
      using errcode = 'invalid_parameter_value';
  end if;
  insert into jobq.pause as p (queue_id, kind_id, author, reason)
    values (t.queue_id, t.kind_id, coalesce(pause.author, session_user), nullif(pause.reason, ''))
    on conflict do nothing;
  if not found then
    return false;
  end if;
  perform pg_notify('jobq_control', 'advance');        -- limits: it keeps no slots
  perform pg_notify('jobq', 'lanes');
  return true;
end $$;
comment on function jobq.pause is 'Pauses a queue or a kind: workers start no job of it until jobq.resume. False if it was paused before, which stays as it was.';

create function jobq.resume(queue text default null, kind text default null) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  t record;
begin
  t := jobq.find_target(queue, kind);
  delete from jobq.pause p where p.queue_id = t.queue_id or p.kind_id = t.kind_id;
  if not found then
    return false;
  end if;
  perform pg_notify('jobq_control', 'advance');
  perform pg_notify('jobq', 'lanes');
  return true;
end $$;
comment on function jobq.resume is 'Lets a paused queue or kind go on; false if it was not paused.';

-- The pauses that keep a waiting job.
create function jobq.why_paused(job jobq.job) returns table (code text, words text, hint text)
language sql stable as $$
  select 'paused', format('%s has been paused for %s by %s%s', t.what, jobq.span(now() - t.at), t.author,
      coalesce(': ' || t.reason, '')), 'jobq resume ' || t.target
  from (
    select 'queue ' || jobq.shown(p.queue), p.queue, p.at, p.author, p.reason from jobq.pause_status p
    where p.queue = (job).queue
    union all
    select 'kind ' || jobq.shown(p.kind), '--kind ' || p.kind, p.at, p.author, p.reason from jobq.pause_status p
    where p.kind = (job).kind) t (what, target, at, author, reason)
  order by t.at
$$;
comment on function jobq.why_paused is 'The pauses that keep a waiting job; no row if there is none.';

-- limits - at most so many jobs at a time, or so many starts a second, over all workers (docs/decisions/0035).
--
-- A job that a limit holds for waits parked (why = 'limit'), in the bucket of its kind, its queue and the values that
-- its limits go by. fill_slots gives free slots to those that come first, and only it does, one call at a time; the job
-- has them from then to its end, whoever runs it and however often its worker dies. So slots need no time to live.
create table jobq.limits (
  id          int generated always as identity primary key,
  queue_id    int references jobq.queue,
  kind_id     int references jobq.kind,
  concurrency int constraint limits_concurrency check (concurrency > 0),   -- jobs at a time
  rate        int constraint limits_rate check (rate > 0),                 -- starts per period
  burst       int constraint limits_burst check (burst > 0),               -- starts at once after a rest
  per         interval,
  declared_by bigint,                                  -- worker whose handler file has it; null: jobq.set_limit() has
  source      text,                                    -- the file and line
  name        text not null unique constraint limits_name check (length(name) between 1 and 100),
  key_by      text,                                    -- each value of it is counted by itself; null: all together
  constraint limits_of_one check (num_nonnulls(queue_id, kind_id) = 1),
  constraint limits_of_something check (num_nonnulls(concurrency, rate) > 0)
);
comment on table jobq.limits is 'How many jobs of a queue or a kind may run at a time, or start in a period.';

-- Written by advance only: people's transactions may stay open.
create table jobq.limit_state (
  limit_id   int primary key,
  walked     bigint not null default 0,                -- parked jobs up to that id are in the right bucket
  mark       xid8,                                     -- all that enqueued without knowing of it had an older one
  looked_at  timestamptz not null default now(),
  applied_at timestamptz,                              -- what waited is parked; null: nothing of it is claimed
  exact_at   timestamptz                               -- and nobody can come who did not know of it
);
comment on table jobq.limit_state is 'How far limits are applied to jobs that were there before them.';

create table jobq.limit_slot (
  job_id   bigint not null,
  limit_id int not null,
  adopted  boolean not null default false,             -- its job ran when the limit came
  key      text not null,
  primary key (job_id, limit_id)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.limit_slot is 'The slots of limits that jobs hold, from before their run to their end.';
create index limit_slot_holders on jobq.limit_slot (limit_id, key);
create index limit_slot_adopted on jobq.limit_slot (job_id) where adopted;

create table jobq.limit_bucket (
  tokens      float8 not null,                         -- starts that were left at refilled_at
  refilled_at timestamptz not null default now(),
  held_until  timestamptz,
  limit_id    int not null,
  key         text not null,
  primary key (limit_id, key)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.limit_bucket is 'What is left of rates, and which keys are held; a key that has rested has no row. Written by advance only.';

-- Handlers only insert; advance folds them into limit_bucket.
create table jobq.limit_note (
  limit_id   int not null,
  used       float8 not null default 0,
  held_until timestamptz,
  key        text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.limit_note is 'What handlers have told of a limit: starts used beyond their own, and holds.';

-- With more buckets than one call looks at, the next goes on where it ended.
create table jobq.limit_turn (
  one      boolean primary key default true check (one),
  priority smallint not null default 0,
  swept_at timestamptz not null default now(),
  key      text not null default ''
);
comment on table jobq.limit_turn is 'Where the next look at limited jobs begins.';
insert into jobq.limit_turn default values;

create function jobq.check_limit(name text, l jobq.limits) returns void
language plpgsql stable as $$
declare
  wrong text;
  pause boolean := false;
begin
  wrong := case
    when name is null or length(name) not between 1 and 100 then
      format('limit %s has %s characters, expected 1 to 100', jobq.shown(name), coalesce(length(name), 0))
    when l.concurrency is null and l.rate is null then
      format('limit %s limits nothing, expected a concurrency or a rate', jobq.shown(name))
    when l.concurrency not between 1 and 1000000 then
      format('concurrency %s is out of range, expected 1 to 1000000', l.concurrency)
    when l.rate not between 1 and 1000000 then
      format('rate %s is out of range, expected 1 to 1000000', l.rate)
    when l.burst is not null and l.rate is null then
      format('burst %s has no rate to exceed', l.burst)
    when l.burst not between 1 and 1000000 then
      format('burst %s is out of range, expected 1 to 1000000', l.burst)
    when l.rate is not null and (l.per is null or l.per not between '1 ms' and '366 days') then
      format('per %s is out of range, expected 1 ms to 366 days', coalesce(l.per::text, 'null'))
    when length(l.key_by) not between 1 and 200 then
      format('key_by %s has %s characters, expected 1 to 200', jobq.shown(l.key_by), length(l.key_by))
  end;
  pause := l.concurrency = 0 or l.rate = 0;
  if wrong is not null then
    raise '%', wrong using errcode = 'invalid_parameter_value',
      hint = case when pause then 'jobq.pause stops all, jobq.resume lets it go on' else '' end;
  end if;
end $$;
comment on function jobq.check_limit is 'Raises an error that names what cannot be in a limit.';

-- Whether the file that a limit is from is in use: then it is changed there.
create function jobq.limit_file_lives(l jobq.limits) returns boolean
language sql stable as $$
  select l.source is not null
    and exists (select from jobq.worker w where w.state = 'running' and l.kind_id = any (w.kinds))
$$;
comment on function jobq.limit_file_lives is 'Whether a handler file has that limit and a living worker runs its kind.';

-- Sets it or changes the one of that name; what happened. Another scope is another limit.
create function jobq.put_limit(l jobq.limits) returns text
language plpgsql as $$
declare
  old jobq.limits;
begin
  select x.* into old from jobq.limits x where x.name = l.name for update;
  if old.name is not null and old.source is null and l.source is not null then
    raise 'limit % is already set by jobq.set_limit()', jobq.shown(l.name)
      using errcode = 'invalid_parameter_value', hint = 'jobq limits drop ' || l.name;
  elsif l.source is null and jobq.limit_file_lives(old)
      or split_part(old.source, ':', 1) <> split_part(l.source, ':', 1) and old.declared_by <> l.declared_by
        and exists (select from jobq.worker w where w.id = old.declared_by and w.state = 'running') then
    raise 'limit % is already defined in %', jobq.shown(l.name), old.source
      using errcode = 'invalid_parameter_value',
        hint = 'change it there, or choose another name: the stricter limit counts';
  end if;
  if (old.queue_id, old.kind_id, old.key_by) is not distinct from (l.queue_id, l.kind_id, l.key_by) then
    update jobq.limits x
      set concurrency = l.concurrency, rate = l.rate, burst = l.burst, per = l.per, source = l.source,
        declared_by = l.declared_by
      where x.id = old.id;
    if (old.concurrency, old.rate, old.burst, old.per) is not distinct from (l.concurrency, l.rate, l.burst, l.per) then
      return 'unchanged';
    end if;
    perform pg_notify('jobq_control', 'advance');
    return 'changed';
  end if;
  delete from jobq.limits x where x.id = old.id;
  insert into jobq.limits (queue_id, kind_id, concurrency, rate, burst, per, name, key_by, source, declared_by)
    values (l.queue_id, l.kind_id, l.concurrency, l.rate, l.burst, l.per, l.name, l.key_by, l.source, l.declared_by);
  perform pg_notify('jobq_control', 'advance');
  perform pg_notify('jobq', 'lanes');
  return case when old.id is null then 'set' else 'changed' end;
end $$;
comment on function jobq.put_limit is 'Sets a limit or changes the one of that name; what happened: set, changed, unchanged.';

create function jobq.set_limit(
  name text, queue text default null, kind text default null, concurrency int default null, rate int default null,
  per interval default '1 second', burst int default null, key_by text default null
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  wanted jobq.limits;
begin
  wanted.name := name;
  wanted.concurrency := concurrency;
  wanted.rate := rate;
  wanted.burst := coalesce(burst, rate);
  wanted.per := case when rate is not null then per end;
  wanted.key_by := key_by;
  if rate is null and burst is not null then
    wanted.burst := burst;
  end if;
  perform jobq.check_limit(name, wanted);
  if num_nonnulls(queue, kind) <> 1 then
    raise 'a limit is of a queue or of a kind, got %', case when queue is null then 'neither' else 'both' end
      using errcode = 'invalid_parameter_value';
  end if;
  if length(coalesce(queue, kind)) not between 1 and 100 then
    raise '% has % characters, expected 1 to 100', jobq.shown(coalesce(queue, kind)), length(coalesce(queue, kind))
      using errcode = 'invalid_parameter_value';
  end if;
  if queue is not null then
    insert into jobq.queue (name) values (queue) on conflict do nothing;
    if found then
      raise notice 'queue % is new', jobq.shown(queue);
    end if;
    select q.id into wanted.queue_id from jobq.queue q where q.name = queue;
  else
    select k.id into wanted.kind_id from jobq.kind k where k.name = kind;
    if not found then
      perform jobq.make_route(kind, null);
      select k.id into wanted.kind_id from jobq.kind k where k.name = kind;
      raise notice 'kind % is new: no worker has declared it', jobq.shown(kind);
    end if;
  end if;

  return jobq.put_limit(wanted);
end $$;
comment on function jobq.set_limit is 'Sets a limit of a queue or of a kind, or changes that of this name; what happened: set, changed, unchanged.

concurrency is how many run at a time over all workers, rate how many start per period, burst how many of these at once after a rest. With key_by each value counts by itself: the name of an argument, also inside others (customer.id), or limit_key, the option of an enqueue.';

create function jobq.drop_limit(name text) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  gone jobq.limits;
begin
  delete from jobq.limits l where l.name = drop_limit.name returning l.* into gone;
  if gone.name is null then
    return false;
  elsif jobq.limit_file_lives(gone) then
    raise 'limit % is defined in %', jobq.shown(name), gone.source using errcode = 'object_not_in_prerequisite_state',
      hint = 'take it out there';
  end if;
  perform pg_notify('jobq', 'lanes');
  perform pg_notify('jobq_control', 'advance');
  return true;
end $$;
comment on function jobq.drop_limit is 'Takes a limit away; what waits for it goes on. False if there is none of that name. One of a handler file is removed there.';

-- One limit of a handler file, as bindings/lua/jobq/limits.lua wrote it.
create function jobq.declare_limit(worker bigint, kind text, source text, given jsonb) returns void
language plpgsql as $$
#variable_conflict use_variable
declare
  wanted jobq.limits;
begin
  wanted.name := given ->> 'name';
  wanted.concurrency := given ->> 'concurrency';
  wanted.rate := given ->> 'rate';
  wanted.burst := coalesce(given ->> 'burst', given ->> 'rate');
  wanted.per := make_interval(secs => (given ->> 'per')::float8);
  wanted.key_by := given ->> 'key_by';
  wanted.source := source;
  wanted.declared_by := worker;
  perform jobq.check_limit(wanted.name, wanted);
  select k.id into wanted.kind_id from jobq.kind k where k.name = kind;
  if not found then
    perform jobq.make_route(kind, null);
    select k.id into wanted.kind_id from jobq.kind k where k.name = kind;
  end if;
  perform jobq.put_limit(wanted);
end $$;
comment on function jobq.declare_limit is 'Sets or changes a limit that a handler file has for its kind.';

-- Before declare_kinds, which tells what is not to be claimed yet. A worker says it once for each set of handlers, so two
-- that have different ones for a while do not change it to and fro: the last that came has it. What has left its file
-- goes, as with schedules: at once when the worker has the kind without it, or when nobody runs the kind any more.
create function jobq.declare_limits(worker bigint, names text[], limits text[], sources text[])
returns table (problem text)
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '1s' as $$
declare
  digest constant text := md5(names::text || limits::text || sources::text);
  mark constant text := 'limit of ';                   -- what load_error begins with, when it is ours
  problems text[] := '{}';
  hint text;
  told record;
begin
  if exists (select from jobq.worker w where w.id = declare_limits.worker and w.limits = digest)
     and not exists (
       select from jobq.limits l join jobq.kind k on k.id = l.kind_id
       where l.source is not null and k.name = any (names)
         and not exists (select from jobq.worker w where w.id = l.declared_by and w.state = 'running')) then
    return;
  end if;
  delete from jobq.limits l
  where l.name in (
    select x.name
    from jobq.limits x
    join jobq.kind k on k.id = x.kind_id
    left join unnest(names, limits, sources) d (name, limits, source) on d.name = k.name
    where x.source is not null
      and case when d.name is null then
          exists (select from jobq.worker w where w.id = x.declared_by and w.state = 'running')
        else
          (split_part(x.source, ':', 1) = split_part(d.source, ':', 1) or not exists (
            select from jobq.worker w where w.id = x.declared_by and w.state = 'running'))
          and not exists (
            select from jsonb_array_elements(coalesce(nullif(d.limits, ''), '[]')::jsonb) g where g ->> 'name' = x.name)
        end
      and (d.name is not null or not exists (
        select from jobq.worker w
        where w.state = 'running' and w.id <> declare_limits.worker and x.kind_id = any (w.kinds)))
    for update of x skip locked);
  if found then
    perform pg_notify('jobq', 'lanes');
    perform pg_notify('jobq_control', 'advance');
  end if;
  for told in
    select d.name as kind, d.source, g.value as given, g.value ->> 'name' as name
    from unnest(names, limits, sources) d (name, limits, source),
      jsonb_array_elements(nullif(d.limits, '')::jsonb) g (value)
    order by 4
  loop
    begin
      perform jobq.declare_limit(declare_limits.worker, told.kind, told.source, told.given);
    exception
      when others then
        get stacked diagnostics hint = pg_exception_hint;
        problem := format('%s%s (%s): %s', mark, told.kind, told.source, sqlerrm)
          || coalesce(E'\nhint: ' || nullif(hint, ''), '');
        problems := problems || problem;
        return next;
    end;
  end loop;
  update jobq.worker w
    set limits = case when problems = '{}' then digest end,
      load_error = case when problems <> '{}' and w.load_error is null or w.load_error like mark || '%'
        then nullif(array_to_string(problems, E'\n'), '') else w.load_error end
    where w.id = declare_limits.worker;
end $$;
comment on function jobq.declare_limits is 'Sets the limits of a worker''s handlers and removes those that have left their files; answers what is wrong with some.';

-- What handlers tell of a limit: insert only, so that an open transaction is in nobody's way.
create function jobq.hold_limit(name text, seconds float8, key text default '') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if seconds is null or seconds not between 0 and 31622400 then
    raise 'seconds % is out of range, expected 0 to 31622400', coalesce(seconds::text, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  insert into jobq.limit_note (limit_id, held_until, key)
    select l.id, now() + seconds * interval '1 second', jobq.limit_value(coalesce(hold_limit.key, ''))
    from jobq.limits l where l.name = hold_limit.name;
  if not found then
    raise 'limit % does not exist', jobq.shown(name) using errcode = 'undefined_object';
  end if;
  perform pg_notify('jobq_control', 'advance');
end $$;
comment on function jobq.hold_limit is 'Has no job of a limit''s key start for some seconds, e.g. those that a service asked to wait.';

create function jobq.use_limit(name text, starts float8, key text default '') returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if starts is null or starts not between -1000000 and 1000000 then
    raise 'starts % is out of range, expected -1000000 to 1000000', coalesce(starts::text, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  insert into jobq.limit_note (limit_id, used, key)
    select l.id, starts, jobq.limit_value(coalesce(use_limit.key, ''))
    from jobq.limits l where l.name = use_limit.name;
  if not found then
    raise 'limit % does not exist', jobq.shown(name) using errcode = 'undefined_object';
  end if;
  perform pg_notify('jobq_control', 'advance');
end $$;
comment on function jobq.use_limit is 'Counts starts against the rate of a limit''s key beyond the one of each job: what a job turned out to cost.';

-- In and out ---------------------------------------------------------------------------------------

-- Long ones by their hash: it goes into indexes.
create function jobq.limit_value(value text) returns text
language sql immutable as $$
  select case when length($1) > 200 then md5($1) else coalesce($1, '') end
$$;
comment on function jobq.limit_value is 'A value that a limit goes by, as it is stored.';

-- [kind, queue, {"what limits go by": "its value"}]: jobs of one bucket are under the same limits, so they wait in one
-- order. Limits that come and go do not change it, unless they go by something new.
create function jobq.limit_bucket_of(kind_id int, queue_id int, args json, meta jsonb) returns text
language plpgsql stable as $$
declare
  n bigint;
  vals jsonb;
begin
  select count(*), jsonb_object_agg(l.key_by, jobq.limit_value(case l.key_by
      when 'limit_key' then meta ->> 'limit_key' else args::jsonb #>> string_to_array(l.key_by, '.') end))
      filter (where l.key_by is not null)
    into n, vals
  from jobq.limits l where l.kind_id = limit_bucket_of.kind_id or l.queue_id = limit_bucket_of.queue_id;
  return case when n > 0 then jsonb_build_array(kind_id, queue_id, coalesce(vals, '{}'))::text end;
end $$;
comment on function jobq.limit_bucket_of is 'The bucket that a job waits in; null: no limit is for it.';

-- Whatever puts a job in line calls it, in the same transaction. Parked ones are left to who parked them, those with
-- slots may run.
create function jobq.hold_back(ids bigint[]) returns bigint
language plpgsql as $$
declare
  n bigint;
begin
  if not exists (select from jobq.limits) then
    return 0;
  end if;
  with free as materialized (
    select r.id from jobq.ready r
    where r.id = any (ids) and r.run_at < 'infinity'
      and not exists (select from jobq.limit_slot s where s.job_id = r.id)
  ),
  waiting as materialized (
    select r.id, r.run_at, r.priority, b.key
    from free f
    join jobq.ready r on r.id = f.id
    join jobq.lane l on l.id = r.lane_id
    cross join lateral (select jobq.limit_bucket_of(r.kind_id, l.queue_id, r.args, r.meta) as key offset 0) b
    where b.key is not null
    for update of r
  ),
  parked as (
    insert into jobq.parked (job_id, due, priority, why, key)
      select w.id, w.run_at, w.priority, 'limit', w.key from waiting w
  )
  update jobq.ready r set run_at = 'infinity', meta = coalesce(r.meta, '{}') || '{"limited": true}'
    from waiting w where r.id = w.id;
  get diagnostics n = row_count;
  if n > 0 then
    perform pg_notify('jobq_control', 'advance');
  end if;
  return n;
end $$;
comment on function jobq.hold_back is 'Parks those of the jobs in line that a limit is for, until fill_slots gives them their slots; how many.';

-- A run that is over gives its slots back, also if the job waits again: then it waits for its turn. One that did not
-- really run, a return or the end of its worker, keeps them, and its place.
create function jobq.leave_limits(moves jobq.move[]) returns void
language plpgsql as $$
declare
  ids bigint[];
begin
  select array_agg((m.job).id) into ids
  from unnest(moves) m
  where (m.job).meta ? 'limited' and (m.outcome not in ('return', 'suspect')
    or exists (select from jobq.ready r where r.id = (m.job).id and r.run_at > now()));
  if ids is null then
    return;
  end if;
  delete from jobq.limit_slot s where s.job_id = any (ids);
  if found and exists (select from jobq.parked p where p.why = 'limit') then
    perform pg_notify('jobq_control', 'advance');
  end if;
  perform jobq.hold_back(ids);
end $$;
comment on function jobq.leave_limits is 'Gives the slots of jobs back whose run is over, and parks those that wait again.';

-- Waiting jobs whose arguments, time or place have changed. Those that are moved to another time or queue do not keep
-- slots until then.
create function jobq.limit_edited(ids bigint[], moved boolean) returns void
language plpgsql as $$
begin
  if not exists (select from jobq.limits) or ids is null then
    return;
  end if;
  update jobq.parked p
    set key = coalesce(jobq.limit_bucket_of(r.kind_id, l.queue_id, r.args, r.meta),
      jsonb_build_array(r.kind_id, l.queue_id, '{}'::jsonb)::text)
    from jobq.ready r join jobq.lane l on l.id = r.lane_id
    where p.job_id = any (ids) and p.why = 'limit' and r.id = p.job_id;
  if found then
    perform pg_notify('jobq_control', 'advance');
  end if;
  if moved then
    delete from jobq.limit_slot s using jobq.ready r
      where s.job_id = any (ids) and r.id = s.job_id and r.run_at < 'infinity';
    if found then
      perform pg_notify('jobq_control', 'advance');
    end if;
    perform jobq.hold_back(ids);
  end if;
end $$;
comment on function jobq.limit_edited is 'Keeps limited jobs right that were edited while they waited.';

-- Promotion ----------------------------------------------------------------------------------------

create function jobq.is_served(kind_id int, queue_id int) returns boolean
language sql stable as $$
  select not exists (select from jobq.pause p where p.kind_id = $1 or p.queue_id = $2)
    and exists (
      select from jobq.worker w
      where w.state = 'running' and $1 = any (w.kinds)
        and (w.queues is null or (select q.name from jobq.queue q where q.id = $2) = any (w.queues)))
$$;
comment on function jobq.is_served is 'Whether a living worker may start jobs of that kind in that queue now.';

-- What was paused, or lost its last worker, between its promotion and its claim waits parked again: it would keep others
-- of its queue from their slots. What it was counted as is counted back.
create function jobq.take_slots_back() returns void
language plpgsql as $$
declare
  stuck bigint[];
begin
  select array_agg(t.id) into stuck
  from (
    select r.id
    from jobq.ready r
    join jobq.lane l on l.id = r.lane_id
    where r.id in (select s.job_id from jobq.limit_slot s) and r.run_at < 'infinity'
      and not jobq.is_served(r.kind_id, l.queue_id)
    for update of r skip locked) t;
  if stuck is null then
    return;
  end if;
  with back as (
    delete from jobq.limit_slot s where s.job_id = any (stuck) returning s.job_id, s.limit_id, s.key
  )
  insert into jobq.limit_note (limit_id, used, key)
    select b.limit_id, -sum(coalesce((r.meta ->> 'cost')::int, 1)), b.key
    from back b
    join jobq.limits l on l.id = b.limit_id and l.rate is not null
    join jobq.ready r on r.id = b.job_id
    group by b.limit_id, b.key;
  perform jobq.hold_back(stuck);
end $$;
comment on function jobq.take_slots_back is 'Parks jobs again that have slots but cannot start, so that others get these.';

-- One round over at most 2,000 (bucket, priority)s: in each, as many of the first due jobs as all of its limits have
-- room for; over those, as many in each limit as it has room for, the sooner priority and due first. So none is ever
-- over, and where limits overlap a round may give less than there is; the next gives the rest.
--
-- Of a rate a job takes its cost, in order: the first that costs more than is left has all behind it wait. What costs
-- more than there can ever be starts when all of that is there.
create function jobq.fill_slots(out promoted bigint, out next_due timestamptz, out more boolean, out refill_s float8)
language plpgsql as $$
declare
  most constant int := 2000;
  turn jobq.limit_turn;
  ids bigint[];
  last_key text;
  last_priority smallint;
begin
  select t.* into turn from jobq.limit_turn t;
  with recursive walk as (
    (select p.key, p.priority from jobq.parked p
     where p.why = 'limit' and (p.key, p.priority) > (turn.key, turn.priority - 1)
     order by p.key, p.priority limit 1)
    union all
    select n.key, n.priority
    from walk w
    cross join lateral (
      select p.key, p.priority from jobq.parked p
      where p.why = 'limit' and (p.key, p.priority) > (w.key, w.priority)
      order by p.key, p.priority limit 1) n
  ),
  level as materialized (
    select w.key, w.priority from walk w limit most
  ),
  bucket as materialized (
    select b.key, (b.parts ->> 0)::int as kind_id, (b.parts ->> 1)::int as queue_id, b.parts -> 2 as vals
    from (select l.key, l.key::jsonb as parts from (select distinct l.key from level l) l) b
  ),
  bound as materialized (
    select b.key as bucket, l.id as limit_id,
      case when l.key_by is null then '' else coalesce(b.vals ->> l.key_by, '') end as key
    from bucket b
    join jobq.limits l on l.kind_id = b.kind_id or l.queue_id = b.queue_id
  ),
  state as (
    select d.limit_id, d.key, l.concurrency, l.rate, extract(epoch from l.per) as per, l.burst,
      s.applied_at is null or coalesce(t.held_until > now(), false) as shut,
      least(l.burst, coalesce(t.tokens + extract(epoch from now() - t.refilled_at) * l.rate / extract(epoch from l.per),
        l.burst))::float8 as tokens
    from (select distinct b.limit_id, b.key from bound b) d
    join jobq.limits l on l.id = d.limit_id
    left join jobq.limit_state s on s.limit_id = d.limit_id
    left join jobq.limit_bucket t on t.limit_id = d.limit_id and t.key = d.key
  ),
  room as materialized (
    select s.limit_id, s.key, s.rate, s.per, s.burst, s.tokens, case when s.shut then 0 else
      least(1000, floor(s.tokens), s.concurrency - (
        select count(*) from jobq.limit_slot h where h.limit_id = s.limit_id and h.key = s.key)) end::bigint as free
    from state s
  ),
  served as materialized (                             -- a job that cannot start keeps no slot from one that can
    select t.kind_id, t.queue_id
    from (select distinct b.kind_id, b.queue_id from bucket b) t
    where jobq.is_served(t.kind_id, t.queue_id)
  ),
  open as materialized (
    select b.key, least(1000, min(r.free)) as free, bool_or(r.rate is not null) as rated
    from bucket b
    left join bound d on d.bucket = b.key
    left join room r on r.limit_id = d.limit_id and r.key = d.key
    where d.bucket is null or (b.kind_id, b.queue_id) in (select v.kind_id, v.queue_id from served v)
    group by b.key
  ),
  candidate as materialized (
    select c.job_id, l.key as bucket, l.priority, c.due, case when o.rated then coalesce((
        select (r.meta ->> 'cost')::int from jobq.ready r where r.id = c.job_id), 1) end as cost
    from level l
    join open o on o.key = l.key and o.free > 0
    cross join lateral (
      select p.job_id, p.due from jobq.parked p
      where p.why = 'limit' and p.key = l.key and p.priority = l.priority and p.due <= now()
      order by p.due, p.job_id
      limit o.free
      for update skip locked) c
  ),
  ranked as materialized (
    select c.job_id, d.limit_id, d.key, c.cost, (least(sum(c.cost) over turn, r.burst) - r.tokens) * r.per / r.rate as wait_s,
      row_number() over turn <= r.free and (r.rate is null or sum(c.cost) over turn <= r.tokens
        or row_number() over turn = 1 and r.tokens >= r.burst) as fits
    from candidate c
    join bound d on d.bucket = c.bucket
    join room r on r.limit_id = d.limit_id and r.key = d.key
    window turn as (partition by d.limit_id, d.key order by c.priority, c.due, c.job_id)
  ),
  chosen as materialized (
    select c.job_id from candidate c
    where not exists (select from ranked r where r.job_id = c.job_id and not r.fits)
  ),
  taken as (
    insert into jobq.limit_slot (job_id, limit_id, key)
      select r.job_id, r.limit_id, r.key from ranked r join chosen c on c.job_id = r.job_id
  ),
  spent as (
    insert into jobq.limit_bucket as b (limit_id, key, tokens, refilled_at)
      select m.limit_id, m.key, m.tokens - sum(r.cost), now()
      from ranked r
      join chosen c on c.job_id = r.job_id
      join room m on m.limit_id = r.limit_id and m.key = r.key
      where m.rate is not null
      group by m.limit_id, m.key, m.tokens
      on conflict (limit_id, key) do update set tokens = excluded.tokens, refilled_at = now()
  )
  select (select array_agg(c.job_id) from chosen c), (select count(*) from level) >= most,
      (select min(n.due) from level l cross join lateral (
        select p.due from jobq.parked p
        where p.why = 'limit' and p.key = l.key and p.priority = l.priority and p.due > now()
        order by p.due limit 1) n),
      (select l.key from level l order by l.key desc, l.priority desc limit 1),
      (select l.priority from level l order by l.key desc, l.priority desc limit 1),
      (select min(r.wait_s) from ranked r where not r.fits and r.wait_s > 0)
    into ids, more, next_due, last_key, last_priority, refill_s;
  if more or turn.key <> '' then
    update jobq.limit_turn t set key = case when more then last_key else '' end,
      priority = case when more then last_priority + 1 else 0 end;
    more := true;
  end if;
  promoted := coalesce(cardinality(ids), 0);
  if promoted > 0 then
    perform jobq.unpark(ids);
  end if;
end $$;
comment on function jobq.fill_slots is 'Gives free slots to the jobs that come first, and puts those in line; how many, when one is due next, whether there is more to look at, and when enough of a rate is there for the next.';

-- A limit that is new, for what was there before it. Until it is applied no worker claims what it is for. Each step is
-- a call, so a transaction, of its own: what enqueues after the first knows of it.
create function jobq.apply_limits() returns float8
language plpgsql as $$
declare
  l record;
  soonest float8;
  found_some bigint;
  over boolean;
begin
  delete from jobq.limit_slot s where s.ctid = any (array(
    select d.ctid from jobq.limit_slot d
    where d.limit_id not in (select x.id from jobq.limits x) limit 5000 for update skip locked));
  delete from jobq.limit_bucket b where b.limit_id not in (select x.id from jobq.limits x);
  delete from jobq.limit_state s where s.limit_id not in (select x.id from jobq.limits x);
  for l in
    select x.id, x.kind_id, x.queue_id, x.key_by, s.limit_id as known, s.mark, s.looked_at, s.applied_at, s.walked
    from jobq.limits x left join jobq.limit_state s on s.limit_id = x.id
    where s.exact_at is null
    order by x.id
  loop
    if l.known is null then
      insert into jobq.limit_state (limit_id) values (l.id);
      perform jobq.sort_lanes();                       -- from here on its jobs go the long way in
      soonest := 0;
      continue;
    end if;
    update jobq.limit_state s set mark = pg_current_xact_id() where s.limit_id = l.id and s.mark is null;
    if l.applied_at is not null and l.looked_at > now() - interval '5 seconds' then
      soonest := least(soonest, 5);
      continue;
    end if;
    over := coalesce(l.mark < pg_snapshot_xmin(pg_current_snapshot()), false);   -- before the look, not after
    found_some := jobq.hold_back_all(l.id);
    if found_some > 0 then
      soonest := 0;
      continue;
    end if;
    if l.applied_at is null and not jobq.sort_buckets(l.id) then
      soonest := 0;
      continue;
    end if;
    perform jobq.adopt(l.id);
    update jobq.limit_state s
      set looked_at = now(), applied_at = coalesce(s.applied_at, now()), exact_at = case when over then now() end
      where s.limit_id = l.id;
    if l.applied_at is null then
      perform pg_notify('jobq', 'lanes');
      soonest := 0;
    elsif not over then
      soonest := least(soonest, 5);
    end if;
  end loop;
  return soonest;
end $$;
comment on function jobq.apply_limits is 'Brings new limits to the jobs that were there before; seconds until it wants to go on.';

create function jobq.hold_back_all(id int, at_most int default 5000) returns bigint
language plpgsql as $$
declare
  l jobq.limits;
  lanes int[];
  ids bigint[];
begin
  select x.* into l from jobq.limits x where x.id = hold_back_all.id;
  select array_agg(a.id) into lanes from jobq.lane a where a.queue_id = l.queue_id or a.kind_id in (0, l.kind_id);
  if l.queue_id is not null then
    select array_agg(a.id) into lanes from jobq.lane a where a.queue_id = l.queue_id;
  end if;
  select array_agg(t.id) into ids from (
    select r.id from jobq.ready r
    where r.lane_id = any (lanes) and r.run_at < 'infinity' and r.kind_id = coalesce(l.kind_id, r.kind_id)
      and not exists (select from jobq.limit_slot s where s.job_id = r.id)
    limit at_most
    for update of r skip locked) t;
  return case when ids is null then 0 else jobq.hold_back(ids) end;
end $$;
comment on function jobq.hold_back_all is 'Parks jobs in line that a new limit is for, some at a time; how many.';

-- Some at a time, by id. True when all are.
create function jobq.sort_buckets(id int, at_most int default 20000) returns boolean
language plpgsql as $$
declare
  l jobq.limits;
  last bigint;
begin
  select x.* into l from jobq.limits x where x.id = sort_buckets.id;
  with part as materialized (
    select p.job_id from jobq.parked p
    where p.job_id > (select s.walked from jobq.limit_state s where s.limit_id = sort_buckets.id)
    order by p.job_id
    limit at_most
  ),
  mine as materialized (
    select p.job_id, b.key
    from part t
    join jobq.parked p on p.job_id = t.job_id
    join jobq.ready r on r.id = p.job_id
    join jobq.lane a on a.id = r.lane_id
    cross join lateral (select jobq.limit_bucket_of(r.kind_id, a.queue_id, r.args, r.meta) as key offset 0) b
    where p.why = 'limit' and (r.kind_id = l.kind_id or a.queue_id = l.queue_id) and p.key <> b.key
    for update of p skip locked
  ),
  moved as (
    update jobq.parked p set key = m.key from mine m where p.job_id = m.job_id
  )
  select max(t.job_id) into last from part t;
  update jobq.limit_state s set walked = last where s.limit_id = sort_buckets.id and last is not null;
  return last is null;
end $$;
comment on function jobq.sort_buckets is 'Puts parked jobs into the buckets that a new limit asks for; whether all are there.';

-- Jobs that run, or are about to, when a limit comes hold a slot of it as well: they are counted, however many.
create function jobq.adopt(id int) returns void
language plpgsql as $$
begin
  insert into jobq.limit_slot (job_id, limit_id, adopted, key)
    select j.id, l.id, true, case when l.key_by is null then ''
        else coalesce(jobq.limit_bucket_of(j.kind_id, a.queue_id, j.args, j.meta)::jsonb -> 2 ->> l.key_by, '') end
    from jobq.limits l
    cross join (
      select j.id, j.kind_id, j.lane_id, j.args, j.meta
      from jobq.lease e,
        unnest(e.jobs) with ordinality
          as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
      where j.slot <> all (e.done)
      union all
      select r.id, r.kind_id, r.lane_id, r.args, r.meta
      from jobq.ready r
      where r.run_at < 'infinity' and r.id in (select s.job_id from jobq.limit_slot s)) j
    join jobq.lane a on a.id = j.lane_id
    where l.id = adopt.id and (l.kind_id = j.kind_id or l.queue_id = a.queue_id)
    on conflict do nothing;
end $$;
comment on function jobq.adopt is 'Gives slots of a new limit to the jobs that run when it comes.';

-- Adopted jobs may not know that they are limited, so nobody tells of their end: it is looked for. Each is in one place
-- in this snapshot.
create function jobq.watch_adopted() returns boolean
language plpgsql as $$
declare
  late bigint[];
begin
  if not exists (select from jobq.limit_slot s where s.adopted) then
    return false;
  end if;
  with adopted as materialized (
    select distinct s.job_id from jobq.limit_slot s where s.adopted
  ),
  place as materialized (
    select a.job_id, r.run_at,
      r.id is null and exists (
        select from jobq.lease l
        where a.job_id = any (l.ids) and array_position(l.ids, a.job_id) <> all (l.done)) as runs
    from adopted a left join jobq.ready r on r.id = a.job_id
  ),
  known as (                                           -- it waits in line with its slots: it is as any other
    update jobq.ready r set meta = coalesce(r.meta, '{}') || '{"limited": true}'
      where r.ctid = any (array(
        select x.ctid from jobq.ready x where x.id in (select p.job_id from place p where p.run_at <= now())
        for update skip locked))
      returning r.id
  ),
  own as (
    update jobq.limit_slot s set adopted = false where s.adopted and s.job_id in (select k.id from known k)
  ),
  gone as (
    delete from jobq.limit_slot s
    where s.ctid = any (array(
      select x.ctid from jobq.limit_slot x
      where x.job_id in (select p.job_id from place p where not p.runs and (p.run_at is null or p.run_at > now()))
      for update skip locked))
  )
  select array_agg(p.job_id) into late from place p where p.run_at > now() and p.run_at < 'infinity';
  if late is not null then
    perform jobq.hold_back(late);
  end if;
  return true;
end $$;
comment on function jobq.watch_adopted is 'Ends the slots of jobs that ran when their limit came; whether there were any.';

create function jobq.fold_limit_notes() returns void
language plpgsql as $$
begin
  with told as (
    delete from jobq.limit_note n returning n.limit_id, n.key, n.used, n.held_until
  ),
  sums as (
    select t.limit_id, t.key, sum(t.used) as used, max(t.held_until) as held_until from told t group by 1, 2
  )
  insert into jobq.limit_bucket as b (limit_id, key, tokens, refilled_at, held_until)
    select l.id, s.key, coalesce(l.burst, 0) - s.used, now(), s.held_until
    from sums s join jobq.limits l on l.id = s.limit_id
    on conflict (limit_id, key) do update
      set tokens = case when excluded.tokens is null then b.tokens else b.tokens
            - ((select coalesce(l.burst, 0) from jobq.limits l where l.id = b.limit_id) - excluded.tokens) end,
        held_until = greatest(b.held_until, excluded.held_until);
  -- A key that has rested is as one that never was.
  update jobq.limit_turn t set swept_at = now() where t.swept_at < now() - interval '1 minute';
  if found then
    delete from jobq.limit_bucket b using jobq.limits l
      where l.id = b.limit_id and coalesce(b.held_until, now()) <= now()
        and (l.rate is null
          or b.tokens + extract(epoch from now() - b.refilled_at) * l.rate / extract(epoch from l.per) >= l.burst);
  end if;
end $$;
comment on function jobq.fold_limit_notes is 'Brings what handlers told of limits to where promotion looks, and forgets keys that have rested.';

-- Under the lock of advance: two at a time would both see the same slot free.
create function jobq.advance_limits() returns float8
language plpgsql as $$
declare
  soonest float8;
  f record;
begin
  if not exists (select from jobq.limits) and not exists (select from jobq.limit_state)
     and not exists (select from jobq.parked p where p.why = 'limit') then
    return null;
  end if;
  soonest := jobq.apply_limits();
  if exists (select from jobq.pause)
     or exists (select from jobq.limit_turn t where t.swept_at < now() - interval '1 minute') then
    perform jobq.take_slots_back();
  end if;
  perform jobq.fold_limit_notes();
  if jobq.watch_adopted() then
    soonest := least(soonest, 0.25);
  end if;
  for round in 1..5 loop
    f := jobq.fill_slots();
    exit when f.promoted = 0;
  end loop;
  if f.more or f.promoted > 0 then
    soonest := 0;
  elsif exists (select from jobq.parked p where p.why = 'limit') then
    soonest := least(soonest, 1, extract(epoch from f.next_due - now()), f.refill_s, (
      select min(t.seconds) from (
        select case when b.held_until > now() then extract(epoch from b.held_until - now())
          when l.rate is not null and b.tokens < 1
          then (1 - b.tokens) * extract(epoch from l.per) / l.rate - extract(epoch from now() - b.refilled_at) end
        from jobq.limit_bucket b join jobq.limits l on l.id = b.limit_id) t (seconds)
      where t.seconds > 0));
  end if;
  return soonest;
end $$;
comment on function jobq.advance_limits is 'Has limited jobs go on whose turn it is; seconds until it wants to be called again, null: when notified.';

-- For people ---------------------------------------------------------------------------------------

create view jobq.limit_status as
select l.name, q.name as queue, k.name as kind, l.key_by, l.concurrency, l.rate, l.per, l.burst,
  (select count(*) from jobq.limit_slot s where s.limit_id = l.id) as holders,
  coalesce(w.waiting, 0)::bigint as waiting,
  (select max(b.held_until) from jobq.limit_bucket b where b.limit_id = l.id and b.held_until > now()) as held_until,
  s.applied_at, s.exact_at, l.source
from jobq.limits l
left join jobq.queue q on q.id = l.queue_id
left join jobq.kind k on k.id = l.kind_id
left join jobq.limit_state s on s.limit_id = l.id
left join lateral (
  select sum(p.jobs) as waiting
  from (
    select p.key::jsonb as key, count(*) as jobs from jobq.parked p
    where p.why = 'limit' and p.due <= now() group by p.key) p
  where (p.key ->> 0)::int = l.kind_id or (p.key ->> 1)::int = l.queue_id) w on true;
comment on view jobq.limit_status is 'Every limit, with how many jobs hold it and wait for it. waiting is counted: it reads all that limits keep.';
comment on column jobq.limit_status.name is 'The limit.';
comment on column jobq.limit_status.queue is 'The queue whose jobs it is for; null: those of a kind.';
comment on column jobq.limit_status.kind is 'The kind whose jobs it is for, in whatever queue.';
comment on column jobq.limit_status.key_by is 'The argument, or limit_key, whose values are counted each by itself.';
comment on column jobq.limit_status.concurrency is 'How many run at a time.';
comment on column jobq.limit_status.rate is 'How many start per period.';
comment on column jobq.limit_status.per is 'That period.';
comment on column jobq.limit_status.burst is 'How many start at once after a rest.';
comment on column jobq.limit_status.holders is 'Jobs that hold a slot: running, or about to.';
comment on column jobq.limit_status.waiting is 'Due jobs of it that wait, for whatever limit.';
comment on column jobq.limit_status.held_until is 'Until when a handler asked for a rest, the longest of its keys; null: not.';
comment on column jobq.limit_status.applied_at is 'When what was there before it was parked; null: not yet, and nothing of it starts.';
comment on column jobq.limit_status.source is 'File and line of the handler that has it; null: jobq.set_limit() did.';
comment on column jobq.limit_status.exact_at is 'When the last transaction ended that did not know of it.';

create function jobq.why_limited(p jobq.parked) returns table (code text, words text, hint text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  parts jsonb := p.key::jsonb;
  l record;
  full_ones int := 0;
  cost int := coalesce((select (r.meta ->> 'cost')::int from jobq.ready r where r.id = p.job_id), 1);
begin
  if p.due > now() then
    return;                                            -- that is the reason (why_not_yet)
  end if;
  for l in
    select x.name, x.concurrency, x.rate, x.per, least(cost, x.burst) as needs, s.applied_at, t.held_until, h.n, h.first_three,
      case when x.key_by is null then '' else format(' of %s %s', x.key_by, jobq.shown(v.key)) end as whose,
      t.tokens + extract(epoch from now() - t.refilled_at) * x.rate / extract(epoch from x.per) as tokens
    from jobq.limits x
    cross join lateral (
      select case when x.key_by is null then '' else coalesce(parts -> 2 ->> x.key_by, '') end) v (key)
    left join jobq.limit_state s on s.limit_id = x.id
    left join jobq.limit_bucket t on t.limit_id = x.id and t.key = v.key
    cross join lateral (
      select count(*), string_agg(o.job_id::text, ', ' order by o.job_id) filter (where o.number <= 3)
      from (
        select o.job_id, row_number() over (order by o.job_id) as number
        from jobq.limit_slot o where o.limit_id = x.id and o.key = v.key) o) h (n, first_three)
    where x.kind_id = (parts ->> 0)::int or x.queue_id = (parts ->> 1)::int
    order by x.name
  loop
    full_ones := full_ones + 1;
    if l.applied_at is null then
      return query select 'limit_new', format('limit %s is new, it is being applied', jobq.shown(l.name)), null;
    elsif l.held_until > now() then
      return query select 'limit_held', format('limit %s%s is held for %s more, as a handler asked', jobq.shown(l.name),
        l.whose, jobq.span(l.held_until - now())), null;
    elsif l.n >= l.concurrency then
      return query select 'limit', format('limit %s lets %s jobs%s run at a time; job%s %s%s', jobq.shown(l.name),
        l.concurrency, l.whose, case when l.n = 1 then '' else 's' end,
        l.first_three || case when l.n > 3 then format(' and %s more', l.n - 3) else '' end,
        case when l.n = 1 then ' does' else ' do' end), 'jobq limits shows all of them';
    elsif l.tokens < l.needs then
      return query select 'rate', format('limit %s lets %s jobs%s start per %s; the next may in %s', jobq.shown(l.name),
        l.rate, l.whose, l.per, jobq.span((1 - l.tokens) * l.per / l.rate)), null
        where l.tokens < 1
      union all
      select 'rate', format('limit %s lets %s jobs%s start per %s; this one counts as %s and may in %s', jobq.shown(l.name),
        l.rate, l.whose, l.per, cost, jobq.span((l.needs - l.tokens) * l.per / l.rate)), null
        where l.tokens >= 1;
    else
      full_ones := full_ones - 1;
    end if;
  end loop;
  if full_ones = 0 then
    return query select 'limit_turn', 'it waits for its turn under a limit: others come before it',
      'jobq limits shows them';
  end if;
end $$;
comment on function jobq.why_limited is 'Which limits keep a parked job, and who holds them.';
