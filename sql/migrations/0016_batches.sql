-- min_worker: 0.1.0
-- batches - jobs that belong together: how far they are, and a job more when all of them have ended.
--
--   open_batch --> open --close_batch--> closed --the last member ends--> ended
--
-- Nobody counts in the row of a batch while jobs end: settling only adds rows to batch_delta, and one worker at a time
-- folds them into the batch (advance_batches). That a batch has ended is decided there, after the commits, by whoever
-- holds the row: so it happens once, and what it means (callbacks, the end of a member of the parent) is in the same
-- transaction (docs/decisions/0039).
--
-- Who adds members holds the row of the batch FOR KEY SHARE until its COMMIT, which hinders nobody but the end of that
-- batch; advance passes over it and looks again. So no member comes to a batch that has ended, and nobody waits for a
-- caller's open transaction.

create table jobq.batch (
  id           bigint generated always as identity primary key,
  parent       bigint,                                 -- ends only after this one has: it is a member there
  created_at   timestamptz not null default now(),
  closed_at    timestamptz,                            -- since when only its running members may add more
  cancelled_at timestamptz,                            -- since when nobody may
  failed_at    timestamptz,                            -- when a member had failed for good for the first time
  ended_at     timestamptz,                            -- when all members had ended
  total        bigint not null default 0,
  succeeded    bigint not null default 0,
  failed       bigint not null default 0,
  cancelled    bigint not null default 0,
  expired      bigint not null default 0,
  deleted      bigint not null default 0,
  refire       boolean not null default false,         -- a member that is retried by hand opens it again
  ended_as     jobq.ending,
  name         text constraint batch_name_length check (length(name) between 1 and 200),
  callbacks    jsonb not null default '{}',            -- on_success and the like: {kind, args, options}
  called       jsonb not null default '{}',            -- the same names: the job that was added last for it
  constraint batch_parent_is_older check (parent < id),  -- so there is no circle
  constraint batch_ends_closed check (ended_at is null or closed_at is not null),
  constraint batch_end_is_known check ((ended_at is null) = (ended_as is null))
) with (
  fillfactor = 50,                                     -- a HOT update a second while it is worked on
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0
);
comment on table jobq.batch is 'Jobs that belong together; the view jobq.batch_status shows them. The counts lack what batch_delta says besides.';
create index batch_parent on jobq.batch (parent) where parent is not null;

-- What happened to members since the batch was folded last; a row for each batch and transaction. No index: it is read
-- as a whole, and short.
create table jobq.batch_delta (
  batch_id  bigint not null,
  at        timestamptz not null default now(),
  added     int not null default 0,
  succeeded int not null default 0,
  failed    int not null default 0,
  cancelled int not null default 0,
  expired   int not null default 0,
  deleted   int not null default 0,
  retried   int not null default 0                     -- by hand, after their end: one less of what they were
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);
comment on table jobq.batch_delta is 'What happened to members of batches and is not counted in jobq.batch yet.';

create function jobq.batch_ended(b jobq.batch) returns bigint
language sql immutable as $$
  select b.succeeded + b.failed + b.cancelled + b.expired + b.deleted
$$;
comment on function jobq.batch_ended is 'How many members have ended, by the counts of the row alone.';

-- Who opens, adds and closes -------------------------------------------------------------------------

-- A callback as it is stored, or an error that names what is wrong with it. Its options are those that cannot make the
-- worker that adds it wait for somebody. The kind gets its row here: making one could.
create function jobq.read_callback(event text, callback jsonb) returns jsonb
language plpgsql as $$
declare
  fields constant text[] := array['kind', 'args', 'options'];
  options constant text[] := array['delay', 'max_attempts', 'priority', 'queue', 'tags', 'timeout'];
  whole jsonb := case when jsonb_typeof(callback) = 'string' then jsonb_build_object('kind', callback) else callback end;
  o jobq.job_options;
  checked boolean;
  unknown text;
