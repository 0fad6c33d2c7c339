-- min_worker: 0.1.0
-- retry - a failed or cancelled job waits again, with its id, its history and at least one more attempt.
--
-- DELETE decides who does it: of two callers the second finds nothing. What the job's last run said goes to the trail.
-- A unique key was released when the job ended; it is taken again, or the retry is refused.
create function jobq.retry(id bigint, delay interval default '0') returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  f jobq.finished;
  holder bigint;
  allowed int;                                         -- attempts, as the job or its kind says
begin
  if delay < '0' then
    raise 'delay % is negative', delay using errcode = 'invalid_parameter_value';
  end if;
  delete from jobq.finished d where d.id = retry.id and d.status in ('failed', 'cancelled') returning d.* into f;
  if not found then
    return false;
  end if;
  if f.meta ? 'unique' then
    holder := jobq.take_key(f.kind_id, f.meta ->> 'unique', null, f.id);
    if holder <> f.id then
      raise 'job % cannot wait again: job % holds its unique_key %', f.id, holder, jobq.shown(f.meta ->> 'unique')
        using errcode = 'unique_violation';
    end if;
  end if;
  insert into jobq.attempt (job_id, started_at, finished_at, kind_id, worker_id, attempt, outcome, error)
    values (f.id, f.started_at, f.finished_at, f.kind_id, f.worker_id, f.attempt, f.status::text, f.error);
  allowed := coalesce(f.max_attempts, (select k.max_attempts from jobq.kind k where k.id = f.kind_id), 3);
  insert into jobq.ready (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta)
    overriding system value
    values (f.id, now() + coalesce(delay, '0'), f.created_at, f.lane_id, f.kind_id, f.priority, f.attempt,
            case when f.attempt < allowed then f.max_attempts else f.attempt + 1 end, f.args, f.meta);
  delete from jobq.cancel_request c where c.job_id = f.id;
  if coalesce(delay, '0') <= interval '1 hour' then
    perform jobq.wake(f.lane_id);
  end if;
  return true;
end $$;
comment on function jobq.retry is 'Puts a failed or cancelled job back in line; false if there is no such job.';
