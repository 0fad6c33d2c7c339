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

-- Raises on the first option that cannot be; every message names the value and what was expected. It answers something
-- so that callers can assign it: plpgsql evaluates that directly, and runs a statement for PERFORM. For the same reason
-- the long expression has no subquery.
create function jobq.check_options(
  kind text, queue text, priority int, delay interval, run_at timestamptz, max_attempts int, timeout interval,
  unique_key text, unique_for interval, tags text[]
) returns boolean
language plpgsql stable as $$
declare
  wrong text;
  tag text;
begin
  wrong := case
    when kind is null or length(kind) not between 1 and 100 then
      format('kind %s has %s characters, expected 1 to 100', jobq.shown(kind), coalesce(length(kind), 0))
    when length(queue) not between 1 and 100 then
      format('queue %s has %s characters, expected 1 to 100', jobq.shown(queue), length(queue))
    when priority not between 0 and 9 then
      format('priority %s is out of range, expected 0 (soonest) to 9', priority)
    when delay < '0' then
      format('delay %s is negative', delay)
    when not isfinite(run_at) then
      format('run_at %s is not a point in time', run_at)
    when max_attempts not between 1 and 1000 then
      format('max_attempts %s is out of range, expected 1 to 1000', max_attempts)
    when timeout <= '0' or timeout > '366 days' then
      format('timeout %s is out of range, expected more than 0 and at most 366 days', timeout)
    when length(unique_key) not between 1 and 500 then
      format('unique_key %s has %s characters, expected 1 to 500', jobq.shown(unique_key), length(unique_key))
    when unique_for <= '0' then
      format('unique_for %s is out of range, expected more than 0', unique_for)
    when unique_for is not null and unique_key is null then
      format('unique_for %s has no unique_key to hold', unique_for)
    when array_ndims(tags) > 1 then
      format('tags has %s dimensions, expected a plain array', array_ndims(tags))
    when cardinality(tags) > 50 then
      format('tags has %s elements, expected at most 50', cardinality(tags))
  end;
  if wrong is null and tags is not null then
    foreach tag in array tags loop
      if tag is null or length(tag) not between 1 and 100 then
        wrong := format('tag %s has %s characters, expected 1 to 100', jobq.shown(tag), coalesce(length(tag), 0));
      end if;
    end loop;
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
  kind text, queue text, out kind_id int, out lane_id int, out priority smallint, out max_attempts smallint
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
    select k.id, k.queue_id, k.queue_id, k.apart, k.priority, k.max_attempts, k.declared_at is null
      into kind_id, home, target, alone, priority, max_attempts, follower
      from jobq.kind k where k.name = route.kind;
    if not found then
      perform jobq.make_route(route.kind, route.queue);
      continue;
    end if;
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
    exit when found;
    perform jobq.make_route(route.kind, route.queue);
  end loop;
end $$;
comment on function jobq.route is 'Where a job of that kind and queue waits, and what its kind says; makes names that are new.';

-- The rare part of route: a queue, kind or lane is new. Once a worker sees the lane, it claims from it.
create function jobq.make_route(kind text, queue text) returns void
language plpgsql as $$
#variable_conflict use_column
begin
  insert into jobq.queue (name) values (coalesce(make_route.queue, 'default')) on conflict do nothing;
  insert into jobq.kind (name, queue_id, apart)
    select make_route.kind, q.id, true from jobq.queue q where q.name = coalesce(make_route.queue, 'default')
    on conflict do nothing;
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

-- Takes the key for new_id, or returns the id of the job that holds it.
create function jobq.take_key(kind_id int, key text, hold interval, new_id bigint) returns bigint
language plpgsql as $$
declare
  holder bigint;
begin
  loop
    insert into jobq.unique_key as u (kind_id, key, job_id, until)
      values (take_key.kind_id, take_key.key, new_id, now() + hold)
      on conflict do nothing returning u.job_id into holder;
    exit when found;
    -- Somebody holds it. This is a new snapshot, so a holder that committed while we waited is seen.
    update jobq.unique_key u set job_id = new_id, until = now() + hold
      where u.kind_id = take_key.kind_id and u.key = take_key.key and u.until <= now()
      returning u.job_id into holder;
    exit when found;
    select u.job_id into holder from jobq.unique_key u
      where u.kind_id = take_key.kind_id and u.key = take_key.key;
    exit when found;                                   -- else: released in between, try again
  end loop;
  return holder;
end $$;
comment on function jobq.take_key is 'Takes a unique key for a job; returns the job that holds it, which may be another.';

