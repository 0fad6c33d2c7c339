-- min_worker: 0.1.0
-- unique - of the jobs of a kind with one key, one is there at a time.
--
--   unique_key row                 | made by     | gone when
--   turn 0, held                   | enqueue     | its job has ended, is claimed (start), has completed (succeeded)
--   turn 0, held, until            | enqueue     | that, and the period is over
--   turn 0, not held, until        | enqueue     | the period is over, whatever became of the job
--   turn 1: the follower, parked   | enqueue     | it becomes turn 0, when that is gone (promote_key)
--
-- A job holds its key from the transaction that makes it to the one that ends it, whatever that is. With 'succeeded'
-- a failed job still holds it: until it is retried and completes, is deleted, or somebody enqueues with anything but
-- 'keep', who takes it over. With 'start' a job that comes back (retry, return, recovery) does not take it again; one that
-- is retried by hand does.
--
-- What happens when the key is taken (on_conflict):
--
--              | the holder waits                      | it runs                             | it has failed
--   keep       | kept                                  | kept                                | kept
--   replace    | its arguments, and what else is given | a follower waits, or has the newest | a new job takes the key
--   debounce   | the same, and it is put off           | the same                            | the same
--   append     | arrays are appended to its arguments  | the same                            | the same
--   follow     | as replace                            | the same                            | the same
--   supersede  | it is cancelled for a new job         | it is asked to stop, then the same  | the same
--
-- In a period (unique_for) one job begins: who finds the key taken by one that does not wait any more is answered with
-- that.
--
-- Locks. An enqueue's transaction may stay open for hours, so settling and advance must never wait for what it holds.
-- It holds: rows of unique_key that it made; the rows in parked and ready, in this order, of a waiting job that it
-- changed; the row of a failed job whose key it took over. Who ends a job deletes only rows of unique_key that the job
-- holds, and those are locked by nobody else; the follower's row is changed only by who has locked its row in parked,
-- which is never waited for (SKIP LOCKED).
--
-- So a follower may miss the end of its holder: it was not committed yet, or somebody was just changing it. That is
-- what unique_check is for: each such transaction leaves a row there, and advance looks again (docs/decisions/0036).

create table jobq.unique_check (
  at      timestamptz not null default now(),
  kind_id int not null,
  key     text not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);
comment on table jobq.unique_check is 'Keys whose follower may have missed the end of their holder; jobq.advance looks after them.';

-- What is wrong with the options for unique jobs; null: nothing.
create function jobq.wrong_unique(o jobq.job_options) returns text
language plpgsql stable as $$
declare
  ways constant text[] := array['keep', 'replace', 'debounce', 'append', 'follow', 'supersede'];
  first text;                                          -- the first option that needs a key
begin
  first := case
    when o.unique_for is not null then 'unique_for ' || o.unique_for
    when o.unique_until is not null then 'unique_until ' || jobq.shown(o.unique_until)
    when o.on_conflict is not null then 'on_conflict ' || jobq.shown(o.on_conflict)
    when o.max_wait is not null then 'max_wait ' || o.max_wait
    when o.unique_aligned is not null then 'unique_aligned ' || o.unique_aligned end;
  return case
    when length(o.unique_key) not between 1 and 500 then
      format('unique_key %s has %s characters, expected 1 to 500', jobq.shown(o.unique_key), length(o.unique_key))
    when o.unique_key is not null and o.unique_fields is not null then
      format('unique_key %s and unique_fields %s: expected one of them', jobq.shown(o.unique_key), o.unique_fields)
    when array_ndims(o.unique_fields) > 1 or cardinality(o.unique_fields) not between 1 and 50 then
      format('unique_fields %s, expected a plain array of 1 to 50 names', o.unique_fields)
    when array_position(o.unique_fields, null) is not null then
      format('unique_fields %s, expected no null', o.unique_fields)
    when o.unique_for <= '0' then
      format('unique_for %s is out of range, expected more than 0', o.unique_for)
    when first is not null and o.unique_key is null and o.unique_fields is null then
      format('%s has no unique_key to hold', first)
    when o.unique_aligned and o.unique_for is null then
      'unique_aligned has no unique_for to align'
    when o.unique_aligned and extract(year from o.unique_for) * 12 + extract(month from o.unique_for) > 0 then
      format('unique_for %s cannot be aligned, expected weeks, days, hours, minutes or seconds', o.unique_for)
    when o.unique_until not in ('start', 'finished', 'succeeded') then
      format('unique_until %s is unknown, expected start, finished or succeeded', jobq.shown(o.unique_until))
    when o.on_conflict <> all (ways) then
      format('on_conflict %s is unknown, expected %s', jobq.shown(o.on_conflict), array_to_string(ways, ', '))
    when o.on_conflict in ('follow', 'supersede') and o.unique_for is not null then
      format('on_conflict %s cannot go with unique_for %s: in that time one job begins', jobq.shown(o.on_conflict),
        o.unique_for)
    when o.on_conflict = 'debounce' and o.delay is null and o.run_at is null then
      'on_conflict "debounce" has neither delay nor run_at: nothing to put it off to'
    when o.max_wait is not null and o.on_conflict is distinct from 'debounce' then
      format('max_wait %s is only for on_conflict "debounce"', o.max_wait)
    when o.max_wait <= '0' then
      format('max_wait %s is out of range, expected more than 0', o.max_wait) end;
