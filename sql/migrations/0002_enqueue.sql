-- min_worker: 0.1.0
-- enqueue - the way in. Callable from any language, inside the caller's transaction.
--
-- Lock discipline: an enqueue must never hold a lock that a settling worker waits for, because the caller's
-- transaction may stay open for hours. Hence ON CONFLICT DO NOTHING and never DO UPDATE, which locks the row it
-- meets even where it changes nothing.

-- A value as messages name it: quoted, not longer than a line.
create function jobq.shown(value text) returns text
language sql immutable as $$
  select case when $1 is null then 'null' when length($1) > 60 then '"' || left($1, 60) || '..."' else '"' || $1 || '"' end
$$;
comment on function jobq.shown is 'A value of a user as error messages quote it.';

-- What may be said of a job beside its kind and arguments; null is the default. Each is a parameter of jobq.enqueue and
-- jobq.enqueue_many, and a key of the options of jobq.enqueue_with. What is added comes last, here and there.
create type jobq.job_options as (
  queue        text,
  priority     int,
  run_at       timestamptz,
  delay        interval,
  max_attempts int,
  timeout      interval,
  unique_key   text,
  unique_for   interval,
  tags         text[],
  batch        bigint,                                 -- makes it a member of that batch
  batch_member bigint,                                 -- the running member that adds it, if the batch is closed
  expires_in   interval,
  unique_fields text[],
  unique_aligned boolean,
  unique_until text,
  on_conflict  text,
  max_wait     interval,
  limit_key    text,                                   -- what limits by limit_key count it under
  cost         int                                     -- starts that it counts as where a limit has a rate
);
comment on type jobq.job_options is 'What may be said of a job when it is enqueued.';

-- Raises on the first option that cannot be; every message names the value and what was expected. It answers something
-- so that callers can assign it: plpgsql evaluates that directly, and runs a statement for PERFORM. For the same reason
-- the long expression has no subquery.
create function jobq.check_options(kind text, o jobq.job_options) returns boolean
language plpgsql stable as $$
declare
  wrong text;
  tag text;
begin
  wrong := case
    when kind is null or length(kind) not between 1 and 100 then
      format('kind %s has %s characters, expected 1 to 100', jobq.shown(kind), coalesce(length(kind), 0))
    when length(o.queue) not between 1 and 100 then
      format('queue %s has %s characters, expected 1 to 100', jobq.shown(o.queue), length(o.queue))
    when o.priority not between 0 and 9 then
      format('priority %s is out of range, expected 0 (soonest) to 9', o.priority)
    when o.delay < '0' then
      format('delay %s is negative', o.delay)
    when not isfinite(o.run_at) then
      format('run_at %s is not a point in time', o.run_at)
    when o.max_attempts not between 1 and 1000 then
      format('max_attempts %s is out of range, expected 1 to 1000', o.max_attempts)
    when o.timeout <= '0' or o.timeout > '366 days' then
      format('timeout %s is out of range, expected more than 0 and at most 366 days', o.timeout)
    when length(o.limit_key) not between 1 and 200 then
      format('limit_key %s has %s characters, expected 1 to 200', jobq.shown(o.limit_key), length(o.limit_key))
    when o.cost not between 1 and 1000000 then
      format('cost %s is out of range, expected 1 to 1000000', o.cost)
    when o.expires_in <= '0' or not o.expires_in < '3660 days' then
      format('expires_in %s is out of range, expected more than 0 and less than 3660 days', o.expires_in)
    when array_ndims(o.tags) > 1 then
      format('tags has %s dimensions, expected a plain array', array_ndims(o.tags))
    when cardinality(o.tags) > 50 then
      format('tags has %s elements, expected at most 50', cardinality(o.tags))
    when o.batch_member is not null and o.batch is null then
      format('batch_member %s has no batch to add to', o.batch_member)
  end;
  if wrong is null and o.tags is not null then
    foreach tag in array o.tags loop
      if tag is null or length(tag) not between 1 and 100 then
        wrong := format('tag %s has %s characters, expected 1 to 100', jobq.shown(tag), coalesce(length(tag), 0));
      end if;
    end loop;
  end if;
  if wrong is null and num_nonnulls(o.unique_key, o.unique_fields, o.unique_for, o.unique_aligned, o.unique_until,
      o.on_conflict, o.max_wait) > 0 then
    wrong := jobq.wrong_unique(o);
  end if;
  if wrong is not null then
    raise '%', wrong using errcode = 'invalid_parameter_value';
  end if;
  return true;
