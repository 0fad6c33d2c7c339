-- min_worker: 0.1.0
-- settle - the only way out of a lease. Workers, recovery and reconciliation all end here.
--
-- Outcomes of one worker's jobs arrive as parallel arrays: lease number, slot, word, ...; leases may be mixed and
-- settled in parts. The arrays after the word may each be null as a whole. Words for outcome:
--   completed  failed  cancelled      to finished
--   retry                             to ready after delay, the attempt counts, error goes to the trail
--   snooze                            to ready after delay, the attempt does not count, the snooze does
--   return                            to ready after delay, as if it had not been claimed
--   park                              to ready after delay, or parked for an event (park_waits); no attempt
--   suspect                           as return, marked: its worker died while it may have run (recover)
--   crash                             as retry, marked: its worker died while it was alone in its lease;
--                                     failed when its attempts are used up, or at the third crash
-- A job that was asked to stop is cancelled instead of going back to ready.
--
-- Returns (lease number, slot) of each outcome that was NOT settled now: it was settled before, or recovery took the
-- lease, or a server crash forgot the claim. To the worker it is one case: nothing was written, the job is no longer
-- its own; it drops the result and counts it. So a repetition is harmless.
-- One outcome that PostgreSQL rejects fails the call: the caller halves the arrays and repeats until the bad one stands
-- alone. The caller names no (lease, slot) twice in a call.
--
-- What goes back to ready wakes nobody here: that is a later statement (wake_lanes), as for enqueue.
--
-- Jobs that belong to something larger (a unique key, a batch, a limit), or whose end somebody waits for, are told to
-- jobq.follow_up; for the others there is nothing to do.
--
-- plpgsql, because it keeps its plan; a function in language sql is planned again at every call before 18.
create type jobq.move as (job jobq.ready, outcome text);
comment on type jobq.move is 'A job as it left its place, and the outcome that moved it, in the words of jobq.settle.';

create function jobq.settle(
  worker bigint, seq bigint[], slot smallint[], outcome text[], ran_us bigint[] default null, delay_ms bigint[] default null,
  error text[] default null, result json[] default null
) returns table (refused_seq bigint, refused_slot smallint)
language plpgsql as $$
#variable_conflict use_column
declare
  third constant int := 3;                             -- a job that took this many workers down is not tried again
  longest constant bigint := 315360000000;             -- ten years in ms: no delay overflows a timestamp
  larger constant text[] := array['unique', 'batch', 'schedule', 'limited'];   -- what in meta makes a job one for follow_up
  refused_seqs bigint[];
  refused_slots smallint[];
  moves jobq.move[];
