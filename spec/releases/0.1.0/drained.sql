-- drained: whether nothing that the worker could run is waiting or in any lease.
--
-- $1 worker
-- Jobs that their creator scheduled for later do not count: in the future, never tried, never snoozed. Parked ones that
-- are due do; those that wait for an event wait for somebody else. What is paused does not. What ends a batch may add
-- a job.
with mine as materialized (
  select w.kinds, array(
      select k from unnest(w.kinds) k where not exists (select from jobq.pause p where p.kind_id = k)
    ) as waiting_kinds, array(
      select l.id from jobq.lane l join jobq.queue q on q.id = l.queue_id
      where w.queues is null or q.name = any (w.queues)) as lanes
  from jobq.worker w
  where w.id = $1::bigint
)
select not exists (
    select from mine, jobq.lane l
    where l.id = any (mine.lanes) and not exists (select from jobq.pause p where p.queue_id = l.queue_id)
      and exists (
        select from jobq.ready r
        where r.lane_id = l.id and r.kind_id = any (mine.waiting_kinds)
          and case when r.run_at < 'infinity' then r.run_at <= now() or r.attempt > 0 or r.meta ? 'snoozes'
            else exists (
              select from jobq.parked p
              where p.job_id = r.id
                and (p.due <= now() or p.why <> 'event' and (r.attempt > 0 or r.meta ? 'snoozes'))) end)
  )
  and not exists (
    select from mine, jobq.lease l,
      unnest(l.jobs) with ordinality
        as j (id, run_at, created_at, lane_id, kind_id, priority, attempt, max_attempts, args, meta, slot)
    where j.slot <> all (l.done) and j.kind_id = any (mine.kinds) and j.lane_id = any (mine.lanes)
  )
  and not exists (select from jobq.batch_news() b where b.due)
  and not exists (select from jobq.event_look) as drained
