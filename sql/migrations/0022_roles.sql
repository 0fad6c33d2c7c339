-- min_worker: 0.1.0
-- roles - who may do what. Functions that a role calls without owning the tables are SECURITY DEFINER.
--
--   jobq_producer   only enqueues
--   jobq_worker     runs jobs: what sql/queries needs, no more
--   jobq_admin      looks, enqueues, cancels, retries, edits, cleans up, recovers, has workers reload or stop
--   jobq_reader     looks
--
-- Roles belong to the whole cluster and making them is a right of its own. Without it the schema works for its owner.
-- Every migration that adds a function or a table ends with a call of jobq.grant_roles().

create function jobq.make_roles() returns text[]
language plpgsql as $$
declare
  name text;
  missing text[] := '{}';
begin
  foreach name in array array['jobq_producer', 'jobq_worker', 'jobq_admin', 'jobq_reader'] loop
    continue when exists (select from pg_roles r where r.rolname = name);
    begin
      execute format('create role %I nologin', name);
    exception
      when duplicate_object or unique_violation then
        null;                                          -- a migration of another database was quicker
      when insufficient_privilege then
        missing := missing || name;
    end;
  end loop;
  return missing;
end $$;
comment on function jobq.make_roles is 'Makes the roles of jobq where it may; returns those that are still missing.';

create function jobq.grant_roles() returns void
language plpgsql as $$
declare
  list constant text := $list$
    jobq_producer: execute on function jobq.enqueue, jobq.enqueue_many, jobq.enqueue_with, jobq.enqueue_many_with
    jobq_producer: execute on function jobq.open_batch, jobq.close_batch
    jobq_worker:   execute on function jobq.enqueue_with, jobq.enqueue_many_with
    jobq_worker:   execute on function jobq.open_batch, jobq.close_batch, jobq.batch_news
    jobq_admin:    execute on function jobq.open_batch, jobq.close_batch, jobq.cancel_batch
    jobq_admin:    select on jobq.batch_status
    jobq_reader:   select on jobq.batch_status
    jobq_worker:   execute on function jobq.enqueue, jobq.enqueue_many, jobq.declare_kinds, jobq.sort_lanes, jobq.settle,
                   jobq.complete, jobq.wake_lanes, jobq.wake, jobq.reconcile, jobq.recover, jobq.cleanup,
                   jobq.advance, jobq.start_keys
    jobq_worker:   select, insert on jobq.queue
    jobq_worker:   select, insert, update on jobq.kind, jobq.lane, jobq.worker
    jobq_worker:   select, insert, update, delete on jobq.ready, jobq.lease, jobq.progress
    jobq_worker:   select, insert, delete on jobq.sleeper
    jobq_worker:   select on jobq.parked, jobq.pause, jobq.limits
    jobq_worker:   select, delete on jobq.limit_state
    jobq_worker:   execute on function jobq.hold_limit, jobq.use_limit, jobq.follow_up
    jobq_worker:   select, delete on jobq.cancel_request
    jobq_worker:   insert on jobq.finished, jobq.attempt, jobq.job_log
    jobq_admin:    execute on function jobq.enqueue_with, jobq.enqueue_many_with
    jobq_admin:    execute on function jobq.enqueue, jobq.enqueue_many, jobq.cancel, jobq.cancel_many, jobq.retry,
                   jobq.retry_many, jobq.cleanup, jobq.forget, jobq.delete_finished, jobq.stats, jobq.attempts, jobq.find,
                   jobq.recover, jobq.reload, jobq.stop_worker, jobq.edit, jobq.why, jobq.pause, jobq.resume,
                   jobq.set_limit, jobq.drop_limit, jobq.hold_limit, jobq.use_limit
    jobq_worker:   execute on function jobq.declare_schedules, jobq.declare_limits
    jobq_admin:    execute on function jobq.schedule, jobq.unschedule, jobq.pause_schedule, jobq.resume_schedule,
                   jobq.run_now, jobq.next_ticks
    jobq_admin:    select on jobq.schedule_status
    jobq_reader:   execute on function jobq.next_ticks
    jobq_reader:   select on jobq.schedule_status
    jobq_admin:    select on jobq.job, jobq.worker_status, jobq.kind_status, jobq.log
    jobq_admin:    select on jobq.queue_status, jobq.pause_status, jobq.limit_status
    jobq_reader:   execute on function jobq.stats, jobq.attempts, jobq.find, jobq.why
    jobq_reader:   select on jobq.job, jobq.worker_status, jobq.kind_status, jobq.log
    jobq_reader:   select on jobq.queue_status, jobq.pause_status, jobq.limit_status
    jobq_producer: execute on function jobq.emit_event
    jobq_worker:   execute on function jobq.emit_event, jobq.steps, jobq.keep_step, jobq.keep_checkpoint,
                   jobq.keep_sleep, jobq.wait_event
    jobq_worker:   select on jobq.event_look
    jobq_admin:    execute on function jobq.emit_event, jobq.steps
    jobq_reader:   execute on function jobq.steps
    jobq_worker:   execute on function jobq.result
    jobq_worker:   select on jobq.waiter
    jobq_admin:    execute on function jobq.result, jobq.watch, jobq.refusal_to_commit
    jobq_admin:    execute on function jobq.edit_many, jobq.reschedule, jobq.snooze, jobq.delete_many
    jobq_admin:    execute on procedure jobq.await
    jobq_reader:   execute on function jobq.result, jobq.watch, jobq.refusal_to_commit
    jobq_reader:   execute on procedure jobq.await
    all:           usage on schema jobq
    all:           execute on function jobq.schema_state, jobq.min_worker, jobq.schema_of
    all:           select on jobq.migration
  $list$;
  line text[];
  name text;
begin
  revoke all on all routines in schema jobq from public;
  revoke all on type jobq.ending, jobq.job_options, jobq.move, jobq.cron from public;
  for line in select regexp_matches(list, '(\w+):\s+([^:]*?)\s*(?=\n\s*\w+:|\n\s*$)', 'g') loop
    for name in
      select r.rolname from pg_roles r
      where r.rolname in ('jobq_producer', 'jobq_worker', 'jobq_admin', 'jobq_reader') and line[1] in ('all', r.rolname)
    loop
      execute format('grant %s to %I', line[2], name);
    end loop;
  end loop;
end $$;
comment on function jobq.grant_roles is 'Gives each role of jobq that exists its rights; harmless to repeat.';

do $$
declare
  missing text[] := jobq.make_roles();
begin
  if missing <> '{}' then
    raise notice 'role % may not create %', current_user, array_to_string(missing, ', ')
      using hint = format('as a superuser: create role %s; then as the owner of jobq: select jobq.grant_roles()',
        array_to_string(missing, '; create role '));
  end if;
  perform jobq.grant_roles();
end $$;
