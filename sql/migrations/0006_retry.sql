-- min_worker: 0.1.0
-- retry, edit - what people do to jobs that do not run now.
--
-- A job that ended waits again, with its id, its history and at least one more attempt.
-- Who locks the row first does it: a second caller finds nothing. What the job's last run said goes to the trail. A
-- unique key was released when the job ended; it is taken again, or the job stays where it is.

-- One job, without waking anybody. done: it waits now. holder: the job that holds its unique key, so it does not.
create function jobq.requeue(
  id bigint, delay interval, attempts int, from_step text, priority int,
  out done boolean, out lane_id int, out holder bigint, out key text
)
language plpgsql as $$
declare
  f jobq.finished;
  allowed int;                                         -- attempts, as the job or its kind says
  m jsonb;
begin
  done := false;
  select d.* into f from jobq.finished d where d.id = requeue.id for update;
  if not found then
    return;
  end if;
  key := f.meta ->> 'unique';
  if key is not null then
    holder := jobq.take_key(f.kind_id, key, null, true, f.id);
    if holder <> f.id then
      return;
    end if;
    holder := null;
    if f.meta ? 'unique_until' then                    -- it may have had only its period left of the key
      update jobq.unique_key u set held = true
        where u.kind_id = f.kind_id and u.key = requeue.key and u.job_id = f.id and not u.held;
    end if;
  end if;
  delete from jobq.finished d where d.id = f.id and d.status = f.status and d.finished_at = f.finished_at;
  insert into jobq.attempt (job_id, started_at, finished_at, kind_id, worker_id, attempt, outcome, error)
    values (f.id, f.started_at, f.finished_at, f.kind_id, f.worker_id, f.attempt, f.status::text, f.error);
  allowed := coalesce(f.max_attempts, (select k.max_attempts from jobq.kind k where k.id = f.kind_id), 3);
  m := jobq.expire_from(nullif(f.meta - 'cancelled_by', '{}'), now() + delay);
  insert into jobq.ready (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta)
    overriding system value
    values (f.id, now() + delay, f.created_at, f.lane_id, f.kind_id, coalesce(requeue.priority, f.priority), f.attempt,
            case when attempts is not null then least(f.attempt + attempts, 32767)
              when f.attempt < allowed then f.max_attempts else f.attempt + 1 end, f.args, m);
  if m ? 'schedule' then
    insert into jobq.schedule_run (job_id, schedule, tick, followed)
      values (f.id, m ->> 'schedule', to_timestamp((m ->> 'tick')::float8), true);
  end if;
  if m ? 'expires' then
    perform jobq.note_expiry(array[f.id], m);
  end if;
  delete from jobq.cancel_request c where c.job_id = f.id;
  if f.meta ? 'batch' then
    perform jobq.return_to_batch((f.meta ->> 'batch')::bigint, f.status, jobq.has_expired(f.meta, f.error));
  end if;
  perform jobq.rewind_steps(f.id, f.status::text, from_step);
  perform jobq.hold_back(array[f.id]);
  done := true;
  lane_id := f.lane_id;
end $$;
comment on function jobq.requeue is 'Puts a job that ended back in line, if its unique key is free; wakes nobody.';

create function jobq.check_retry(delay interval, attempts int, priority int) returns void
language plpgsql immutable as $$
begin
  if delay < '0' then
    raise 'delay % is negative', delay using errcode = 'invalid_parameter_value';
  elsif attempts not between 1 and 1000 then
    raise 'attempts % is out of range, expected 1 to 1000', attempts using errcode = 'invalid_parameter_value';
  elsif priority not between 0 and 9 then
    raise 'priority % is out of range, expected 0 (soonest) to 9', priority using errcode = 'invalid_parameter_value';
  end if;
end $$;
comment on function jobq.check_retry is 'Raises an error that names the first option of a retry that cannot be.';

