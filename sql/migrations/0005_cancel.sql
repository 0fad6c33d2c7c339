-- min_worker: 0.1.0
-- cancel - a waiting job ends at once; a running one is asked to.
--
-- Nobody searches the packed leases. If the id is neither waiting nor finished it is in some lease: the wish is written
-- down and told to all workers. Whoever meets the job next honours it: the worker that runs it (notified, and again
-- with each heartbeat), settle (retry, snooze and return become cancelled), claim (flags it), recovery (through settle).
-- Each statement here has its own snapshot, so a job that a claim takes under our hands is found by the next step; one
-- that comes back to ready while the wish is written is found by a second look, else flagged by its next claim.
--
-- The reason becomes the error of the job, and who asked stays with it: author, or the role of the session.
create function jobq.cancel(id bigint, reason text default null, author text default null)
returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  who text := left(coalesce(author, session_user), 200);
  answer text;
  gone jobq.ready;
  due timestamptz;                                     -- of a parked job
begin
  for round in 1..2 loop
    delete from jobq.parked p where p.job_id = cancel.id returning p.due into due;   -- in this order: see the table
    delete from jobq.ready r where r.id = cancel.id returning r.* into gone;
    if found then
      delete from jobq.cancel_request c where c.job_id = gone.id;
      insert into jobq.finished (id, created_at, run_at, started_at, finished_at, lane_id, kind_id, status, priority,
        attempt, max_attempts, args, meta, error)
      values (gone.id, gone.created_at, coalesce(nullif(least(gone.run_at, due), 'infinity'), now()), now(), now(),
        gone.lane_id, gone.kind_id, 'cancelled', gone.priority, gone.attempt, gone.max_attempts, gone.args,
        coalesce(gone.meta, '{}') || jsonb_build_object('cancelled_by', who), left(cancel.reason, 1000));
      if gone.meta is not null or exists (select from jobq.waiter w where w.job_id = gone.id) then
        perform jobq.follow_up(array[row(gone, 'cancelled')::jobq.move]);
      end if;
      return 'cancelled';
    end if;

    select f.status::text into answer from jobq.finished f where f.id = cancel.id;
    if found then
      delete from jobq.cancel_request c where c.job_id = cancel.id;
      return answer;                                   -- too late, or done before
    end if;

    if cancel.id is null or cancel.id < 1 or cancel.id > (select last_value from jobq.ready_id_seq) then
      return null;                                     -- never existed
    end if;
    insert into jobq.cancel_request (job_id, reason, author) values (cancel.id, left(cancel.reason, 1000), who)
      on conflict do nothing;
  end loop;
  perform pg_notify('jobq_control', 'cancel ' || cancel.id);
  return 'processing';
end $$;
comment on function jobq.cancel is 'Cancels a job, its error then being the reason, author who asked (else the role of the session); returns its status now: cancelled, processing (asked to stop), completed or failed (too late), null (unknown).';

create function jobq.cancel_many(ids bigint[], reason text default null, author text default null)
returns table (id bigint, status text)
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  foreach id in array coalesce(ids, '{}') loop
    status := jobq.cancel(id, reason, author);
    return next;
  end loop;
end $$;
comment on function jobq.cancel_many is 'Cancels jobs; what became of each, as jobq.cancel answers it. Best a thousand at a time.';