begin
  if jsonb_typeof(whole) <> 'object' or jsonb_typeof(whole -> 'kind') is distinct from 'string' then
    raise '% is %, expected the name of a kind, or {kind, args, options}', event, left(callback::text, 60)
      using errcode = 'invalid_parameter_value';
  end if;
  select k into unknown from jsonb_object_keys(whole) k where k <> all (fields) limit 1;
  if found then
    raise '% has an unknown field %', event, jobq.shown(unknown) using errcode = 'invalid_parameter_value',
      hint = 'known are ' || array_to_string(fields, ', ');
  end if;
  if octet_length(jobq.check_args(whole ->> 'kind', whole -> 'args', format(' of %s ', event))) > 1048576 - 4096 then
    raise 'arguments of % leave no room for what the batch says', event using errcode = 'program_limit_exceeded';
  elsif (whole -> 'args') ? 'batch' then
    raise 'args of % have a "batch", which is where the batch says what became of it', event
      using errcode = 'invalid_parameter_value';
  end if;
  select k into unknown from jsonb_object_keys(case when jsonb_typeof(whole -> 'options') = 'object' then whole -> 'options' end) k
    where k <> all (options) limit 1;
  if found then
    raise '% cannot have the option %', event, jobq.shown(unknown) using errcode = 'invalid_parameter_value',
      hint = 'callbacks have ' || array_to_string(options, ', ');
  end if;
  o := jobq.read_options(coalesce(whole -> 'options', '{}'));
  checked := jobq.check_options(whole ->> 'kind', o);
  perform jobq.route(whole ->> 'kind', o.queue);
  return whole;
end $$;
comment on function jobq.read_callback is 'A callback of a batch as it is stored; raises an error that names what is wrong with it.';

-- Whether that job is running, as a member of that batch.
create function jobq.runs_in_batch(job_id bigint, batch bigint) returns boolean
language sql stable as $$
  select exists (
    select from jobq.lease l
    where runs_in_batch.job_id = any (l.ids)
      and array_position(l.ids, runs_in_batch.job_id) <> all (l.done)
      and (l.jobs[array_position(l.ids, runs_in_batch.job_id)]).meta @> jsonb_build_object('batch', runs_in_batch.batch))
$$;
comment on function jobq.runs_in_batch is 'Whether a job is running as a member of a batch.';

-- Counts new members in, or raises because none may come. The lock comes first: what it finds stays so until COMMIT.
create function jobq.join_batch(batch bigint, many int, member bigint) returns boolean
language plpgsql as $$
declare
  b jobq.batch;
begin
  select t.* into b from jobq.batch t where t.id = batch for key share;
  if not found then
    raise 'batch % does not exist', batch using errcode = 'invalid_parameter_value';
  elsif b.ended_at is not null then
    raise 'batch % has ended, nothing can be added', batch using errcode = 'invalid_parameter_value';
  elsif b.cancelled_at is not null then
    raise 'batch % was cancelled, nothing can be added', batch using errcode = 'invalid_parameter_value';
  elsif b.closed_at is not null and not coalesce(jobq.runs_in_batch(member, batch), false) then
    raise 'batch % is closed, only a running job of it can add more', batch using errcode = 'invalid_parameter_value',
      hint = 'in a handler job.batch:enqueue does; in SQL batch_member => the id of that job';
  end if;
  if many > 0 then
    insert into jobq.batch_delta (batch_id, added) values (batch, many);
  end if;
  return true;
end $$;
comment on function jobq.join_batch is 'Counts new members into a batch, or raises an error that says why none can come.';

create function jobq.open_batch(
  name text default null, on_success jsonb default null, on_failure jsonb default null, on_complete jsonb default null,
  parent bigint default null, refire boolean default false, batch_member bigint default null
) returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  id bigint;
begin
  if length(name) not between 1 and 200 then
    raise 'name % has % characters, expected 1 to 200', jobq.shown(name), length(name)
      using errcode = 'invalid_parameter_value';
  end if;
  if parent is not null then
    perform jobq.join_batch(parent, 1, batch_member);
  end if;
  insert into jobq.batch (name, parent, refire, callbacks)
    select open_batch.name, open_batch.parent, coalesce(open_batch.refire, false),
      coalesce(jsonb_object_agg(c.event, jobq.read_callback(c.event, c.callback)), '{}')
    from (values ('on_success', on_success), ('on_failure', on_failure), ('on_complete', on_complete)) c (event, callback)
    where jsonb_typeof(c.callback) <> 'null'
    returning batch.id into id;
  return id;
end $$;
comment on function jobq.open_batch is 'Opens a batch and returns its id: the option batch of jobq.enqueue makes a job a member.