end $$;
comment on function jobq.check_options is 'Raises an error that names the first option of an enqueue that cannot be.';

-- The arguments as they are stored. jsonb came in, so they are valid and normalised; json text is cheaper to keep.
create function jobq.check_args(kind text, args jsonb, place text) returns text
language plpgsql immutable as $$
declare
  body text := coalesce(args, '{}')::text;
begin
  if octet_length(body) > 1048576 then
    raise 'arguments%of % take % bytes, the limit is 1048576', place, jobq.shown(kind), octet_length(body)
      using errcode = 'program_limit_exceeded',
      hint = 'store what is large elsewhere, and enqueue where to find it';
  end if;
  if body not like '{%' then
    raise 'arguments%of % are %, expected a JSON object', place, jobq.shown(kind), left(body, 60)
      using errcode = 'invalid_parameter_value';
  end if;
  return body;
end $$;
comment on function jobq.check_args is 'The JSON text of a job''s arguments, or an error that names what is wrong with them.';

-- Names to numbers; creates what is new. A kind that no worker has declared stands apart from the start.
-- Plain look-ups, not one clever join: with "queue may be null" in a join the planner prefers a new plan for every
-- call, which made enqueue three times slower.
create function jobq.route(
  kind text, queue text, out kind_id int, out lane_id int, out priority smallint, out max_attempts smallint,
  out limited boolean
)
language plpgsql as $$
#variable_conflict use_column
declare
  home int;                                            -- the kind's queue
  target int;                                          -- the job's queue
  alone boolean;
  follower boolean;
begin
  loop
    select k.id, k.lane_id, k.queue_id, k.queue_id, k.apart, k.priority, k.max_attempts, k.declared_at is null
      into kind_id, lane_id, home, target, alone, priority, max_attempts, follower
      from jobq.kind k where k.name = route.kind;
    if not found then
      perform jobq.make_route(route.kind, route.queue);
      continue;
    end if;
    exit when route.queue is null and lane_id is not null;
    if route.queue is not null then
      select q.id into target from jobq.queue q where q.name = route.queue;
      -- Elsewhere than at home its neighbours' workers may not know it: never in a shared lane there.
      alone := alone or target <> home;
      follower := false;
    end if;
    if follower then
      select l.id into lane_id from jobq.lane l where l.kind_id = route.kind_id and l.follows_kind;
    else
      select l.id into lane_id from jobq.lane l
        where l.queue_id = target and l.kind_id = case when alone then route.kind_id else 0 end and not l.follows_kind;
    end if;
    limited := exists (select from jobq.limits m where m.kind_id = route.kind_id or m.queue_id = target);
    exit when lane_id is not null;
    perform jobq.make_route(route.kind, route.queue);
  end loop;
end $$;
comment on function jobq.route is 'Where a job of that kind and queue waits, and what its kind says; makes names that are new.';

-- The rare part of route: a queue, kind or lane is new. Once a worker sees the lane, it claims from it.
create function jobq.make_route(kind text, queue text) returns void
language plpgsql as $$
#variable_conflict use_column
declare
  created boolean;
begin
  insert into jobq.queue (name) values (coalesce(make_route.queue, 'default')) on conflict do nothing;
  insert into jobq.kind (name, queue_id, apart)
    select make_route.kind, q.id, true from jobq.queue q where q.name = coalesce(make_route.queue, 'default')
    on conflict do nothing;
  created := found;
  insert into jobq.lane (queue_id, kind_id, follows_kind)
    select q.id, case when k.apart or q.id <> k.queue_id then k.id else 0 end,
      k.declared_at is null and make_route.queue is null
    from jobq.kind k
    join jobq.queue q on case when make_route.queue is null then q.id = k.queue_id else q.name = make_route.queue end
    where k.name = make_route.kind
    on conflict do nothing;
  if found then
    perform pg_notify('jobq', 'lanes');
  end if;
  if created and make_route.queue is null              -- nobody else sees that row yet, so nobody waits for it
     and not exists (
       select from jobq.limits m join jobq.kind k on k.queue_id = m.queue_id where k.name = make_route.kind) then
    update jobq.kind k set lane_id = l.id from jobq.lane l
      where k.name = make_route.kind and l.kind_id = k.id and l.follows_kind;
  end if;
