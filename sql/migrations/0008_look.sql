-- min_worker: 0.1.0
-- look - all jobs as one relation with five statuses, one job by id, its attempts; workers; log lines.
--
-- A branch for each status, as a constant: the planner drops those that a filter on status excludes. All columns have
-- the same types in each and only leases, which are few, are more than a plain table: so a list by id is read from the
-- ends of the indexes on id, and stops at its limit (2 s otherwise, with a million jobs). A filter on id is an index probe in ready, one in each partition, and
-- an unpacking of every lease: for one job ask jobq.find.
create view jobq.job as
select j.id, k.name as kind, q.name as queue, j.status, j.priority, j.attempt,
  coalesce(j.max_attempts, k.max_attempts, 3::smallint) as max_attempts, j.run_at, j.created_at,
  j.started_at, j.finished_at, j.worker_id, j.args, j.error, j.result,
  array(select jsonb_array_elements_text(j.meta -> 'tags')) as tags, j.meta,
  j.progress, j.progress_message, j.progress_at
from (
  select r.id, r.lane_id, r.kind_id, 'pending'::text as status, r.priority, r.attempt, r.max_attempts,
    case when r.run_at < 'infinity' then r.run_at
      else (select nullif(p.due, 'infinity') from jobq.parked p where p.job_id = r.id) end as run_at,
    r.created_at, null::timestamptz as started_at, null::timestamptz as finished_at, null::bigint as worker_id, r.args,
    null::text as error, null::json as result, r.meta,
    null::float8 as progress, null::text as progress_message, null::timestamptz as progress_at
  from jobq.ready r
  union all
  select j.id, j.lane_id, j.kind_id, 'processing'::text, j.priority, (j.attempt + 1)::smallint, j.max_attempts, j.run_at,
    j.created_at, l.claimed_at, null::timestamptz, l.worker_id, j.args, null::text, null::json, j.meta,
    p.fraction, p.message, p.at
  from jobq.lease l
  cross join unnest(l.jobs) with ordinality
    as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
  left join jobq.progress p on p.worker_id = l.worker_id and p.seq = l.seq and p.slot = j.slot
  where j.slot <> all (l.done)
  union all
  select f.id, f.lane_id, f.kind_id, 'completed'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta,
    null::float8, null::text, null::timestamptz
  from jobq.finished_completed f
  union all
  select f.id, f.lane_id, f.kind_id, 'failed'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta,
    null::float8, null::text, null::timestamptz
  from jobq.finished_failed f
  union all
  select f.id, f.lane_id, f.kind_id, 'cancelled'::text, f.priority, f.attempt, f.max_attempts, f.run_at, f.created_at,
    f.started_at, f.finished_at, f.worker_id, f.args, f.error, f.result, f.meta,
    null::float8, null::text, null::timestamptz
  from jobq.finished_cancelled f
) j
join jobq.lane l on l.id = j.lane_id
join jobq.queue q on q.id = l.queue_id
join jobq.kind k on k.id = j.kind_id;
comment on view jobq.job is 'Every job, wherever it is kept.';
comment on column jobq.job.id is 'Ascending, with gaps; never used twice.';
comment on column jobq.job.kind is 'What the job is, e.g. email.send.';
comment on column jobq.job.queue is 'Where it waits, or waited.';
comment on column jobq.job.status is 'pending, processing, completed, failed or cancelled.';
comment on column jobq.job.priority is '0 to 9; lower runs sooner.';
comment on column jobq.job.attempt is 'Runs that have counted, the present one included.';
comment on column jobq.job.max_attempts is 'After so many failed runs it has failed.';
comment on column jobq.job.run_at is 'When it is, or was, due; null: when an event comes.';
comment on column jobq.job.created_at is 'When it was enqueued: the time of that transaction.';
comment on column jobq.job.started_at is 'When its last run was claimed; null while it waits.';
comment on column jobq.job.finished_at is 'When it ended; null before that.';
comment on column jobq.job.worker_id is 'The worker that runs it, or ran it last; see jobq.worker_status.';
comment on column jobq.job.args is 'Its arguments, a JSON object.';
comment on column jobq.job.error is 'Why it failed or was cancelled, with the traceback.';
comment on column jobq.job.result is 'What its handler gave to jobq.done.';
comment on column jobq.job.tags is 'What enqueue was given; empty without.';
comment on column jobq.job.meta is 'What else belongs to it; for jobq itself, may change.';
comment on column jobq.job.progress is '0 to 1: what the handler of a running one told last; else null.';
comment on column jobq.job.progress_message is 'What it said with that.';
comment on column jobq.job.progress_at is 'When it told that.';