on_failure is added when the first member has failed for good, on_complete when all members have ended, on_success when all have completed: each the name of a kind, or an object {kind, args, options}. The job gets an argument batch: {id, name, event, total, succeeded, failed, cancelled, expired, deleted}. A batch with a parent is a member there. refire: members that are retried by hand open it again.';

create function jobq.close_batch(id bigint) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update jobq.batch b set closed_at = now() where b.id = close_batch.id and b.closed_at is null;
  if found then
    insert into jobq.batch_delta (batch_id) values (close_batch.id);   -- an empty one ends, too
    perform pg_notify('jobq_control', 'advance');
    return true;
  elsif exists (select from jobq.batch b where b.id = close_batch.id) then
    return false;
  end if;
  raise 'batch % does not exist', id using errcode = 'invalid_parameter_value';
end $$;
comment on function jobq.close_batch is 'Says that a batch has all its members, but for what running ones add; false if it was closed before.';

-- What becomes of members ----------------------------------------------------------------------------

create function jobq.tell_batches(moves jobq.move[]) returns void
language plpgsql as $$
begin
  insert into jobq.batch_delta (batch_id, succeeded, failed, cancelled, expired)
    select ((m.job).meta ->> 'batch')::bigint, count(*) filter (where m.outcome = 'completed'),
      count(*) filter (where m.outcome = 'failed'), count(*) filter (where m.outcome = 'cancelled' and not e.late),
      count(*) filter (where m.outcome = 'cancelled' and e.late)
    from unnest(moves) m
    cross join lateral (select m.outcome = 'cancelled' and (m.job).meta ? 'expires' and exists (
      select from jobq.finished_cancelled f where f.id = (m.job).id and jobq.has_expired(f.meta, f.error)) as late
      offset 0) e
    where m.outcome in ('completed', 'failed', 'cancelled') and (m.job).meta ? 'batch'
    group by 1;
  if found then
    perform pg_notify('jobq_control', 'advance');
  end if;
end $$;
comment on function jobq.tell_batches is 'Notes which members of batches have ended; part of jobq.follow_up.';

-- A member that had ended waits again, by hand.
create function jobq.return_to_batch(batch bigint, was jobq.ending, late boolean) returns void
language plpgsql as $$
begin
  insert into jobq.batch_delta (batch_id, succeeded, failed, cancelled, expired, retried)
    values (batch, -(was = 'completed')::int, -(was = 'failed')::int, -(was = 'cancelled' and not late)::int,
      -(was = 'cancelled' and late)::int, 1);
  perform pg_notify('jobq_control', 'advance');
end $$;
comment on function jobq.return_to_batch is 'Notes that a member which had ended waits again.';

-- Adds the job of an event, if the batch has one for it; what was called so far.
create function jobq.call_back(b jobq.batch, event text) returns jsonb
language plpgsql as $$
declare
  c jsonb := b.callbacks -> event;
  told record;
begin
  if c is null then
    return b.called;
  end if;
  told := jobq.put(c ->> 'kind',
    coalesce(c -> 'args', '{}') || jsonb_build_object('batch', jsonb_build_object(
      'id', b.id, 'name', b.name, 'event', event, 'total', b.total, 'succeeded', b.succeeded, 'failed', b.failed,
      'cancelled', b.cancelled, 'expired', b.expired, 'deleted', b.deleted)),
    jobq.read_options(coalesce(c -> 'options', '{}')));
  return b.called || jsonb_build_object(event, told.id);
end $$;
comment on function jobq.call_back is 'Adds the job of an event of a batch; what was called so far.';

-- A batch that has ended, or that a retry by hand opens again, is one member more or less of its parent.
create function jobq.tell_parent(b jobq.batch, many int) returns void
language sql as $$
  insert into jobq.batch_delta (batch_id, succeeded, failed, cancelled, retried)
  select b.parent, many * (b.ended_as = 'completed')::int, many * (b.ended_as = 'failed')::int,
    many * (b.ended_as = 'cancelled')::int, (many < 0)::int
  where b.parent is not null
$$;
comment on function jobq.tell_parent is 'Notes in the parent of a batch that it has ended, or has not after all.';