end $$;
comment on function jobq.wrong_unique is 'What is wrong with the options for unique jobs; null if nothing is.';

-- The names are part of the key, and jsonb has one order and one spelling for them. A number is as it was written: 1.0
-- is not 1.
create function jobq.key_of(kind text, args jsonb, fields text[], place text) returns text
language plpgsql immutable as $$
declare
  field text;
  chosen jsonb := '{}';
begin
  foreach field in array fields loop
    if args ? field is not true then
      raise 'unique_fields: arguments%of % have no field %', place, jobq.shown(kind), jobq.shown(field)
        using errcode = 'invalid_parameter_value',
        hint = 'they have ' || coalesce((select string_agg(k, ', ' order by k) from jsonb_object_keys(args) k), 'none');
    end if;
    chosen := chosen || jsonb_build_object(field, args -> field);
  end loop;
  return encode(sha256(convert_to(chosen::text, 'UTF8')), 'hex');
end $$;
comment on function jobq.key_of is 'The unique key that fields of a job''s arguments make.';

-- Slots are counted from a Monday, 00:00 UTC, so that days, weeks and hours begin as the clock says.
create function jobq.period_end(hold interval, aligned boolean) returns timestamptz
language plpgsql stable as $$
declare
  monday constant float8 := 978307200;                 -- 2001-01-01 00:00 UTC
  seconds float8 := extract(epoch from hold);
begin
  return case when aligned
    then to_timestamp(monday + (floor((extract(epoch from now()) - monday) / seconds) + 1) * seconds)
    else now() + hold end;
end $$;
comment on function jobq.period_end is 'When a period that begins now is over.';

-- Takes the key for new_id, or returns the id of the job that holds it.
create function jobq.take_key(kind_id int, key text, until timestamptz, held boolean, new_id bigint) returns bigint
language plpgsql as $$
declare
  holder bigint;
begin
  loop
    insert into jobq.unique_key as u (kind_id, key, job_id, until, held)
      values (take_key.kind_id, take_key.key, new_id, take_key.until, take_key.held)
      on conflict do nothing returning u.job_id into holder;
    exit when found;
    -- Somebody holds it. This is a new snapshot, so a holder that committed while we waited is seen.
    update jobq.unique_key u set job_id = new_id, until = take_key.until, held = take_key.held
      where u.kind_id = take_key.kind_id and u.key = take_key.key and u.turn = 0 and u.until <= now() and not u.held
      returning u.job_id into holder;
    exit when found;
    select u.job_id into holder from jobq.unique_key u
      where u.kind_id = take_key.kind_id and u.key = take_key.key and u.turn = 0;
    exit when found;                                   -- else: released in between, try again
  end loop;
  return holder;
end $$;
comment on function jobq.take_key is 'Takes a unique key for a job; returns the job that holds it, which may be another.';