-- One job, from the first place that has it; a lease is found by its ids and only that one is unpacked. Each look is a
-- statement with its own snapshot, so a job that moves on meanwhile is met in the next place; one that comes back to
-- ready behind us is met in another round.
create function jobq.find(id bigint) returns setof jobq.job
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  for round in 1..3 loop
    return query select * from jobq.job j where j.id = find.id and j.status = 'pending';
    exit when found;
    return query
      select (p.job).id, k.name, q.name, 'processing'::text, (p.job).priority, ((p.job).attempt + 1)::smallint,
        coalesce((p.job).max_attempts, k.max_attempts, 3::smallint), (p.job).run_at, (p.job).created_at, p.claimed_at,
        null::timestamptz, p.worker_id, (p.job).args, null::text, null::json,
        array(select jsonb_array_elements_text((p.job).meta -> 'tags')), (p.job).meta, g.fraction, g.message, g.at
      from (
        select l.worker_id, l.seq, array_position(l.ids, find.id) as slot, l.claimed_at,
          l.jobs[array_position(l.ids, find.id)] as job
        from jobq.lease l
        where find.id = any (l.ids) and array_position(l.ids, find.id) <> all (l.done)
        offset 0                                       -- unpacks once, not once a column
      ) p
      join jobq.lane l on l.id = (p.job).lane_id
      join jobq.queue q on q.id = l.queue_id
      join jobq.kind k on k.id = (p.job).kind_id
      left join jobq.progress g on g.worker_id = p.worker_id and g.seq = p.seq and g.slot = p.slot;
    exit when found;
    return query select * from jobq.job j where j.id = find.id and j.status in ('completed', 'failed', 'cancelled');
    exit when found;
  end loop;
end $$;
comment on function jobq.find is 'One job by id, wherever it is kept; no row if there is none.';

-- The error trail of one job, oldest first: what attempt holds, then the end.
create function jobq.attempts(id bigint)
returns table (attempt smallint, outcome text, started_at timestamptz, finished_at timestamptz, worker_id bigint, error text)
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select a.attempt, a.outcome, a.started_at, a.finished_at, a.worker_id, a.error from jobq.attempt a where a.job_id = $1
  union all
  select f.attempt, f.status::text, f.started_at, f.finished_at, f.worker_id, f.error from jobq.finished f where f.id = $1
  order by 4, 1
$$;
comment on function jobq.attempts is 'What became of each run of a job that counted, oldest first.';

create view jobq.worker_status as
select w.id, w.name, w.host, w.pid, w.version, w.state, w.started_at, w.seen_at, now() - w.seen_at as silent_for,
  w.running, w.concurrency, w.processed, w.succeeded, w.failed, w.rss_kb, w.queues,
  array(select k.name from jobq.kind k where k.id = any (w.kinds) order by 1) as kinds, w.generation, w.load_error, w.loaded_at,
  (select coalesce(sum(l.n - cardinality(l.done)), 0)::bigint from jobq.lease l where l.worker_id = w.id) as claimed, w.socket