create function jobq.retry(
  id bigint, delay interval default '0', attempts int default null, from_step text default null,
  priority int default null
) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
begin
  perform jobq.check_retry(delay, attempts, priority);
  r := jobq.requeue(id, coalesce(delay, '0'), attempts, from_step, priority);
  if r.holder is not null then
    raise 'job % cannot wait again: job % holds its unique_key %', id, r.holder, jobq.shown(r.key)
      using errcode = 'unique_violation';
  end if;
  if r.done and coalesce(delay, '0') <= interval '1 hour' then
    perform jobq.wake(r.lane_id);
  end if;
  return r.done;
end $$;
comment on function jobq.retry is 'Puts a job that ended back in line, with that many attempts more; false if there is no such job.

Steps that it has done are not done again, unless it is completed: then all are, or those from from_step on.';

-- Many at once, spread out: the first after delay, each later one a gap after the one before. Those that cannot wait
-- again are passed over. The caller keeps calls short (a thousand ids), a transaction each.
create function jobq.retry_many(
  ids bigint[], delay interval default '0', gap interval default '0', attempts int default null,
  priority int default null
) returns setof bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  r record;
  due interval := coalesce(delay, '0');
  one bigint;
  lanes int[] := '{}';
begin
  perform jobq.check_retry(least(delay, gap), attempts, priority);
  foreach one in array coalesce(ids, '{}') loop
    r := jobq.requeue(one, due, attempts, null, priority);
    if r.done then
      return next one;
      lanes := lanes || r.lane_id;
    end if;
    due := due + coalesce(gap, '0');
  end loop;
  if coalesce(delay, '0') <= interval '1 hour' then
    perform jobq.wake_lanes(lanes);
  end if;
end $$;
comment on function jobq.retry_many is 'Puts jobs that ended back in line, each a gap later than the one before; the ids of those that wait now.';

-- Before it runs, or runs again. was: the arguments that the caller has seen; others raise, and nothing is changed.
create function jobq.edit(
  id bigint, args jsonb default null, priority int default null, run_at timestamptz default null, was json default null
) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  j record;
  o jobq.job_options;
  checked boolean;
  parked boolean;
  lane int;
  m jsonb;
begin
  o.priority := edit.priority;
  o.run_at := edit.run_at;
  checked := jobq.check_options('x', o);
  select f.id, f.kind, f.status into j from jobq.find(edit.id) f;
  if j.id is null or j.status in ('processing', 'completed') then
    return j.status;
  elsif edit.run_at is not null and j.status <> 'pending' then
    raise 'job % is %, only a pending one has a time to run at', edit.id, j.status
      using errcode = 'invalid_parameter_value', hint = 'retry it, then edit it';
  end if;
  if edit.args is not null then
    checked := jobq.check_args(j.kind, edit.args, ' ') is not null;
  end if;
  if j.status = 'pending' then
    update jobq.parked p set priority = coalesce(edit.priority, p.priority), due = coalesce(edit.run_at, p.due)
      where p.job_id = edit.id;
    parked := found;
    update jobq.ready r set args = coalesce(edit.args::json, r.args), priority = coalesce(edit.priority, r.priority),
        run_at = case when parked then r.run_at else coalesce(edit.run_at, r.run_at) end,
        meta = case when edit.run_at is null then r.meta else jobq.expire_from(r.meta, edit.run_at) end
      where r.id = edit.id and (edit.was is null or r.args::text = edit.was::text)
      returning r.lane_id, r.meta into lane, m;
  else
    update jobq.finished f set args = coalesce(edit.args::json, f.args), priority = coalesce(edit.priority, f.priority)
      where f.id = edit.id and f.status = j.status::jobq.ending and (edit.was is null or f.args::text = edit.was::text);
  end if;
  if not found then
    raise 'job % changed meanwhile', edit.id using errcode = 'object_not_in_prerequisite_state',
      hint = 'look at it again';
  end if;
  if edit.run_at is not null and m ? 'expires' then
    perform jobq.note_expiry(array[edit.id], m);
  end if;
  if lane is not null then
    perform jobq.limit_edited(array[edit.id], edit.run_at is not null);
    perform jobq.wake(lane);
  end if;
  return j.status;
end $$;
comment on function jobq.edit is 'Changes a pending, failed or cancelled job; its status, null if there is none: processing and completed ones stay as they are.';