-- What a job carries beside its arguments; null for a plain job. STABLE like what it calls: declared IMMUTABLE it could
-- not be inlined and would be planned at every call.
create function jobq.make_meta(unique_key text, tags text[], timeout interval) returns jsonb
language sql stable as $$
  select case when $1 is null and $2 is null and $3 is null then null
    else jsonb_strip_nulls(jsonb_build_object('unique', $1, 'tags', to_jsonb($2), 'timeout', extract(epoch from $3))) end
$$;
comment on function jobq.make_meta is 'What a job carries beside its arguments; null for a plain job.';

create function jobq.enqueue(
  kind text, args jsonb default '{}', queue text default null, priority int default null,
  run_at timestamptz default null, delay interval default null, max_attempts int default null,
  timeout interval default null, unique_key text default null, unique_for interval default null,
  tags text[] default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  new_id bigint;
  holder bigint;
  body text;
  due timestamptz;
  checked boolean;
begin
  checked := jobq.check_options(kind, queue, priority, delay, run_at, max_attempts, timeout, unique_key, unique_for, tags);
  body := jobq.check_args(kind, args, ' ');
  due := coalesce(run_at, now()) + coalesce(delay, '0');
  r := jobq.route(kind, queue);
  new_id := nextval('jobq.ready_id_seq');
  if unique_key is not null then
    holder := jobq.take_key(r.kind_id, unique_key, unique_for, new_id);
    if holder <> new_id then
      raise notice 'job % already holds unique_key %', holder, jobq.shown(unique_key);
      return holder;
    end if;
  end if;
  insert into jobq.ready (id, run_at, lane_id, kind_id, priority, max_attempts, args, meta)
    overriding system value
    values (new_id, due, r.lane_id, r.kind_id, coalesce(priority, r.priority, 5), coalesce(max_attempts, r.max_attempts),
            body::json, jobq.make_meta(unique_key, tags, timeout));
  if due <= now() + interval '1 hour' then             -- later ones are found by the poll, which is never longer
    perform jobq.wake(r.lane_id);
  end if;
  return new_id;
end $$;
comment on function jobq.enqueue is 'Adds a job and returns its id; with a unique_key held by a live job, returns that job''s id and says so in a notice.

args is a JSON object of at most 1 MiB. queue, priority (0 to 9, lower runs sooner), max_attempts and timeout are those of the kind where they are null. It runs not before run_at plus delay. unique_key is per kind and free when the job ends, or after unique_for. tags are for people, at most 50.';

-- One key cannot be held by many jobs, so unique_key is only for a call with one element; keys of their own for many
-- jobs would have to be taken in order, or two callers deadlock.
create function jobq.enqueue_many(
  kind text, args jsonb[], queue text default null, priority int default null,
  run_at timestamptz default null, delay interval default null, max_attempts int default null,
  timeout interval default null, unique_key text default null, unique_for interval default null,
  tags text[] default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  due timestamptz;
  m jsonb;
  checked boolean;
begin
  if unique_key is not null and coalesce(cardinality(args), 0) <= 1 then
    return query
      select jobq.enqueue(enqueue_many.kind, a, enqueue_many.queue, enqueue_many.priority, enqueue_many.run_at,
        enqueue_many.delay, enqueue_many.max_attempts, enqueue_many.timeout, enqueue_many.unique_key,
        enqueue_many.unique_for, enqueue_many.tags)
      from unnest(enqueue_many.args) a;
    return;
  elsif unique_key is not null then
    raise 'unique_key % cannot be held by % jobs', jobq.shown(unique_key), cardinality(args)
      using errcode = 'invalid_parameter_value', hint = 'call jobq.enqueue once for each, with a key of its own';
  end if;
  checked := jobq.check_options(kind, queue, priority, delay, run_at, max_attempts, timeout, null, unique_for, tags);
  due := coalesce(run_at, now()) + coalesce(delay, '0');
  m := jobq.make_meta(null, tags, timeout);
  r := jobq.route(kind, queue);
  return query
    insert into jobq.ready (run_at, lane_id, kind_id, priority, max_attempts, args, meta)
    select due, r.lane_id, r.kind_id, coalesce(enqueue_many.priority, r.priority, 5),
      coalesce(enqueue_many.max_attempts, r.max_attempts),
      case when b.body like '{%' and octet_length(b.body) <= 1048576 then b.body   -- no call for what is right
        else jobq.check_args(enqueue_many.kind, a.args, format(' number %s ', a.number)) end::json, m
    from unnest(enqueue_many.args) with ordinality a (args, number)
    cross join lateral (select coalesce(a.args, '{}')::text as body offset 0) b
    order by a.number
    returning ready.id;
  if due <= now() + interval '1 hour' then
    perform jobq.wake(r.lane_id);
  end if;
end $$;
comment on function jobq.enqueue_many is 'Adds one job per element of args, all with the same options; returns their ids in order.';