from jobq.worker w;
comment on view jobq.worker_status is 'Every worker that is remembered, with its counters as of its last heartbeat.';
comment on column jobq.worker_status.id is '63 random bits; also the key of its advisory lock.';
comment on column jobq.worker_status.name is 'HOST-PID, or what --name says.';
comment on column jobq.worker_status.host is 'The machine it runs on.';
comment on column jobq.worker_status.pid is 'Its process there.';
comment on column jobq.worker_status.version is 'Of the program.';
comment on column jobq.worker_status.state is 'running, stopped (in order) or dead (declared so by another worker).';
comment on column jobq.worker_status.started_at is 'When it started.';
comment on column jobq.worker_status.seen_at is 'Its last sign of life.';
comment on column jobq.worker_status.silent_for is 'How long that is ago.';
comment on column jobq.worker_status.running is 'Jobs that ran at that time.';
comment on column jobq.worker_status.concurrency is 'How many it runs at a time.';
comment on column jobq.worker_status.processed is 'Runs that have ended since its start.';
comment on column jobq.worker_status.succeeded is 'Of these, the good ones.';
comment on column jobq.worker_status.failed is 'Of these, the failed ones.';
comment on column jobq.worker_status.rss_kb is 'Resident memory of its supervisor, in KiB.';
comment on column jobq.worker_status.queues is 'The queues it serves; null: all.';
comment on column jobq.worker_status.kinds is 'The kinds it runs.';
comment on column jobq.worker_status.generation is 'Names the state of the handlers that it loaded.';
comment on column jobq.worker_status.load_error is 'Why its handlers as they are now do not load; null: they do.';
comment on column jobq.worker_status.loaded_at is 'When it last tried to load them.';
comment on column jobq.worker_status.socket is 'Where jobq on its machine asks it, e.g. for stacks; null: nowhere.';
comment on column jobq.worker_status.claimed is 'Jobs that it holds now, running or about to.';

create view jobq.log as
select job_id, at, attempt, (array['debug', 'info', 'warn', 'error'])[level + 1] as level, message, fields
from jobq.job_log;
comment on view jobq.log is 'What jobs wrote to their logs.';
comment on column jobq.log.job_id is 'Of which job.';
comment on column jobq.log.at is 'When.';
comment on column jobq.log.attempt is 'In which run.';
comment on column jobq.log.level is 'debug, info, warn or error.';
comment on column jobq.log.message is 'The line.';
comment on column jobq.log.fields is 'What else was said with it.';

create view jobq.kind_status as
select k.name, q.name as queue, k.summary, k.priority, k.max_attempts, k.timeout_s, k.schema, k.source, k.declared_at,
  (select count(*) from jobq.worker w
   where w.state = 'running' and k.id = any (w.kinds) and (w.queues is null or q.name = any (w.queues))) as workers,
  (select count(*) from jobq.ready r where r.kind_id = k.id) as pending
from jobq.kind k
join jobq.queue q on q.id = k.queue_id;
comment on view jobq.kind_status is 'Every kind that a worker declared or a job has, and how many living workers run it. pending is counted: it reads all that waits.';
comment on column jobq.kind_status.name is 'The kind.';
comment on column jobq.kind_status.queue is 'Where its jobs go unless enqueue says otherwise.';
comment on column jobq.kind_status.summary is 'What its handler says of it.';
comment on column jobq.kind_status.priority is 'Of its jobs unless enqueue says otherwise; null: 5.';
comment on column jobq.kind_status.max_attempts is 'Of its jobs unless enqueue says otherwise; null: 3.';
comment on column jobq.kind_status.timeout_s is 'Seconds that a run may take.';
comment on column jobq.kind_status.schema is 'JSON Schema of the arguments.';
comment on column jobq.kind_status.source is 'File and line of its handler.';
comment on column jobq.kind_status.declared_at is 'When a worker first knew it; null: none has yet.';
comment on column jobq.kind_status.workers is 'Living workers that run it.';
comment on column jobq.kind_status.pending is 'Jobs that wait.';

create function jobq.schema_of(kind text) returns json
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select k.schema from jobq.kind k where k.name = $1
$$;
comment on function jobq.schema_of is 'The JSON Schema of a kind''s arguments as its handler declares it; null if there is none.';

-- Why a job does not run ---------------------------------------------------------------------------

create function jobq.span(length interval) returns text
language sql immutable as $$
  select case
    when s < 1 then round(s * 1000) || ' ms'
    when s < 60 then floor(s) || 's'
    when s < 3600 then floor(s / 60) || 'm'
    when s < 86400 then floor(s / 3600) || 'h'
    else floor(s / 86400) || 'd' end
  from (select greatest(extract(epoch from $1), 0)) t (s)
$$;
comment on function jobq.span is 'A duration as people say it: 40 ms, 12s, 3m, 2h, 5d.';

