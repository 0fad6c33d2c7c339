-- lanes: where the worker may claim from: shared lanes of its queues, and the own lanes of its kinds there; what is
-- paused is left out, and a queue whose new limit is not applied yet.
--
-- $1 worker
-- Answers (lane_id, queue). To be asked again after the notification 'lanes'.
select l.id as lane_id, q.name as queue
from jobq.worker w
join jobq.queue q on w.queues is null or q.name = any (w.queues)
join jobq.lane l on l.queue_id = q.id and (l.kind_id = 0 or l.kind_id = any (w.kinds))
where w.id = $1::bigint
  and not exists (select from jobq.pause p where p.queue_id = l.queue_id or p.kind_id = l.kind_id)
  and not exists (
    select from jobq.limits m left join jobq.limit_state s on s.limit_id = m.id
    where m.queue_id = l.queue_id and s.applied_at is null)
order by l.id