end $$;
comment on function jobq.make_route is 'Makes the queue, kind and lane that a job needs, and tells workers of a new lane.';

-- Wakes the sleepers of lanes, if there are any. Must be a statement of its own after the insert: the insert has given
-- the transaction its id, and a sleeper that the new snapshot does not see will wait for that id (may_sleep).
-- A transaction with one snapshot for all its statements cannot look again, so it notifies unasked.
create function jobq.wake(lane_id int) returns void
language plpgsql as $$
begin
  if current_setting('transaction_isolation') <> 'read committed'
     or exists (select from jobq.sleeper s where s.lane_id = wake.lane_id) then
    perform pg_notify('jobq', 'lane ' || wake.lane_id);
  end if;
end $$;
comment on function jobq.wake is 'Tells workers that sleep on a lane that it has a job; a statement of its own after the insert.';

create function jobq.wake_lanes(lanes int[]) returns void
language plpgsql as $$
declare
  lane int;
begin
  for lane in select distinct l from unnest(lanes) l order by l loop
    perform jobq.wake(lane);
  end loop;
end $$;
comment on function jobq.wake_lanes is 'Wakes the sleepers of several lanes; a statement of its own after the jobs were put there.';

-- Takes a waiting job out of the line. False if it does not wait there, or is parked already.
create function jobq.park(id bigint, why text, key text) returns boolean
language plpgsql as $$
begin
  with waiting as (
    select r.id, r.run_at, r.priority from jobq.ready r where r.id = park.id and r.run_at < 'infinity' for update
  )
  insert into jobq.parked (job_id, due, priority, why, key)
    select w.id, w.run_at, w.priority, park.why, park.key from waiting w;
  update jobq.ready r set run_at = 'infinity' where found and r.id = park.id;
  return found;
end $$;
comment on function jobq.park is 'Parks a waiting job: no worker claims it until jobq.unpark.';

-- Puts parked jobs in line where they were due. Those that are gone, or that somebody else unparks, are passed over.
create function jobq.unpark(ids bigint[]) returns bigint
language plpgsql as $$
declare
  lanes int[];
begin
  with parked as (
    delete from jobq.parked p
    where p.job_id in (select q.job_id from jobq.parked q where q.job_id = any (ids) for update skip locked)
    returning p.job_id, p.due
  ),
  waiting as (
    update jobq.ready r set run_at = p.due from parked p where r.id = p.job_id returning r.lane_id
  )
  select array_agg(w.lane_id) into lanes from waiting w;
  perform jobq.hold_back(ids);                         -- what had no slot has to wait for one
  perform jobq.wake_lanes(lanes);
  return coalesce(cardinality(lanes), 0);
end $$;
comment on function jobq.unpark is 'Puts parked jobs in line; how many.';

create function jobq.read_options(options jsonb) returns jobq.job_options
language plpgsql stable as $$
declare
  o jobq.job_options := jsonb_populate_record(null::jobq.job_options, '{}');   -- not null, all its fields are
  unknown text;
begin
  if jsonb_typeof(options) <> 'object' then
    raise 'options are %, expected a JSON object', left(options::text, 60) using errcode = 'invalid_parameter_value';
  end if;
  select k into unknown from jsonb_object_keys(options) k where not to_jsonb(o) ? k limit 1;
  if found then
    raise 'unknown option %', jobq.shown(unknown) using errcode = 'invalid_parameter_value',
      hint = 'known are ' || (select string_agg(k, ', ' order by k) from jsonb_object_keys(to_jsonb(o)) k);
  end if;
  if jsonb_typeof(options -> 'run_at') = 'number' then
    options := options || jsonb_build_object('run_at', to_timestamp((options ->> 'run_at')::float8));
  end if;
  return jsonb_populate_record(o, options);
exception
  when invalid_text_representation or invalid_datetime_format or datetime_field_overflow or numeric_value_out_of_range
      or interval_field_overflow then
    raise 'options %: %', left(options::text, 200), sqlerrm using errcode = 'invalid_parameter_value';
