-- no_fence: a worker that was declared dead ends its jobs all the same.
create function chaos.write_anyway(worker bigint, lease bigint, slot smallint, outcome text) returns boolean
language plpgsql as $$
begin
  insert into jobq.finished (id, created_at, run_at, started_at, finished_at, lane_id, kind_id, worker_id, status,
    priority, attempt, args, meta)
  select (j).id, (j).created_at, (j).run_at, now(), now(), (j).lane_id, (j).kind_id, worker, outcome::jobq.ending,
    (j).priority, (j).attempt + 1, (j).args, (j).meta
  from (select g.jobs[slot] as j from chaos.ghost g where g.worker_id = worker and g.seq = lease) g
  where outcome = 'completed'
    and exists (select from jobq.worker w where w.id = worker and w.state = 'dead');
  return found;
end $$;

select chaos.patch('settle', 'where f.seq = t.seq and f.slot = t.slot)',
  'where f.seq = t.seq and f.slot = t.slot) and not chaos.write_anyway(worker, t.seq, t.slot, t.outcome)');