-- Arrays grow, anything else is as the newer arguments say. The fields that make the key are the same in both.
create function jobq.append_args(args jsonb, more jsonb, fields text[]) returns jsonb
language sql immutable as $$
  select args || coalesce(jsonb_object_agg(n.key,
    case when jsonb_typeof(n.value) = 'array' and jsonb_typeof(args -> n.key) = 'array' then (args -> n.key) || n.value
      else n.value end), '{}')
  from jsonb_each(more) n
  where n.key <> all (coalesce(fields, '{}'))
$$;
comment on function jobq.append_args is 'A job''s arguments with the arrays of newer ones appended.';

-- One that has done steps and waits between two of them runs, as far as its arguments go.
create function jobq.has_not_begun(id bigint) returns boolean
language plpgsql stable as $$
begin
  return exists (select from jobq.ready r where r.id = has_not_begun.id)
    and not exists (select from jobq.step s where s.job_id = has_not_begun.id);
end $$;
comment on function jobq.has_not_begun is 'Whether a job waits and has done no step yet.';

-- Gives a waiting job what a newer call says. False if it does not wait any more.
--
-- The row in parked comes first: who unparks passes over one that is locked instead of waiting for it.
create function jobq.renew(id bigint, kind_id int, o jobq.job_options, body text, due timestamptz) returns boolean
language plpgsql as $$
declare
  p jobq.parked;
  r jobq.ready;
  was timestamptz;                                     -- due
  parked boolean;
begin
  select q.* into p from jobq.parked q where q.job_id = renew.id for update;
  parked := found;
  select q.* into r from jobq.ready q where q.id = renew.id for update;
  if not found or not jobq.has_not_begun(id) then
    return false;
  end if;
  was := case when parked then p.due else r.run_at end;
  if o.on_conflict = 'debounce' then
    due := greatest(was, least(due, r.created_at + o.max_wait));
  elsif o.on_conflict = 'append' or num_nonnulls(o.run_at, o.delay) = 0 then
    due := was;
  end if;
  if o.on_conflict = 'append' then
    body := jobq.append_args(r.args::jsonb, body::jsonb, o.unique_fields);
    if octet_length(body) > 1048576 then
      raise 'arguments of job % would take % bytes with what is appended, the limit is 1048576', id, octet_length(body)
        using errcode = 'program_limit_exceeded';
    end if;
  end if;
  if parked then
    update jobq.parked q set due = renew.due, priority = coalesce(o.priority, q.priority) where q.job_id = renew.id;
    perform jobq.check_key(renew.kind_id, o.unique_key);
  else
    perform jobq.wake(r.lane_id);                      -- a claim may have passed over it while it was locked
  end if;
  if due <> was and r.meta ? 'expires_in' then
    r.meta := jobq.expire_from(r.meta, due);
    perform jobq.note_expiry(array[id], r.meta);
  end if;
  update jobq.ready q
    set args = body::json, priority = coalesce(o.priority, q.priority), meta = r.meta,
      run_at = case when q.run_at = 'infinity' then q.run_at else renew.due end
    where q.id = renew.id;
  perform jobq.limit_edited(array[id], due <> was);
  return true;
end $$;
comment on function jobq.renew is 'Gives a waiting job the arguments and the time of a newer call; false if it does not wait.';

-- What parked a job could not unpark it while it was locked: advance looks again.
create function jobq.check_key(kind_id int, key text) returns void
language plpgsql as $$
begin
  insert into jobq.unique_check (kind_id, key) values (check_key.kind_id, check_key.key);
  perform pg_notify('jobq_control', 'advance');
end $$;
comment on function jobq.check_key is 'Has jobq.advance look after a key once this transaction has ended.';

-- Takes a key over from a job that has failed. False if it has not, or not any more.
create function jobq.take_over(kind_id int, o jobq.job_options, holder bigint, new_id bigint) returns boolean
language plpgsql as $$
begin
  perform from jobq.finished f where f.id = holder and f.status in ('failed', 'cancelled') for update;
  if found then
    update jobq.unique_key u set job_id = new_id, until = jobq.period_end(o.unique_for, o.unique_aligned),
        held = o.unique_until is not null or o.unique_for is null
      where u.kind_id = take_over.kind_id and u.key = o.unique_key and u.turn = 0 and u.job_id = holder;
  end if;
  return found;
end $$;
comment on function jobq.take_over is 'Takes a unique key over from a job that has failed; false if there is no such job.';