begin
  with told as materialized (
    select *
    from unnest(seq, slot, outcome, ran_us, delay_ms, error, result)
      as t (seq, slot, outcome, ran_us, delay_ms, error, result)
  ),
  -- The lock comes first: everything below decides on a row that nobody else can change any more.
  held as materialized (
    select l.seq, l.claimed_at, l.n, l.done, l.jobs || '{}' as jobs   -- || reads the toasted value once
    from jobq.lease l
    where l.worker_id = worker and l.seq = any (settle.seq)
    order by l.seq
    for update
  ),
  fresh as materialized (
    select t.seq, t.slot, t.delay_ms, t.error, t.result, h.n, cardinality(h.done) as before, j.job, w.asked,
      -- It cannot have begun before it was claimed, whatever the worker's clock says; the same if nobody says.
      greatest(now() - greatest(t.ran_us, 0) * interval '1 microsecond', h.claimed_at) as started_at,
      -- Does this run count?
      case when t.outcome in ('completed', 'failed', 'retry', 'crash') then 1
        when t.outcome = 'cancelled' and t.ran_us is distinct from 0 then 1 else 0 end as counted,
      case
        when w.asked and t.outcome not in ('completed', 'failed') then 'cancelled'
        when t.outcome <> 'crash' then t.outcome
        when coalesce(((j.job).meta ->> 'crashes')::int, 0) + 1 >= third then 'failed'
        when (j.job).attempt + 1 >= coalesce((j.job).max_attempts,
          (select k.max_attempts from jobq.kind k where k.id = (j.job).kind_id), 3) then 'failed'
        else 'crash' end as outcome
    from told t
    join held h on h.seq = t.seq
    cross join lateral (select h.jobs[t.slot] as job offset 0) j   -- offset 0: once a job, not once a use
    cross join lateral (select (j.job).id in (select c.job_id from jobq.cancel_request c) as asked offset 0) w
    where t.slot <> all (h.done) and t.slot between 1 and h.n
  ),
  progress as materialized (
    select f.seq, array_agg(f.slot) as slots, min(f.n) - min(f.before) - count(*) as remaining
    from fresh f group by f.seq
  ),
  emptied as (
    delete from jobq.lease l using progress p where l.worker_id = worker and l.seq = p.seq and p.remaining = 0
  ),
  advanced as (
    update jobq.lease l set done = l.done || p.slots
    from progress p where l.worker_id = worker and l.seq = p.seq and p.remaining > 0
  ),
  -- An unknown word is no ending, which fails the call: no job leaves its lease without a place to go.
  ended as (
    insert into jobq.finished (id, created_at, run_at, started_at, finished_at, lane_id, kind_id, worker_id, status,
      priority, attempt, max_attempts, args, meta, error, result)
    select (job).id, (job).created_at, (job).run_at, f.started_at, now(), (job).lane_id, (job).kind_id, worker,
      f.outcome::jobq.ending, (job).priority, ((job).attempt + f.counted)::smallint, (job).max_attempts, (job).args,
      case when f.asked and f.outcome = 'cancelled'
        then coalesce((job).meta - 'suspect', '{}') || jsonb_build_object('cancelled_by',
          (select c.author from jobq.cancel_request c where c.job_id = (f.job).id))
        else (job).meta - 'suspect' end,
      case when f.asked and f.outcome = 'cancelled'
        then coalesce((select c.reason from jobq.cancel_request c where c.job_id = (f.job).id), f.error)
        else f.error end,
      f.result
    from fresh f
    where f.outcome not in ('retry', 'snooze', 'return', 'suspect', 'crash', 'park')
  ),
  waiting_again as (
    insert into jobq.ready (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta)
      overriding system value
    select (job).id, now() + least(greatest(coalesce(f.delay_ms, 0), 0), longest) * interval '1 millisecond',
      (job).created_at, (job).lane_id, (job).kind_id, (job).priority, ((job).attempt + f.counted)::smallint,
      (job).max_attempts, (job).args,
      case f.outcome
        when 'suspect' then coalesce((job).meta, '{}') || '{"suspect": true}'
        when 'crash' then coalesce((job).meta, '{}')
          || jsonb_build_object('suspect', true, 'crashes', coalesce(((job).meta ->> 'crashes')::int, 0) + 1)
        when 'snooze' then coalesce((job).meta - 'suspect', '{}')
          || jsonb_build_object('snoozes', coalesce(((job).meta ->> 'snoozes')::int, 0) + 1)
        when 'return' then (job).meta                  -- it did not run, so a suspect stays one
        when 'park' then nullif((job).meta - 'suspect' - 'expires', '{}')   -- it has begun
        else nullif((job).meta - 'suspect', '{}') end
    from fresh f
    where f.outcome in ('retry', 'snooze', 'return', 'suspect', 'crash', 'park')
  ),
  trail as (
    insert into jobq.attempt (job_id, started_at, finished_at, kind_id, worker_id, attempt, outcome, error)
    select (job).id, f.started_at, now(), (job).kind_id, worker, ((job).attempt + 1)::smallint, f.outcome, f.error
    from fresh f
    where f.outcome in ('retry', 'crash')
  ),
  answered as (
    delete from jobq.cancel_request c
    where c.job_id in (select (job).id from fresh f where f.asked)   -- asked jobs never go back to ready
  ),
  refused as materialized (
    select t.seq, t.slot
    from told t
    where not exists (select from fresh f where f.seq = t.seq and f.slot = t.slot)
  )
  select (select array_agg(r.seq) from refused r), (select array_agg(r.slot) from refused r),
    (select array_agg(row(f.job, f.outcome)::jobq.move) from fresh f
      where (f.job).meta ?| larger or f.outcome = 'park'
        or (f.job).id in (select w.job_id from jobq.waiter w))
    into refused_seqs, refused_slots, moves;
  if moves is not null then
    perform jobq.follow_up(moves);
  end if;
  if refused_seqs is not null then
    return query select * from unnest(refused_seqs, refused_slots);
  end if;
end $$;
comment on function jobq.settle is 'Settles outcomes of a worker''s claimed jobs; returns those that were no longer its own.';

-- Completes one claimed job as the last statement of its handler's own transaction, so that the job's effect and its end
-- are one commit. Refused means that the job is no longer this run's: that must undo the effect, so it raises.
--
-- It locks the lease until the COMMIT, and settling waits for that: callers send both in one go.
create function jobq.complete(worker bigint, seq bigint, slot smallint, ran_us bigint, result json) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if exists (
    select from jobq.settle(worker, array[complete.seq], array[complete.slot], array['completed'], array[complete.ran_us],
      null, null, array[complete.result])
  ) then
    raise 'the job is no longer this run''s: it was settled, cancelled or taken over' using errcode = 'JQ001';
  end if;
end $$;
comment on function jobq.complete is 'Completes a claimed job inside its handler''s transaction; raises JQ001 when it is no longer this run''s.';