-- Counts what is there of one batch, and does what that means. True if it has ended now. The row is locked, then the
-- rows of batch_delta are read by a later statement: so they are all of those that came with members.
create function jobq.fold_batch(id bigint) returns boolean
language plpgsql as $$
declare
  b jobq.batch;
  d record;
  quiet boolean;                                       -- nobody is adding members
  ends boolean;
begin
  select t.* into b from jobq.batch t where t.id = fold_batch.id for no key update skip locked;
  if not found then
    delete from jobq.batch_delta t where t.batch_id = fold_batch.id
      and not exists (select from jobq.batch o where o.id = fold_batch.id);
    return false;
  end if;
  perform from jobq.batch t where t.id = fold_batch.id for update skip locked;
  quiet := found;
  with gone as (
    delete from jobq.batch_delta t where t.batch_id = fold_batch.id returning t.*
  )
  select coalesce(sum(g.added), 0) as added, coalesce(sum(g.succeeded), 0) as succeeded,
    coalesce(sum(g.failed), 0) as failed, coalesce(sum(g.cancelled), 0) as cancelled,
    coalesce(sum(g.expired), 0) as expired, coalesce(sum(g.deleted), 0) as deleted,
    coalesce(bool_or(g.failed > 0), false) as has_failed, coalesce(bool_or(g.retried > 0), false) as retried
    into d from gone g;
  b.total := b.total + d.added;
  b.succeeded := b.succeeded + d.succeeded;
  b.failed := b.failed + d.failed;
  b.cancelled := b.cancelled + d.cancelled;
  b.expired := b.expired + d.expired;
  b.deleted := b.deleted + d.deleted;
  if b.refire and d.retried and b.ended_at is not null then
    perform jobq.tell_parent(b, -1);
    b.ended_at := null;
    b.ended_as := null;
    b.failed_at := case when b.failed > 0 then b.failed_at end;
  end if;
  if b.failed_at is null and (d.has_failed or b.failed > 0) then
    b.failed_at := now();
    b.called := jobq.call_back(b, 'on_failure');
  end if;
  ends := b.closed_at is not null and b.ended_at is null and b.total = jobq.batch_ended(b);
  if ends and not quiet then
    insert into jobq.batch_delta (batch_id) values (b.id);   -- so that somebody looks again
  elsif ends then
    b.ended_at := now();
    b.ended_as := case when b.failed > 0 then 'failed' when b.total > b.succeeded then 'cancelled' else 'completed' end;
    b.called := jobq.call_back(b, 'on_complete');
    if b.ended_as = 'completed' then
      b.called := jobq.call_back(b, 'on_success');
    end if;
    perform jobq.tell_parent(b, 1);
  end if;
  update jobq.batch t set total = b.total, succeeded = b.succeeded, failed = b.failed, cancelled = b.cancelled,
      expired = b.expired, deleted = b.deleted, failed_at = b.failed_at, ended_at = b.ended_at, ended_as = b.ended_as,
      called = b.called
    where t.id = b.id;
  return ends and quiet;
end $$;
comment on function jobq.fold_batch is 'Counts what happened to members of a batch and does what that means; whether it has ended now.';