-- Makes the new job the follower of a key, or gives the one that is there what is newer. id is null when that has just
-- left its place.
create function jobq.take_second_turn(
  kind_id int, o jobq.job_options, body text, due timestamptz, new_id bigint, out id bigint, out happened text
)
language plpgsql as $$
begin
  insert into jobq.unique_key as u (kind_id, key, turn, job_id)
    values (take_second_turn.kind_id, o.unique_key, 1, new_id)
    on conflict do nothing returning u.job_id into id;
  if found then
    perform jobq.check_key(take_second_turn.kind_id, o.unique_key);
    happened := 'followed';
    return;
  end if;
  select u.job_id into id from jobq.unique_key u
    where u.kind_id = take_second_turn.kind_id and u.key = o.unique_key and u.turn = 1;
  if found and not jobq.renew(id, take_second_turn.kind_id, o, body, due) then
    id := null;
  end if;
  happened := case o.on_conflict when 'debounce' then 'debounced' when 'append' then 'appended' else 'replaced' end;
end $$;
comment on function jobq.take_second_turn is 'Makes a job the follower of a unique key, or renews the one that is.';

-- Finds a new job its place with a key. turn: 0, it holds it; 1, it has to be parked behind the holder; null: there is
-- no new job, the id is that of another.
--
-- Each round decides on what it sees and makes sure of it with a lock. What has changed meanwhile makes another round.
create function jobq.take_turn(
  kind_id int, o jobq.job_options, body text, due timestamptz, new_id bigint, out id bigint, out happened text,
  out turn smallint
)
language plpgsql as $$
declare
  most constant int := 1000;                           -- rounds; nobody ever saw ten
  way text := coalesce(o.on_conflict, 'keep');
  until timestamptz := jobq.period_end(o.unique_for, o.unique_aligned);
  held boolean := o.unique_until is not null or o.unique_for is null;
  h jobq.unique_key;
  second record;
begin
  happened := 'enqueued';
  for round in 1..most loop
    id := jobq.take_key(kind_id, o.unique_key, until, held, new_id);
    if id = new_id then
      turn := 0;
      return;
    elsif way = 'keep' then
      happened := 'kept';
      return;
    elsif way <> 'supersede' and jobq.renew(id, kind_id, o, body, due) then
      happened := case way when 'debounce' then 'debounced' when 'append' then 'appended' else 'replaced' end;
      return;
    end if;
    select u.* into h from jobq.unique_key u
      where u.kind_id = take_turn.kind_id and u.key = o.unique_key and u.turn = 0 and u.job_id = take_turn.id;
    if h.until > now() then
      happened := 'kept';
      return;
    end if;
    continue when h.job_id is null;                    -- it began, with 'start', or ended
    if way = 'supersede' then
      -- Locked before it is cancelled: a wish for one that began just now would be written in the wrong order.
      perform from jobq.parked p where p.job_id = h.job_id for update;
      perform from jobq.ready r where r.id = h.job_id for update;
      if found then
        perform jobq.cancel(h.job_id, 'superseded by job ' || new_id);
        happened := 'superseded';
        continue;
      end if;
    end if;
    if jobq.take_over(kind_id, o, h.job_id, new_id) then
      id := new_id;
      turn := 0;
      return;
    end if;
    -- While we waited for those locks it may have lost the key, or come back to wait.
    continue when jobq.has_not_begun(h.job_id) or not exists (
      select from jobq.unique_key u
      where u.kind_id = take_turn.kind_id and u.key = o.unique_key and u.turn = 0 and u.job_id = h.job_id);
    second := jobq.take_second_turn(kind_id, o, body, due, new_id);
    continue when second.id is null;
    if way = 'supersede' then
      perform jobq.cancel(h.job_id, 'superseded by job ' || second.id);
      second.happened := 'superseded';
    end if;
    id := second.id;
    happened := second.happened;
    turn := case when id = new_id then 1 end;
    return;
  end loop;
  raise 'unique_key % changes hands all the time', jobq.shown(o.unique_key) using errcode = 'serialization_failure';
end $$;
comment on function jobq.take_turn is 'Finds a new job its place with a unique key, or the job that is there instead, and says what happened.';