-- Whether somebody is there to run a waiting job: no row if so.
create function jobq.why_nobody(kind text, queue text) returns table (code text, words text, hint text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  alive int;
  of_queue int;
  of_kind int;
  of_both int;
  broken record;
begin
  select count(*), count(*) filter (where s.serves), count(*) filter (where s.knows),
      count(*) filter (where s.serves and s.knows)
    into alive, of_queue, of_kind, of_both
  from (
    select w.queues is null or queue = any (w.queues) as serves, kind = any (w.kinds) as knows
    from jobq.worker_status w where w.state = 'running') s;
  if of_both > 0 then
    return;
  elsif alive = 0 then
    return query select 'no_worker', 'no worker is alive', 'start one: jobq-run handlers/';
  elsif of_queue = 0 then
    return query select 'no_worker_of_queue', format('no living worker serves queue %s', jobq.shown(queue)),
      'jobq workers shows the queues that each serves';
  elsif of_kind > 0 then
    return query select 'no_worker_of_both',
      format('the workers that know kind %s do not serve queue %s', jobq.shown(kind), jobq.shown(queue)),
      'jobq workers shows the queues that each serves';
  else
    select w.name, w.load_error into broken from jobq.worker w
      where w.state = 'running' and w.load_error is not null order by w.seen_at desc limit 1;
    return query select 'no_worker_of_kind', format('no living worker knows kind %s', jobq.shown(kind)),
      case when broken.name is null then 'jobq kinds lists those that are known'
        else format('worker %s could not load its handlers: %s', broken.name, split_part(broken.load_error, E'\n', 1)) end;
  end if;
end $$;
comment on function jobq.why_nobody is 'Why no living worker could run a job of that kind and queue; no row if one could.';

-- What a due job waits for although somebody could run it.
create function jobq.why_waiting(job jobq.job) returns table (code text, words text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  most constant int := 10000;                          -- jobs ahead that are counted
  able record;
  ahead bigint;
begin
  select count(*) as n, count(*) filter (where w.running >= w.concurrency) as busy,
      count(*) filter (where w.silent_for > '75 s') as silent, sum(w.running) as running, min(w.silent_for) as silence
    into able
  from jobq.worker_status w
  where w.state = 'running' and job.kind = any (w.kinds) and (w.queues is null or job.queue = any (w.queues));
  if able.silent = able.n then
    return query select 'silent', format('the workers that could run it (%s) have been silent for %s', able.n,
      jobq.span(able.silence));
  elsif able.busy = able.n then
    return query select 'busy', format('all workers that could run it (%s) are busy, with %s jobs', able.n, able.running);
  end if;
  if job.meta ? 'suspect' then
    return query select 'suspect', 'its worker died while it may have been running: it waits to run alone';
  end if;
  select count(*) into ahead from (
    select from jobq.ready me
    join jobq.ready r on r.lane_id = me.lane_id and (r.priority, r.run_at, r.id) < (me.priority, me.run_at, me.id)
    where me.id = job.id and r.run_at <= now()
    limit most + 1) t;
  if ahead > 0 then
    return query select 'line', format('%s due jobs of queue %s come before it',
      case when ahead > most then 'more than ' || most else ahead::text end, jobq.shown(job.queue));
  end if;
end $$;
comment on function jobq.why_waiting is 'What a due job waits for although a living worker could run it.';

create function jobq.why_not_yet(job jobq.job) returns table (code text, words text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  last record;
  ahead text := jobq.span(job.run_at - now());
  snoozed boolean := coalesce(job.meta ? 'snoozes', false);
  asleep text;
begin
  if job.run_at <= now() or exists (select from jobq.parked p where p.job_id = job.id and p.why = 'event') then
    return;
  end if;
  select s.name into asleep from jobq.step s
    where s.job_id = job.id and s.what = 'sleep' and s.due > now() and s.due - interval '1 s' <= job.run_at
    order by s.began_at desc limit 1;
  if found then
    return query select 'sleeping', format('it sleeps (%s) until %s UTC, %s more', jobq.shown(asleep),
      to_char(job.run_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), ahead);
    return;
  end if;
  select a.error, a.outcome, a.attempt into last
    from jobq.attempt a where a.job_id = job.id order by a.finished_at desc limit 1;
  return query select
    case when snoozed then 'snoozed' when last.outcome in ('retry', 'crash') then 'retrying' else 'scheduled' end,
    case when snoozed then format('it put itself off, and runs again in %s', ahead)
      when last.outcome in ('retry', 'crash') then
        format('attempt %s of %s failed, the next is in %s: %s', last.attempt, job.max_attempts, ahead,
          split_part(last.error, E'\n', 1))
      else format('it is scheduled for %s UTC, in %s', to_char(job.run_at at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
        ahead) end;
end $$;
comment on function jobq.why_not_yet is 'Why a job is not due yet; no row if it is.';

-- What a parked job waits for; no row if it is not parked. Whatever parks jobs has its words here.
create function jobq.why_parked(job jobq.job) returns table (code text, words text, hint text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  p jobq.parked;
begin
  select q.* into p from jobq.parked q where q.job_id = job.id;
  if p.why = 'limit' then
    return query select * from jobq.why_limited(p);
  elsif p.why = 'event' then
    return query select 'event',
      format('it waits for the event %s, %s', jobq.shown(p.key), case
        when p.due = 'infinity' then 'without an end'
        else format('until %s UTC (%s from now)', to_char(p.due at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
          jobq.span(p.due - now())) end),
      format('jobq emit %s brings it', quote_literal(p.key));
  elsif p.why = 'schedule' then
    return query select 'schedule',
      format('it waits until the earlier jobs of schedule %s have ended', jobq.shown(p.key)),
      'jobq schedules shows them';
  elsif p.why = 'unique' then
    return query select * from jobq.why_follows(job);
  elsif found then
    return query select p.why, format('it is parked: %s %s', p.why, p.key), null;
  end if;
end $$;
comment on function jobq.why_parked is 'What a parked job waits for; no row if it is not parked.';

-- Where a job that does not wait is.
create function jobq.why_elsewhere(job jobq.job) returns table (code text, words text, hint text)
language plpgsql stable as $$
#variable_conflict use_variable
declare
  w record;
  holder bigint;
begin
  if job.status = 'processing' then
    select s.name, s.silent_for into w from jobq.worker_status s where s.id = job.worker_id;
    return query select 'processing', format('it has been running on worker %s for %s, attempt %s of %s',
      coalesce(w.name, '?'), jobq.span(now() - job.started_at), job.attempt, job.max_attempts), null;
    if w.silent_for > '75 s' then
      return query select 'silent', format('that worker has been silent for %s', jobq.span(w.silent_for)),
        'jobs of a worker that is silent for 5m go back by themselves; jobq workers cleanup is quicker';
    end if;
    if exists (select from jobq.cancel_request c where c.job_id = job.id) then
      return query select 'asked_to_stop', 'it was asked to stop', null;
    end if;
    return;
  end if;
  return query select job.status, format('it %s %s ago%s%s', case job.status when 'cancelled' then 'was ' else '' end
    || job.status, jobq.span(now() - job.finished_at),
    coalesce(' by ' || (job.meta ->> 'cancelled_by'), ''), coalesce(': ' || split_part(job.error, E'\n', 1), '')),
    case when job.status <> 'completed' then format('jobq retry %s runs it again', job.id) end;
  select u.job_id into holder from jobq.unique_key u join jobq.kind k on k.id = u.kind_id
    where k.name = job.kind and u.key = job.meta ->> 'unique' and u.job_id <> job.id and u.turn = 0
      and (u.held or u.until > now());
  if found then
    return query select 'key_held', format('its unique key %s is held by job %s: it cannot be retried before that ends',
      jobq.shown(job.meta ->> 'unique'), holder), null;
  end if;
end $$;
comment on function jobq.why_elsewhere is 'Where a job is that does not wait: it runs, or it ended.';

create function jobq.why(id bigint) returns table (code text, words text, hint text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  job jobq.job;
  any_reason boolean;
begin
  select f.* into job from jobq.find(why.id) f;
  if job.id is null then
    return;
  elsif job.status <> 'pending' then
    return query select * from jobq.why_elsewhere(job);
    return;
  end if;
  return query select * from jobq.why_paused(job);
  any_reason := found;
  return query select * from jobq.why_parked(job);
  any_reason := any_reason or found;
  return query select * from jobq.why_nobody(job.kind, job.queue);
  any_reason := any_reason or found;
  return query select y.code, y.words, null from jobq.why_not_yet(job) y;
  any_reason := any_reason or found;
  if not any_reason then
    return query select t.code, t.words, null from jobq.why_waiting(job) t;
    if not found then
      return query select 'soon', 'nothing keeps it: it should start at any moment', null;
    end if;
  end if;
end $$;
comment on function jobq.why is 'Why a job does not run, the weightiest reason first; no row if there is no such job.';