end $$;
comment on function jobq.read_options is 'Options given as a JSON object; raises an error that names what is not one.';

-- What a job carries beside its arguments; null for a plain job.
create function jobq.make_meta(o jobq.job_options) returns jsonb
language plpgsql stable as $$
begin
  return nullif(jsonb_strip_nulls(jsonb_build_object('unique', o.unique_key, 'unique_until', o.unique_until,
    'tags', to_jsonb(o.tags), 'timeout', extract(epoch from o.timeout), 'batch', o.batch,
    'expires_in', extract(epoch from o.expires_in), 'limit_key', o.limit_key, 'cost', o.cost)), '{}');
end $$;
comment on function jobq.make_meta is 'What a job carries beside its arguments; null for a plain job.';

-- Expiry is kept relative, as it was asked for, and as the Unix time that follows from when the job is due: claims and
-- the sweep read that (0018_control). Whatever gives a job another time by hand gives it another expiry.
create function jobq.expire_from(meta jsonb, due timestamptz) returns jsonb
language plpgsql immutable as $$
begin
  if not meta ? 'expires_in' then
    return meta;
  end if;
  return meta || jsonb_build_object('expires', extract(epoch from due)::float8 + (meta ->> 'expires_in')::float8);
end $$;
comment on function jobq.expire_from is 'What a job carries, with its expiry counted from that time.';

create function jobq.has_expired(meta jsonb, error text) returns boolean
language sql immutable as $$
  select coalesce($1 ? 'expires' and not $1 ? 'cancelled_by' and $2 = 'expired', false)
$$;
comment on function jobq.has_expired is 'Whether a cancelled job with that meta and error has expired.';

-- The sweep is told of jobs that expire, in rows of their own: nobody waits for a caller that stays open.
create function jobq.note_expiry(ids bigint[], meta jsonb) returns void
language plpgsql as $$
begin
  insert into jobq.expiry (at, job_id) select to_timestamp((meta ->> 'expires')::float8), i.id from unnest(ids) i (id);
end $$;
comment on function jobq.note_expiry is 'Has the sweep look at jobs when they expire.';

-- One job, the long way. happened: enqueued; or, when its unique key is taken, what 0013 says.
create function jobq.put(kind text, args jsonb, o jobq.job_options, out id bigint, out happened text)
language plpgsql as $$
#variable_conflict use_variable
declare
  r record;
  u record;
  new_id bigint;
  body text;
  due timestamptz;
  m jsonb;
  checked boolean;
  follows boolean := false;                            -- parked behind the job that holds its key
begin
  checked := jobq.check_options(kind, o);
  body := jobq.check_args(kind, args, ' ');
  due := coalesce(o.run_at, now()) + coalesce(o.delay, '0');
  r := jobq.route(kind, o.queue);
  new_id := nextval('jobq.ready_id_seq');
  happened := 'enqueued';
  if o.unique_key is not null or o.unique_fields is not null then
    o.unique_key := coalesce(o.unique_key, jobq.key_of(kind, args, o.unique_fields, ' '));
    u := jobq.take_turn(r.kind_id, o, body, due, new_id);
    happened := u.happened;
    follows := u.turn = 1;
    if u.id <> new_id then
      id := u.id;
      return;
    end if;
  end if;
  if o.batch is not null then
    checked := jobq.join_batch(o.batch, 1, o.batch_member);
  end if;
  m := jobq.expire_from(jobq.make_meta(o), due);
  insert into jobq.ready (id, run_at, lane_id, kind_id, priority, max_attempts, args, meta)
    overriding system value
    values (new_id, case when follows then 'infinity' else due end, r.lane_id, r.kind_id,
            coalesce(o.priority, r.priority, 5), coalesce(o.max_attempts, r.max_attempts), body::json, m);
  if o.expires_in is not null then
    perform jobq.note_expiry(array[new_id], m);
  end if;
  if follows then
    insert into jobq.parked (job_id, due, priority, why, key)
      values (new_id, due, coalesce(o.priority, r.priority, 5), 'unique', o.unique_key);
  elsif r.limited and jobq.hold_back(array[new_id]) > 0 then
    null;                                              -- nobody can claim it yet
  elsif due <= now() + interval '1 hour' then          -- later ones are found by the poll, which is never longer
    perform jobq.wake(r.lane_id);
  end if;
  id := new_id;
