-- min_worker: 0.1.0
-- follow_up, advance - where jobs that belong to something larger meet the rest.
--
-- What happens to such jobs is told to follow_up, inside the transaction that moves them. What has to happen by itself
-- later (a time that comes, a slot that is free) is done by advance, which some worker calls. A feature adds a call to
-- one or both; nothing here is paid by a job that belongs to nothing.

-- Each job as it was when it left its place, with the outcome: completed, failed, cancelled (it ended); retry, snooze,
-- return, suspect, crash, park (it waits again).
create function jobq.follow_up(moves jobq.move[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform jobq.release_keys(moves);
  perform jobq.follow_schedules(moves);
  perform jobq.tell_batches(moves);
  perform jobq.tell_waiters(moves);
  perform jobq.park_waits(moves);
  perform jobq.leave_limits(moves);                    -- last: what others have parked by now stays with them
end $$;
comment on function jobq.follow_up is 'Does what the moves of jobs mean for what they belong to; in the transaction that moved them.';

-- A worker calls it when it starts, when the notification 'advance' comes, and again after as many seconds as it
-- answers; null: not before it is notified. One at a time: who finds another at it looks again soon.
--
-- What fails in one part (somebody holds a row too long, a mistake of ours) is told in the log of the worker, undone, and
-- tried again in a second; the others go on.
create function jobq.advance() returns float8
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts constant text[] := array['advance_schedules', 'advance_batches', 'advance_events', 'expire', 'promote_followers',
    'advance_limits'];                                        -- last: it looks at what the others have done
  part text;
  answer float8;
  soonest float8;
begin
  if not pg_try_advisory_xact_lock(1785687410, 2) then
    return 0.2;
  end if;
  foreach part in array parts loop
    begin
      execute format('select jobq.%I()', part) into answer;
    exception
      when others then
        raise warning 'jobq.%: %', part, sqlerrm;
        answer := 1;
    end;
    soonest := least(soonest, answer);
  end loop;
  return soonest;
end $$;
comment on function jobq.advance is 'Does what has to happen by itself by now; seconds until it wants to be called again, null: when notified.';
