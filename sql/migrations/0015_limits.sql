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