-- Jobs with keys of their own, one by one. In the order of the keys: two callers who took them in different orders would
-- wait for each other.
create function jobq.put_each(kind text, args jsonb[], o jobq.job_options) returns table (id bigint, happened text)
language plpgsql as $$
#variable_conflict use_column
declare
  e record;
  p record;
  checked boolean := jobq.check_options(put_each.kind, o);
  ids bigint[];
  words text[];
begin
  for e in
    select k.* from (
      select a.args, a.number, jobq.key_of(put_each.kind, b.body::jsonb, o.unique_fields, b.place) as key
      from unnest(put_each.args) with ordinality a (args, number)
      cross join lateral (
        select format(' number %s ', a.number) as place,
          jobq.check_args(put_each.kind, a.args, format(' number %s ', a.number)) as body offset 0) b
    ) k
    order by k.key collate "C", k.number
  loop
    p := jobq.put(put_each.kind, e.args, o);
    ids[e.number] := p.id;
    words[e.number] := p.happened;
  end loop;
  return query select * from unnest(ids, words);
end $$;
comment on function jobq.put_each is 'Adds jobs of one kind, each with the unique key that its arguments make.';

-- The other end -------------------------------------------------------------------------------------

-- Lets the follower of a key take it, unless somebody holds it. False: somebody is at it, look again.
--
-- A holder that is ending has its row locked: if its end is not to be seen yet, the lock is.
create function jobq.promote_key(kind_id int, key text) returns boolean
language plpgsql as $$
declare
  h jobq.unique_key;
  follower bigint;
begin
  perform from jobq.unique_key u where u.kind_id = promote_key.kind_id and u.key = promote_key.key and u.turn = 0;
  if found then
    select u.* into h from jobq.unique_key u
      where u.kind_id = promote_key.kind_id and u.key = promote_key.key and u.turn = 0
      for update skip locked;
    if not found then
      return false;
    elsif h.held and not exists (
      select from jobq.finished f where f.id = h.job_id and f.status in ('failed', 'cancelled')
    ) then
      return true;                                     -- it will find its follower when it ends
    end if;
  end if;
  select u.job_id into follower from jobq.unique_key u
    where u.kind_id = promote_key.kind_id and u.key = promote_key.key and u.turn = 1;
  if not found then
    return true;
  end if;
  perform from jobq.parked p where p.job_id = follower for update skip locked;
  if not found then
    return false;
  end if;
  delete from jobq.unique_key u
    where u.kind_id = promote_key.kind_id and u.key = promote_key.key and u.turn = 0;
  update jobq.unique_key u set turn = 0
    where u.kind_id = promote_key.kind_id and u.key = promote_key.key and u.turn = 1;
  perform jobq.unpark(array[follower]);
  return true;
end $$;
comment on function jobq.promote_key is 'Lets the follower of a unique key take it if nobody holds it; false: look again.';

-- After the statement that released the keys, because it has to see followers that were committed until then. A
-- transaction with one snapshot for all its statements cannot, so it has advance look.
create function jobq.promote_all(kind_ids int[], keys text[]) returns void
language plpgsql as $$
declare
  k record;
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    insert into jobq.unique_check (kind_id, key) select * from unnest(kind_ids, keys);
    perform pg_notify('jobq_control', 'advance');
    return;
  end if;
  for k in
    select u.kind_id, u.key
    from unnest(kind_ids, keys) t (kind_id, key)
    join jobq.unique_key u on u.kind_id = t.kind_id and u.key = t.key and u.turn = 1
  loop
    if not jobq.promote_key(k.kind_id, k.key) then
      perform jobq.check_key(k.kind_id, k.key);
    end if;
  end loop;
end $$;
comment on function jobq.promote_all is 'Lets the followers of keys that were just released take them.';

-- Jobs ended: their keys are free, or have only their period left. Those that stay, because their job has failed but was
-- to succeed, are locked all the same: see promote_key.
create function jobq.release_keys(moves jobq.move[]) returns void
language plpgsql as $$
declare
  kind_ids int[];
  keys text[];
  more_kind_ids int[];
  more_keys text[];