end $$;
comment on function jobq.put is 'Adds a job with any options; its id, or that of the job that is there in its place, and what happened.';

create function jobq.enqueue(
  kind text, args jsonb default '{}', queue text default null, priority int default null,
  run_at timestamptz default null, delay interval default null, max_attempts int default null,
  timeout interval default null, unique_key text default null, unique_for interval default null,
  tags text[] default null, batch bigint default null, batch_member bigint default null,
  expires_in interval default null, unique_fields text[] default null, unique_aligned boolean default null,
  unique_until text default null, on_conflict text default null, max_wait interval default null,
  limit_key text default null, cost int default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  body text := args::text;
  new_id bigint;
  lane int;
  told record;
begin
  -- The plain call, which is nearly every call, in one statement and a look for sleepers (docs/decisions/0029). What
  -- is not as it expects takes the long way, which tells what is wrong.
  if num_nonnulls(queue, priority, run_at, delay, max_attempts, timeout, unique_key, unique_for, tags, batch,
       batch_member, expires_in, unique_fields, unique_aligned, unique_until, on_conflict, max_wait,
       limit_key, cost) = 0
     and body like '{%' and octet_length(body) <= 1048576 then
    insert into jobq.ready (lane_id, kind_id, priority, max_attempts, args)
      select k.lane_id, k.id, coalesce(k.priority, 5), k.max_attempts, body::json
      from jobq.kind k where k.name = enqueue.kind and k.lane_id is not null
      returning ready.id, ready.lane_id into new_id, lane;
    if found then
      perform jobq.wake(lane);
      return new_id;
    end if;
  end if;
  told := jobq.put(kind, args,
    row(queue, priority, run_at, delay, max_attempts, timeout, unique_key, unique_for, tags, batch,
      batch_member, expires_in, unique_fields, unique_aligned, unique_until, on_conflict, max_wait,
      limit_key, cost)::jobq.job_options);
  if told.happened = 'kept' then
    raise notice 'job % already %', told.id, case when unique_key is null
      then 'has the same ' || array_to_string(unique_fields, ', ') else 'holds unique_key ' || jobq.shown(unique_key) end;
  end if;
  return told.id;
end $$;
comment on function jobq.enqueue is 'Adds a job and returns its id; with a unique_key held by a live job, returns that job''s id and says so in a notice.

args is a JSON object of at most 1 MiB. queue, priority (0 to 9, lower runs sooner), max_attempts and timeout are those of the kind where they are null. It runs not before run_at plus delay. unique_key is per kind; unique_fields names the fields of args that make it. It is free when the job ends (unique_until ''finished''), is claimed (''start'') or has completed (''succeeded''); or after unique_for, with unique_aligned at the end of that slot of the clock; with both, when both are over. on_conflict says what happens when it is taken: ''keep'', ''replace'', ''debounce'' (at most max_wait after the job was made), ''append'', ''follow'' or ''supersede''. tags are for people, at most 50. batch makes it a member of that batch (jobq.open_batch), unless a unique_key keeps it from being added. A job that has not begun expires_in after it was due is cancelled. limit_key is what limits by limit_key count it under; cost is how many starts each of its runs counts as where a limit has a rate, one by default.';

-- The same with the options as a JSON object, for those who have them as data. A number is seconds, or a Unix time.
create function jobq.enqueue_with(
  kind text, args jsonb default '{}', options jsonb default null, out id bigint, out happened text
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  told record;
begin
  if coalesce(options, '{}') = '{}' then
    id := jobq.enqueue(kind, args);
    happened := 'enqueued';
    return;
  end if;
  told := jobq.put(kind, args, jobq.read_options(options));
  id := told.id;
  happened := told.happened;
end $$;
comment on function jobq.enqueue_with is 'Adds a job with the options of jobq.enqueue as a JSON object; its id and what happened. enqueued: it is a new job. followed, superseded: a new one, too, behind the one that runs, or instead of it. kept, replaced, debounced, appended: the id is that of the job that is there already, and now has the new arguments, the later time, or what was appended.

Durations are intervals as text or seconds, run_at is a time as text or Unix seconds.';

-- One key cannot be held by many jobs, so unique_key is only for a call with one element; unique_fields gives each its own.
create function jobq.put_many(kind text, args jsonb[], o jobq.job_options) returns table (id bigint, happened text)
language plpgsql as $$
#variable_conflict use_column
declare
  r record;
  due timestamptz;
  m jsonb;
  first bigint;                                        -- of limited jobs, the id before their first
  checked boolean;
begin
  if o.unique_key is not null and coalesce(cardinality(put_many.args), 0) <= 1 then
    return query select p.id, p.happened from unnest(put_many.args) a, jobq.put(put_many.kind, a, o) p;
    return;
  elsif o.unique_key is not null then
    raise 'unique_key % cannot be held by % jobs', jobq.shown(o.unique_key), cardinality(put_many.args)
      using errcode = 'invalid_parameter_value', hint = 'unique_fields gives each a key of its own';
  elsif o.unique_fields is not null then
    return query select p.id, p.happened from jobq.put_each(put_many.kind, put_many.args, o) p;
    return;
  end if;
  checked := jobq.check_options(put_many.kind, o);
  if o.expires_in is not null then                     -- each has a row beside it, for the sweep
    return query select p.id, p.happened from unnest(put_many.args) a, jobq.put(put_many.kind, a, o) p;
    return;
  end if;
  due := coalesce(o.run_at, now()) + coalesce(o.delay, '0');
  m := jobq.make_meta(o);
  r := jobq.route(put_many.kind, o.queue);
  first := case when r.limited then nextval('jobq.ready_id_seq') end;
  if o.batch is not null then
    checked := jobq.join_batch(o.batch, coalesce(cardinality(put_many.args), 0), o.batch_member);
  end if;
  return query
    insert into jobq.ready (run_at, lane_id, kind_id, priority, max_attempts, args, meta)
    select due, r.lane_id, r.kind_id, coalesce(o.priority, r.priority, 5), coalesce(o.max_attempts, r.max_attempts),
      case when b.body like '{%' and octet_length(b.body) <= 1048576 then b.body   -- no call for what is right
        else jobq.check_args(put_many.kind, a.args, format(' number %s ', a.number)) end::json, m
    from unnest(put_many.args) with ordinality a (args, number)
    cross join lateral (select coalesce(a.args, '{}')::text as body offset 0) b
    order by a.number
    returning ready.id, 'enqueued'::text;
  if first is not null and jobq.hold_back(array(      -- those of this transaction
      select j.id from jobq.ready j where j.id > first and j.kind_id = r.kind_id and j.created_at = now())) > 0 then
    null;
  elsif due <= now() + interval '1 hour' then
    perform jobq.wake(r.lane_id);
  end if;
end $$;
comment on function jobq.put_many is 'Adds jobs of one kind with any options; their ids in order, and what happened to each.';

create function jobq.enqueue_many(
  kind text, args jsonb[], queue text default null, priority int default null,
  run_at timestamptz default null, delay interval default null, max_attempts int default null,
  timeout interval default null, unique_key text default null, unique_for interval default null,
  tags text[] default null, batch bigint default null, batch_member bigint default null,
  expires_in interval default null, unique_fields text[] default null, unique_aligned boolean default null,
  unique_until text default null, on_conflict text default null, max_wait interval default null,
  limit_key text default null, cost int default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select p.id from jobq.put_many(kind, args,
    row(queue, priority, run_at, delay, max_attempts, timeout, unique_key, unique_for, tags, batch,
      batch_member, expires_in, unique_fields, unique_aligned, unique_until, on_conflict, max_wait,
      limit_key, cost)::jobq.job_options) p;
end $$;
comment on function jobq.enqueue_many is 'Adds one job per element of args, all with the same options; returns their ids in order.';

create function jobq.enqueue_many_with(kind text, args jsonb[], options jsonb default null)
returns table (id bigint, happened text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  return query select p.id, p.happened from jobq.put_many(kind, args, jobq.read_options(coalesce(options, '{}'))) p;
end $$;
comment on function jobq.enqueue_many_with is 'Adds one job per element of args, with options as jobq.enqueue_with takes them; their ids in order, and what happened to each.';