-- The batches that something happened to: since when, and whether it means something now.
create function jobq.batch_news() returns table (id bigint, oldest timestamptz, due boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select d.batch_id, d.oldest,
    b.id is null or d.failed > 0 and b.failed_at is null or d.retried > 0 and b.refire
      or b.closed_at is not null and b.ended_at is null and b.total + d.waiting = jobq.batch_ended(b)
  from (
    select t.batch_id, min(t.at) as oldest, max(t.failed) as failed, max(t.retried) as retried,
      sum(t.added - t.succeeded - t.failed - t.cancelled - t.expired - t.deleted) as waiting
    from jobq.batch_delta t group by 1) d
  left join jobq.batch b on b.id = d.batch_id
$$;
comment on function jobq.batch_news is 'Batches with news that are not counted yet: since when, and whether they end one or add a job.';

-- Batches whose news mean something now, or are a second old: so a busy one is updated once a second, not with each
-- settle. The end of one may be that of its parent, so it looks again after an end.
create function jobq.advance_batches() returns float8
language plpgsql as $$
declare
  most constant int := 1000;                           -- batches in a transaction, so that it is short
  id bigint;
  n int := 0;
  again boolean;
begin
  loop
    again := false;
    for id in
      select d.id from jobq.batch_news() d
      where d.due or d.oldest <= now() - interval '1 second'
      order by 1
      limit most - n
    loop
      n := n + 1;
      again := jobq.fold_batch(id) or again;
    end loop;
    exit when n >= most or not again;
  end loop;
  return case when n >= most then 0 when exists (select from jobq.batch_delta) then 1 end;
end $$;
comment on function jobq.advance_batches is 'Counts what happened to members of batches and ends batches; part of jobq.advance.';

-- A member that somebody deletes by hand tells nobody. In one snapshot all members of a batch that have not been told of
-- are waiting, running, or batches that have not ended: what lacks there was deleted. One at a time, or two count the
-- same one.
create function jobq.count_deleted_members(older_than interval default '1 hour') returns bigint
language plpgsql as $$
declare
  n bigint;
begin
  if not exists (select from jobq.batch b where b.ended_at is null and b.created_at < now() - older_than)
     or not pg_try_advisory_xact_lock(1785687410, 16) then
    return 0;
  end if;
  with delta as (
    select t.batch_id, sum(t.added - t.succeeded - t.failed - t.cancelled - t.expired - t.deleted) as waiting
    from jobq.batch_delta t group by 1
  ),
  present as (
    select p.id, count(*) as n
    from (
      select (r.meta ->> 'batch')::bigint as id from jobq.ready r where r.meta ? 'batch'
      union all
      select (j.meta ->> 'batch')::bigint
      from jobq.lease l, unnest(l.jobs) with ordinality
        as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
      where j.slot <> all (l.done) and j.meta ? 'batch'
      union all
      select b.parent from jobq.batch b where b.ended_at is null and b.parent is not null) p
    group by 1
  ),
  told as (
    insert into jobq.batch_delta (batch_id, deleted)
    select b.id, b.total - jobq.batch_ended(b) + coalesce(d.waiting, 0) - coalesce(p.n, 0)
    from jobq.batch b
    left join delta d on d.batch_id = b.id
    left join present p on p.id = b.id
    where b.ended_at is null and b.created_at < now() - older_than
      and b.total - jobq.batch_ended(b) + coalesce(d.waiting, 0) > coalesce(p.n, 0)
    returning deleted
  )
  select coalesce(sum(t.deleted), 0) into n from told t;
  if n > 0 then
    perform pg_notify('jobq_control', 'advance');
  end if;
  return n;
end $$;
comment on function jobq.count_deleted_members is 'Finds members of batches that were deleted by hand, so that their batches end; how many.';

-- Old ones go as jobs do. One that was never closed stays.
create function jobq.forget_batches(keep interval, keep_failed interval) returns bigint
language sql as $$
  with gone as (
    delete from jobq.batch b
    where b.id = any (array(
      select o.id from jobq.batch o
      where o.ended_at < now() - case when o.ended_as = 'completed' then keep else keep_failed end
      for update skip locked))
    returning b.id)
  select count(*) from gone
$$;
comment on function jobq.forget_batches is 'Deletes batches that ended long ago; how many.';

-- What people see and do -----------------------------------------------------------------------------

create view jobq.batch_status as
select b.id, b.name, b.parent,
  case when b.ended_at is not null then b.ended_as::text when b.cancelled_at is not null then 'cancelling'
    when b.closed_at is not null then 'closed' else 'open' end as status,
  c.total, c.done, c.succeeded, c.failed, c.cancelled, c.expired, c.deleted,
  case when b.ended_at is not null then 100 when c.total = 0 then 0 else floor(100.0 * c.done / c.total)::int end as percent,
  b.created_at, b.closed_at, b.cancelled_at, b.failed_at, b.ended_at, b.refire, b.callbacks, b.called
from jobq.batch b
left join (
  select t.batch_id, sum(t.added) as added, sum(t.succeeded) as succeeded, sum(t.failed) as failed,
    sum(t.cancelled) as cancelled, sum(t.expired) as expired, sum(t.deleted) as deleted
  from jobq.batch_delta t group by 1) d on d.batch_id = b.id
cross join lateral (
  select b.total + coalesce(d.added, 0) as total, b.succeeded + coalesce(d.succeeded, 0) as succeeded,
    b.failed + coalesce(d.failed, 0) as failed, b.cancelled + coalesce(d.cancelled, 0) as cancelled,
    b.expired + coalesce(d.expired, 0) as expired, b.deleted + coalesce(d.deleted, 0) as deleted) n
cross join lateral (
  select n.total, n.succeeded, n.failed, n.cancelled, n.expired, n.deleted,
    n.succeeded + n.failed + n.cancelled + n.expired + n.deleted as done) c;
comment on view jobq.batch_status is 'Every batch, and how far it is.';
comment on column jobq.batch_status.id is 'What jobq.open_batch answered.';
comment on column jobq.batch_status.name is 'For people, if it was given one.';
comment on column jobq.batch_status.parent is 'The batch that it is a member of.';
comment on column jobq.batch_status.status is 'open, closed (its members have not all ended), cancelling; completed, failed or cancelled when it has ended.';
comment on column jobq.batch_status.total is 'Members so far; a batch in it counts as one.';
comment on column jobq.batch_status.done is 'Members that have ended, however.';
comment on column jobq.batch_status.succeeded is 'Of these, the ones that completed.';
comment on column jobq.batch_status.failed is 'Of these, the ones that failed for good.';
comment on column jobq.batch_status.cancelled is 'Of these, the ones that were cancelled.';
comment on column jobq.batch_status.expired is 'Of these, the ones that did not start in time.';
comment on column jobq.batch_status.deleted is 'Of these, the ones that somebody deleted.';
comment on column jobq.batch_status.percent is 'Of the members, how many have ended: 0 to 100.';
comment on column jobq.batch_status.created_at is 'When it was opened.';
comment on column jobq.batch_status.closed_at is 'When it was closed.';
comment on column jobq.batch_status.cancelled_at is 'When somebody cancelled it.';
comment on column jobq.batch_status.failed_at is 'When it was seen that a member had failed for good.';
comment on column jobq.batch_status.ended_at is 'When it was seen that all members had ended.';
comment on column jobq.batch_status.refire is 'Whether members that are retried by hand open it again.';
comment on column jobq.batch_status.callbacks is 'What on_success, on_failure and on_complete add.';
comment on column jobq.batch_status.called is 'The jobs that were added for these.';

-- Cancels members of a batch and of the batches in it. Nothing can be added from the first call on. Call it, a
-- transaction each, with the last_id that it answers until that is null; a job may have gone back in line behind that,
-- so begin again until such a pass answers no jobs.
create function jobq.cancel_batch(
  id bigint, reason text default null, after_id bigint default 0, at_most int default 1000,
  out jobs bigint, out last_id bigint
)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tree bigint[];
  chosen bigint[];
  running bigint[];
begin
  with recursive t (id) as (
    select b.id from jobq.batch b where b.id = cancel_batch.id
    union all
    select b.id from t join jobq.batch b on b.parent = t.id
  )
  select array_agg(t.id order by t.id) into tree from t;
  if tree is null then
    raise 'batch % does not exist', cancel_batch.id using errcode = 'invalid_parameter_value';
  end if;
  with stopped as (
    update jobq.batch b set cancelled_at = now(), closed_at = coalesce(b.closed_at, now())
    where b.id = any (tree) and b.ended_at is null and b.cancelled_at is null
    returning b.id
  )
  insert into jobq.batch_delta (batch_id) select s.id from stopped s;
  select array_agg(j.id) into running
  from jobq.lease l, unnest(l.jobs) with ordinality
    as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
  where j.slot <> all (l.done) and (j.meta ->> 'batch')::bigint = any (tree)
    and j.id not in (select c.job_id from jobq.cancel_request c);
  select array_agg(r.id order by r.id) into chosen
  from (
    select r.id from jobq.ready r
    where r.id > after_id and (r.meta ->> 'batch')::bigint = any (tree)
    order by r.id limit at_most) r;
  perform jobq.cancel_many(running || chosen, coalesce(reason, format('batch %s was cancelled', cancel_batch.id)));
  perform pg_notify('jobq_control', 'advance');
  jobs := coalesce(cardinality(running), 0) + coalesce(cardinality(chosen), 0);
  last_id := case when cardinality(chosen) = at_most then chosen[at_most] end;
end $$;
comment on function jobq.cancel_batch is 'Cancels members of a batch and of those in it, a thousand at a time; how many jobs it found, and the last id: go on after it.';