begin
  with ended as (
    select (m.job).id, (m.job).kind_id, (m.job).meta ->> 'unique' as key
    from unnest(moves) m
    where m.outcome in ('completed', 'failed', 'cancelled') and (m.job).meta ? 'unique'
      and not (m.outcome = 'failed' and (m.job).meta @> '{"unique_until": "succeeded"}')
  ),
  released as (
    delete from jobq.unique_key u using ended e
    where u.kind_id = e.kind_id and u.key = e.key and u.job_id = e.id and u.held
      and (u.until is null or u.until <= clock_timestamp())
    returning u.kind_id, u.key
  )
  select array_agg(r.kind_id), array_agg(r.key) into kind_ids, keys from released r;
  if exists (select from unnest(moves) m where (m.job).meta ? 'unique_until') then
    with ended as (
      select (m.job).id, (m.job).kind_id, (m.job).meta ->> 'unique' as key,
        m.outcome = 'failed' and (m.job).meta @> '{"unique_until": "succeeded"}' as keeps
      from unnest(moves) m
      where m.outcome in ('completed', 'failed', 'cancelled') and (m.job).meta ? 'unique_until'
    ),
    kept as (
      update jobq.unique_key u set held = e.keeps from ended e
      where u.kind_id = e.kind_id and u.key = e.key and u.job_id = e.id and u.held
      returning u.kind_id, u.key
    )
    select array_agg(k.kind_id), array_agg(k.key) into more_kind_ids, more_keys from kept k;
  end if;
  if kind_ids is not null or more_kind_ids is not null then
    perform jobq.promote_all(kind_ids || more_kind_ids, keys || more_keys);
  end if;
end $$;
comment on function jobq.release_keys is 'Releases the unique keys of jobs that ended, and lets their followers take them.';

-- Jobs that hold their keys until they start are claimed. Called by the claim, in its statement, for these alone.
create function jobq.start_keys(jobs jobq.ready[]) returns int
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  kind_ids int[];
  keys text[];
begin
  with released as (
    delete from jobq.unique_key u
    using unnest(jobs) j
    where u.kind_id = j.kind_id and u.key = j.meta ->> 'unique' and u.job_id = j.id and u.until is null
    returning u.kind_id, u.key
  )
  select array_agg(r.kind_id), array_agg(r.key) into kind_ids, keys from released r;
  update jobq.unique_key u set held = false
    from unnest(jobs) j
    where u.kind_id = j.kind_id and u.key = j.meta ->> 'unique' and u.job_id = j.id and u.held;
  if kind_ids is not null then
    perform jobq.promote_all(kind_ids, keys);
  end if;
  return coalesce(cardinality(keys), 0);
end $$;
comment on function jobq.start_keys is 'Releases the unique keys of jobs that hold them until they start; how many.';

-- What advance does for keys. An open transaction may be about to take one: that is not worth waiting for.
create function jobq.promote_followers() returns float8
language plpgsql set lock_timeout = '10ms' as $$
declare
  again constant float8 := 0.5;
  c record;
  done boolean;
  left_over boolean := false;
begin
  for c in
    select k.kind_id, k.key, array_agg(k.ctid) as rows from jobq.unique_check k group by k.kind_id, k.key
  loop
    begin
      done := jobq.promote_key(c.kind_id, c.key);
    exception when lock_not_available or unique_violation then   -- somebody takes it, or just has
      done := false;
    end;
    if done then
      delete from jobq.unique_check k where k.ctid = any (c.rows);
    end if;
    left_over := left_over or not done;
  end loop;
  return case when left_over then again end;
end $$;
comment on function jobq.promote_followers is 'Lets followers go that missed the end of their holder; seconds until it wants to be called again.';

-- What a follower waits for.
create function jobq.why_follows(job jobq.job) returns table (code text, words text, hint text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  holder bigint;
begin
  select u.job_id into holder from jobq.unique_key u join jobq.kind k on k.id = u.kind_id
    where k.name = job.kind and u.key = job.meta ->> 'unique' and u.turn = 0;
  return query select 'unique', case when holder is null
    then format('its unique key %s is free: it goes in line within a second', jobq.shown(job.meta ->> 'unique'))
    else format('it follows job %s, which holds its unique key %s', holder, jobq.shown(job.meta ->> 'unique')) end,
    case when holder is not null then format('jobq why %s says how that is', holder) end;
end $$;
comment on function jobq.why_follows is 'Why a job waits for the end of another with its unique key.';
